"""An S3 bucket, or a bucket of an S3-compatible server, as a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import requests
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.session import Session
from urllib3.exceptions import HTTPError

from apps.egress.http import PolicySession
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    DestinationError,
    EngineError,
)
from apps.engine.stores import Draft, Entry, Store, SwapConflict

CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds between two bytes
MAX_ATTEMPTS = 4
PART_BYTES = 8 << 20  # bytes of the first parts of a draft; S3 accepts parts from 5 MiB on
PARTS_PER_SIZE = (
    1000  # after so many parts, parts are twice as large, because S3 accepts 10,000 parts
)

FAILURES_BY_CODE: dict[str, type[EngineError]] = {
    "403": AuthenticationError,
    "AccessDenied": AuthenticationError,
    "InvalidAccessKeyId": AuthenticationError,
    "SignatureDoesNotMatch": AuthenticationError,
    "ExpiredToken": AuthenticationError,
    "InvalidToken": AuthenticationError,
    "AllAccessDisabled": AuthenticationError,
    "NoSuchBucket": ConfigurationError,
    "InvalidBucketName": ConfigurationError,
    "PermanentRedirect": ConfigurationError,
    "AuthorizationHeaderMalformed": ConfigurationError,
    "IllegalLocationConstraintException": ConfigurationError,
}
MISSING_CODES = {"404", "NoSuchKey", "NotFound"}
CONFLICT_CODES = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to access a bucket.

    Without keys, this machine's own identity is used, which is allowed only for Drover's own storage.
    """

    bucket: str
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    region: str | None = None
    endpoint_url: str | None = None


class S3Store(Store):
    """Objects below `prefix` of one bucket.

    If `allow_private` is a bool, every request is subject to the egress policy. If it is None, requests are not
    checked, which is allowed only for Drover's own storage.
    """

    def __init__(self, access: S3Access, prefix: str, *, allow_private: bool | None) -> None:
        self._bucket = access.bucket
        self._prefix = prefix.strip("/")
        self._client = _make_client(access)
        self._session: PolicySession | None = None
        if allow_private is not None:
            self._session = PolicySession(
                allow_private=allow_private, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
            )
            self._client.meta.events.register("before-send.s3", _make_sender(self._session))

    def full_key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def write(self, key: str, data: bytes) -> None:
        with _converting_errors(f"{key} could not be written"):
            self._client.put_object(**self._location(key), Body=data)

    def read(self, key: str) -> bytes | None:
        data_and_version = self.read_version(key)
        return data_and_version[0] if data_and_version else None

    def read_version(self, key: str) -> tuple[bytes, str] | None:
        with _converting_errors(f"{key} could not be read"):
            try:
                response = self._client.get_object(**self._location(key))
            except ClientError as error:
                if _error_code(error) in MISSING_CODES:
                    return None
                raise
            return response["Body"].read(), response["ETag"]

    def size(self, key: str) -> int | None:
        with _converting_errors(f"The size of {key} could not be read"):
            try:
                return int(self._client.head_object(**self._location(key))["ContentLength"])
            except ClientError as error:
                if _error_code(error) in MISSING_CODES:
                    return None
                raise

    def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        for source, target in pairs:
            with _converting_errors(f"{target} could not be written"):
                try:
                    self._client.copy_object(
                        **self._location(target), CopySource=self._location(source)
                    )
                except ClientError as error:
                    if _error_code(error) in MISSING_CODES:
                        raise FileNotFoundError(source) from error
                    raise

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with _converting_errors(f"{key} could not be removed"):
                self._client.delete_object(**self._location(key))

    def entries(self, prefix: str) -> Iterator[Entry]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self.full_key(prefix)
        )
        prefix_length = len(self.full_key(""))
        with _converting_errors(f"{prefix} could not be listed"):
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Entry(item["Key"][prefix_length:], item["Size"], item["LastModified"])

    def swap(self, key: str, data: bytes, version: str | None) -> None:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with _converting_errors(f"{key} could not be replaced"):
            try:
                self._client.put_object(**self._location(key), Body=data, **condition)
            except ClientError as error:
                if _error_code(error) in CONFLICT_CODES:
                    raise SwapConflict(key) from error
                if _error_code(error) not in {"501", "NotImplemented"}:
                    raise
                # The server does not support conditional writes.
                self._client.put_object(**self._location(key), Body=data)

    def draft(self, key: str, scratch_key: str) -> Draft:
        return _S3Draft(self._client, self._location(key), key)

    def discard_drafts(self, prefix: str, scratch_prefix: str, *, before: datetime) -> None:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=self.full_key(prefix)
        )
        with _converting_errors(f"The uploads to {prefix} could not be listed"):
            for page in pages:
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] < before:
                        self._client.abort_multipart_upload(
                            Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )

    def close(self) -> None:
        self._client.close()
        if self._session:
            self._session.close()

    def _location(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self.full_key(key)}


class _S3Draft(Draft):
    """A multipart upload. An object that fits into one part is written at once."""

    def __init__(self, client: Any, location: dict[str, str], key: str) -> None:
        self._client, self._location, self._key = client, location, key
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= (size := PART_BYTES << len(self._parts) // PARTS_PER_SIZE):
            self._send_part(bytes(self._buffer[:size]))
            del self._buffer[:size]

    def flush(self) -> None:
        if self._upload_id is not None and self._buffer:
            self._send_part(bytes(self._buffer))
            self._buffer.clear()

    def commit(self) -> None:
        self.flush()
        with self._converting_errors():
            if self._upload_id is None:
                self._client.put_object(**self._location, Body=bytes(self._buffer))
            else:
                self._client.complete_multipart_upload(
                    **self._location,
                    UploadId=self._upload_id,
                    MultipartUpload={"Parts": self._parts},
                )
                self._upload_id = None

    def discard(self) -> None:
        self._buffer.clear()
        upload_id, self._upload_id = self._upload_id, None
        if upload_id is not None:
            with self._converting_errors():
                self._client.abort_multipart_upload(**self._location, UploadId=upload_id)

    def _send_part(self, data: bytes) -> None:
        with self._converting_errors():
            if self._upload_id is None:
                upload = self._client.create_multipart_upload(**self._location)
                self._upload_id = upload["UploadId"]
            number = len(self._parts) + 1
            part = self._client.upload_part(
                **self._location, UploadId=self._upload_id, PartNumber=number, Body=data
            )
        self._parts.append({"PartNumber": number, "ETag": part["ETag"]})

    def _converting_errors(self) -> AbstractContextManager[None]:
        return _converting_errors(f"{self._key} could not be written")


def _make_client(access: S3Access) -> Any:
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
        s3={"addressing_style": "path" if access.endpoint_url else "auto"},
        # Servers other than Amazon's reject the newer checksum trailers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return _botocore_session().create_client(
            "s3",
            aws_access_key_id=access.access_key,
            aws_secret_access_key=access.secret_key,
            aws_session_token=access.session_token,
            region_name=access.region or "us-east-1",
            endpoint_url=access.endpoint_url,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError("The bucket's settings are not valid") from error


@cache
def _botocore_session() -> Any:
    """Load the service description once; each client has its own credentials."""
    return Session()


def _make_sender(session: PolicySession) -> Callable[..., AWSResponse]:
    """Return a function that sends botocore's signed requests under the egress policy.

    Redirects are not followed, because S3 does not need them.
    """

    def send(request: Any, **_: Any) -> AWSResponse:
        headers = {name: _to_text(value) for name, value in request.headers.items()}
        headers.pop("Expect", None)
        try:
            response = session.request(
                request.method,
                request.url,
                data=request.body,
                headers=headers,
                stream=True,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise HTTPClientError(error=error) from error
        if response.is_redirect and "x-amz-bucket-region" not in response.headers:
            # botocore would look up the bucket's region and be redirected again, endlessly.
            raise ConfigurationError(
                "The endpoint redirects to another address",
                evidence=(f"HTTP {response.status_code}",),
            )
        return AWSResponse(request.url, response.status_code, response.headers, response.raw)

    return send


def _to_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _converting_errors(problem: str) -> Iterator[None]:
    """Convert S3's errors to failures, with the code and the message as evidence."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "?")
        message = str(error.response.get("Error", {}).get("Message", ""))[:300]
        error_class = FAILURES_BY_CODE.get(_error_code(error), DestinationError)
        raise error_class(
            f"{problem}: the bucket returned {_error_code(error)}",
            evidence=(f"HTTP {status} {_error_code(error)}: {message}",),
        ) from error
    except FileNotFoundError:
        raise
    except (BotoCoreError, HTTPError, OSError) as error:
        raise DestinationError(
            f"{problem}: the bucket cannot be reached",
            evidence=(f"{type(error).__name__}: {error}",),
        ) from error
