"""A Google Cloud Storage bucket as a store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import google.auth
import requests
from google.api_core.exceptions import (
    Forbidden,
    GoogleAPIError,
    NotFound,
    PreconditionFailed,
    Unauthorized,
)
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import storage
from google.cloud.storage.fileio import BlobWriter
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2.service_account import Credentials

from apps.egress.http import apply_policy
from apps.engine.failures import AuthenticationError, ConfigurationError, DestinationError
from apps.engine.stores import Draft, Entry, Store, SwapConflict

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
TIMEOUT = (10.0, 60.0)  # seconds to connect, and seconds between two bytes
# The version of an object on a server without generations, such as an emulator.
NO_GENERATION = "unknown"
PART_BYTES = 8 << 20  # bytes of a draft that are sent at once
RETRY = DEFAULT_RETRY.with_timeout(60.0)


@dataclass(frozen=True, slots=True)
class GcsAccess:
    """How to access a bucket.

    Without a key, a custom endpoint is accessed anonymously. Google's endpoint is accessed with this machine's own
    identity, which is allowed only for Drover's own storage.
    """

    bucket: str
    service_account_key: str | None = None
    endpoint_url: str | None = None


class GcsStore(Store):
    """Objects below `prefix` of one bucket.

    If `allow_private` is a bool, every request is subject to the egress policy. If it is None, requests are not
    checked, which is allowed only for Drover's own storage.
    """

    def __init__(self, access: GcsAccess, prefix: str, *, allow_private: bool | None) -> None:
        self._prefix = prefix.strip("/")
        credentials = _make_credentials(access)
        token_session = requests.Session()
        session = AuthorizedSession(credentials, auth_request=Request(token_session))
        if allow_private is not None:
            for http_session in (token_session, session):
                apply_policy(http_session, allow_private=allow_private)
                http_session.max_redirects = 0
        client = storage.Client(
            project="drover",
            credentials=credentials,
            _http=session,
            client_options={"api_endpoint": access.endpoint_url} if access.endpoint_url else None,
        )
        self._client, self._bucket = client, client.bucket(access.bucket)

    def full_key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def write(self, key: str, data: bytes) -> None:
        with _converting_errors(f"{key} could not be written"):
            self._upload(key, data)

    def read(self, key: str) -> bytes | None:
        data_and_version = self.read_version(key)
        return data_and_version[0] if data_and_version else None

    def read_version(self, key: str) -> tuple[bytes, str] | None:
        with _converting_errors(f"{key} could not be read"):
            blob = self._bucket.get_blob(self.full_key(key), timeout=TIMEOUT, retry=RETRY)
            if blob is None:
                return None
            try:
                data = blob.download_as_bytes(
                    if_generation_match=blob.generation, timeout=TIMEOUT, retry=RETRY
                )
            except NotFound:
                return None
            return data, str(blob.generation or NO_GENERATION)

    def size(self, key: str) -> int | None:
        with _converting_errors(f"The size of {key} could not be read"):
            blob = self._bucket.get_blob(self.full_key(key), timeout=TIMEOUT, retry=RETRY)
            return None if blob is None else int(blob.size)

    def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        for source, target in pairs:
            with _converting_errors(f"{target} could not be written"):
                try:
                    self._bucket.copy_blob(
                        self._bucket.blob(self.full_key(source)),
                        self._bucket,
                        self.full_key(target),
                        timeout=TIMEOUT,
                        retry=RETRY,
                    )
                except NotFound as error:
                    raise FileNotFoundError(source) from error

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with _converting_errors(f"{key} could not be removed"):
                try:
                    self._bucket.delete_blob(self.full_key(key), timeout=TIMEOUT, retry=RETRY)
                except NotFound:
                    continue

    def entries(self, prefix: str) -> Iterator[Entry]:
        prefix_length = len(self.full_key(""))
        with _converting_errors(f"{prefix} could not be listed"):
            for blob in self._client.list_blobs(
                self._bucket, prefix=self.full_key(prefix), timeout=TIMEOUT, retry=RETRY
            ):
                yield Entry(blob.name[prefix_length:], int(blob.size), blob.updated)

    def swap(self, key: str, data: bytes, version: str | None) -> None:
        condition = {} if version == NO_GENERATION else {"if_generation_match": int(version or 0)}
        with _converting_errors(f"{key} could not be replaced"):
            try:
                self._upload(key, data, **condition)
            except PreconditionFailed as error:
                raise SwapConflict(key) from error

    def draft(self, key: str, scratch_key: str) -> Draft:
        return _GcsDraft(self._bucket.blob(self.full_key(key)), key)

    def discard_drafts(self, prefix: str, scratch_prefix: str, *, before: datetime) -> None:
        """Do nothing: Google removes an incomplete upload after a week, and it cannot be listed."""

    def close(self) -> None:
        self._client.close()

    def _upload(self, key: str, data: bytes, **condition: Any) -> None:
        self._bucket.blob(self.full_key(key)).upload_from_string(
            data,
            content_type="application/octet-stream",
            timeout=TIMEOUT,
            retry=RETRY,
            checksum="crc32c",
            **condition,
        )


class _GcsDraft(Draft):
    """A resumable upload, which creates the object when it ends."""

    def __init__(self, blob: Any, key: str) -> None:
        self._key = key
        self._writer = BlobWriter(
            blob,
            chunk_size=PART_BYTES,
            retry=RETRY,
            content_type="application/octet-stream",
            timeout=TIMEOUT,
            checksum="crc32c",
        )

    def write(self, data: bytes) -> None:
        with self._converting_errors():
            self._writer.write(data)

    def flush(self) -> None:
        """Do nothing: all but the last part was sent, and the last part ends the upload."""

    def commit(self) -> None:
        with self._converting_errors():
            self._writer.close()

    def discard(self) -> None:
        if not self._writer.closed:
            with self._converting_errors():
                self._writer.terminate()

    def _converting_errors(self) -> AbstractContextManager[None]:
        return _converting_errors(f"{self._key} could not be written")


def _make_credentials(access: GcsAccess) -> Any:
    if access.service_account_key:
        return credentials_from_key(access.service_account_key)
    if access.endpoint_url:
        return AnonymousCredentials()
    try:
        return google.auth.default(scopes=[SCOPE])[0]
    except GoogleAuthError as error:
        raise AuthenticationError("This machine has no Google Cloud identity") from error


def credentials_from_key(key: str) -> Credentials:
    """Create credentials from a service account's JSON key. The token URL in the key is ignored.

    Raises ConfigurationError if the text is not such a key.
    """
    try:
        parsed = json.loads(key)
        if not isinstance(parsed, Mapping) or parsed.get("type") != "service_account":
            raise ConfigurationError("service_account_key is not the JSON key of a service account")
        key_info = {**parsed, "token_uri": TOKEN_URI, "universe_domain": "googleapis.com"}
        credentials: Credentials = Credentials.from_service_account_info(key_info, scopes=[SCOPE])
    except (ValueError, GoogleAuthError):
        raise ConfigurationError(
            "service_account_key is not the JSON key of a service account"
        ) from None  # Hide the cause, which quotes parts of the key.
    return credentials


@contextmanager
def _converting_errors(problem: str) -> Iterator[None]:
    """Convert Google's errors to failures, with the code and the message as evidence."""
    try:
        yield
    except (requests.RequestException, TransportError) as error:
        raise DestinationError(
            f"{problem}: the bucket cannot be reached", evidence=(_error_line(error),)
        ) from error
    except (Unauthorized, Forbidden, GoogleAuthError) as error:
        raise AuthenticationError(
            f"{problem}: the bucket refused the credentials", evidence=(_error_line(error),)
        ) from error
    except NotFound as error:
        raise ConfigurationError(
            f"{problem}: there is no such bucket", evidence=(_error_line(error),)
        ) from error
    except GoogleAPIError as error:
        raise DestinationError(
            f"{problem}: the bucket returned an error", evidence=(_error_line(error),)
        ) from error


def _error_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:400]
