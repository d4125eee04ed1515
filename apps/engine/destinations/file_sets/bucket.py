"""Open the store that a file destination writes to."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from apps.engine.contract import StorageRoot
from apps.engine.destinations.file_sets.config import BucketSettings
from apps.engine.stores import Store
from apps.engine.stores.opening import open_root


def open_store(settings: BucketSettings, own_root: StorageRoot, *, allow_private: bool) -> Store:
    """Open the bucket of the settings, or `own_root` in Drover's storage if they name no bucket.

    Raises ConfigurationError.
    """
    if settings.bucket_url is None:
        return open_root(own_root)
    parts = urlsplit(settings.bucket_url)
    prefix = unquote(parts.path).strip("/")
    if parts.scheme == "s3":
        return _open_s3(settings, parts.netloc, prefix, allow_private)
    return _open_gcs(settings, parts.netloc, prefix, allow_private)


def _open_s3(settings: BucketSettings, bucket: str, prefix: str, allow_private: bool) -> Store:
    from apps.engine.stores.s3 import S3Access, S3Store

    access = S3Access(
        bucket,
        access_key=settings.access_key_id,
        secret_key=_plain_text(settings.secret_access_key),
        session_token=_plain_text(settings.session_token),
        region=settings.region,
        endpoint_url=settings.endpoint_url,
    )
    return S3Store(access, prefix, allow_private=allow_private)


def _open_gcs(settings: BucketSettings, bucket: str, prefix: str, allow_private: bool) -> Store:
    from apps.engine.stores.gcs import GcsAccess, GcsStore

    key = _plain_text(settings.service_account_key)
    access = GcsAccess(bucket, service_account_key=key, endpoint_url=settings.endpoint_url)
    return GcsStore(access, prefix, allow_private=allow_private)


def _plain_text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
