"""An S3 bucket, or a bucket of an S3-compatible server, as a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from apps.engine.stores import Entry, Store, SwapConflict

CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds between two bytes
ATTEMPTS = 4

REFUSALS: dict[str, type[EngineError]] = {
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
MISSING = {"404", "NoSuchKey", "NotFound"}
CONFLICT = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to access a bucket. Without keys this machine's own identity is used, only for Drover's own storage."""

    bucket: str
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    region: str | None = None
    endpoint_url: str | None = None


class S3Store(Store):
    """Objects below `prefix` of one bucket.

    If `allow_private` is a bool, every request is subject to the egress policy; None trusts the endpoint, which
    only the operator's settings may do.
    """

    def __init__(self, access: S3Access, prefix: str, *, allow_private: bool | None) -> None:
        self._bucket = access.bucket
        self._prefix = prefix.strip("/")
        self._client = _client(access)
        self._session: PolicySession | None = None
        if allow_private is not None:
            self._session = PolicySession(
                allow_private=allow_private, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
            )
            self._client.meta.events.register("before-send.s3", _sender(self._session))

    def full_key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def write(self, key: str, data: bytes) -> None:
        with _explained(f"{key} could not be written"):
            self._client.put_object(**self._at(key), Body=data)

    def read(self, key: str) -> bytes | None:
        found = self.read_version(key)
        return found[0] if found else None

    def read_version(self, key: str) -> tuple[bytes, str] | None:
        with _explained(f"{key} could not be read"):
            try:
                answer = self._client.get_object(**self._at(key))
            except ClientError as error:
                if _code(error) in MISSING:
                    return None
                raise
            return answer["Body"].read(), answer["ETag"]

    def size(self, key: str) -> int | None:
        with _explained(f"{key} could not be found"):
            try:
                return int(self._client.head_object(**self._at(key))["ContentLength"])
            except ClientError as error:
                if _code(error) in MISSING:
                    return None
                raise

    def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        for source, target in pairs:
            with _explained(f"{target} could not be written"):
                try:
                    self._client.copy_object(**self._at(target), CopySource=self._at(source))
                except ClientError as error:
                    if _code(error) in MISSING:
                        raise FileNotFoundError(source) from error
                    raise

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with _explained(f"{key} could not be removed"):
                self._client.delete_object(**self._at(key))

    def entries(self, prefix: str) -> Iterator[Entry]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self.full_key(prefix)
        )
        own = len(self.full_key(""))
        with _explained(f"{prefix} could not be listed"):
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Entry(item["Key"][own:], item["Size"], item["LastModified"])

    def swap(self, key: str, data: bytes, version: str | None) -> None:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with _explained(f"{key} could not be replaced"):
            try:
                self._client.put_object(**self._at(key), Body=data, **condition)
            except ClientError as error:
                if _code(error) in CONFLICT:
                    raise SwapConflict(key) from error
                if _code(error) not in {"501", "NotImplemented"}:
                    raise
                # Fallback for servers without conditional writes.
                self._client.put_object(**self._at(key), Body=data)

    def close(self) -> None:
        self._client.close()
        if self._session:
            self._session.close()

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self.full_key(key)}


def _client(access: S3Access) -> Any:
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        s3={"addressing_style": "path" if access.endpoint_url else "auto"},
        # Servers other than Amazon's reject the newer checksum trailers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return _session().create_client(
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
def _session() -> Any:
    """Load the service description once; each client has its own credentials."""
    return Session()


def _sender(session: PolicySession) -> Callable[..., AWSResponse]:
    """Send botocore's signed requests under the egress policy, without redirects, which S3 does not need."""

    def send(request: Any, **_: Any) -> AWSResponse:
        headers = {name: _text(value) for name, value in request.headers.items()}
        headers.pop("Expect", None)
        try:
            answer = session.request(
                request.method,
                request.url,
                data=request.body,
                headers=headers,
                stream=True,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise HTTPClientError(error=error) from error
        if answer.is_redirect and "x-amz-bucket-region" not in answer.headers:
            # botocore would look up the bucket's region and be redirected again, endlessly.
            raise ConfigurationError(
                "The endpoint redirects to another address",
                evidence=(f"HTTP {answer.status_code}",),
            )
        return AWSResponse(request.url, answer.status_code, answer.headers, answer.raw)

    return send


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Convert S3's errors to failures, with the code and the message as evidence."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "?")
        message = str(error.response.get("Error", {}).get("Message", ""))[:300]
        failure = REFUSALS.get(_code(error), DestinationError)
        raise failure(
            f"{what}: the bucket returned {_code(error)}",
            evidence=(f"HTTP {status} {_code(error)}: {message}",),
        ) from error
    except FileNotFoundError:
        raise
    except (BotoCoreError, HTTPError, OSError) as error:
        raise DestinationError(
            f"{what}: the bucket cannot be reached", evidence=(f"{type(error).__name__}: {error}",)
        ) from error
