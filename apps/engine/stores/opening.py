"""Open the store that a storage root names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from apps.engine.contract import StorageRoot
from apps.engine.failures import ConfigurationError
from apps.engine.stores import Store
from apps.engine.stores.local import LocalStore


def open_root(root: StorageRoot) -> Store:
    """Open Drover's own storage, which the operator's settings name. Raises ConfigurationError."""
    parts = urlsplit(root.url)
    if parts.scheme == "file":
        return LocalStore(Path(unquote(parts.path)), root.prefix)
    prefix = "/".join(filter(None, (parts.path.strip("/"), root.prefix.strip("/"))))
    if parts.scheme == "s3":
        return _open_own_s3(parts.netloc, prefix, root.options)
    if parts.scheme == "gs":
        return _open_own_gcs(parts.netloc, prefix, root.options)
    raise ConfigurationError(f"Drover cannot store files at {parts.scheme}://")


def local_folder(root: StorageRoot) -> Path | None:
    """Return the folder of Drover's own storage, or None if it is a bucket."""
    parts = urlsplit(root.url)
    return Path(unquote(parts.path)) / root.prefix.strip("/") if parts.scheme == "file" else None


def _open_own_s3(bucket: str, prefix: str, options: Mapping[str, Any]) -> Store:
    from apps.engine.stores.s3 import S3Access, S3Store

    access = S3Access(
        bucket,
        access_key=options.get("access_key"),
        secret_key=options.get("secret_key"),
        session_token=options.get("session_token"),
        region=options.get("region"),
        endpoint_url=_endpoint_url(options),
    )
    return S3Store(access, prefix, allow_private=None)


def _open_own_gcs(bucket: str, prefix: str, options: Mapping[str, Any]) -> Store:
    from apps.engine.stores.gcs import GcsAccess, GcsStore

    access = GcsAccess(
        bucket,
        service_account_key=options.get("service_account_key"),
        endpoint_url=_endpoint_url(options),
    )
    return GcsStore(access, prefix, allow_private=None)


def _endpoint_url(options: Mapping[str, Any]) -> str | None:
    """Return pyarrow's options `endpoint_override` and `scheme` as one URL."""
    endpoint = options.get("endpoint_override")
    if not endpoint or "://" in str(endpoint):
        return endpoint
    return f"{options.get('scheme', 'https')}://{endpoint}"
