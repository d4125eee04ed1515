"""Send HTTP requests, and convert failures to errors with the status line and the beginning of the body."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import requests

from apps.egress.http import BodyTooLargeError, BodyTooSlowError, read_body, url_without_secrets
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    RateLimitError,
    SourceError,
)
from apps.engine.library import responses
from apps.engine.process.progress import progress
from apps.engine.reporting.classify import parse_retry_after

ResultT = TypeVar("ResultT")

MAX_SHOWN_BODY = 200  # bytes of a body that are stored as evidence
MAX_FAILED_BODY = 64 << 10  # bytes to read of a failed response's body

REFUSED_CREDENTIALS_STATUSES = frozenset({401, 403, 407})
TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524})


@dataclass(frozen=True, slots=True)
class CompleteResponse:
    """A response whose body has been read. `request_line` is the method and URL of its request."""

    status_line: str
    request_line: str
    headers: Mapping[str, str]
    body: bytes
    links: Mapping[str, Any]
    status: int = HTTPStatus.OK

    @property
    def evidence(self) -> tuple[str, ...]:
        return (self.request_line, self.status_line, *body_evidence(self.body))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limits and retries of requests. All times are in seconds."""

    timeout: float = 60.0  # for one whole response
    retries: int = 3
    # If Retry-After is longer, there is no retry, and the error contains the value of Retry-After.
    longest_wait: float = 30.0
    max_bytes: int = 64 << 20  # of one response's body


class RetryingClient:
    """Sends requests in one session, and retries requests that may succeed later."""

    def __init__(
        self,
        session: requests.Session,
        policy: RetryPolicy,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._policy = policy
        self._sleep = sleep

    def request(
        self,
        parse_response: Callable[[CompleteResponse], ResultT],
        method: str,
        url: str,
        accepted: Container[int] = (),
        **options: Any,
    ) -> ResultT:
        """Return the result of `parse_response`, after at most `retries` retries. Raises EngineError.

        A retryable error of `parse_response` also causes a retry. Statuses of 400 and above are errors unless they are
        `accepted`.
        """
        attempt = 0
        while True:
            try:
                return parse_response(self._request_once(method, url, accepted, **options))
            except (SourceError, RateLimitError) as error:
                wait = self._seconds_to_wait(attempt, error)
                if wait is None:
                    raise
            with progress.expect_silence("waiting to retry", wait):
                self._sleep(wait)
            attempt += 1

    def _request_once(
        self, method: str, url: str, accepted: Container[int], **options: Any
    ) -> CompleteResponse:
        request_line = f"{method} {url_without_secrets(url)}"
        try:
            response = self._session.request(method, url, stream=True, **options)
            with response:
                _require_method(method, response)
                return self._read_response(request_line, response, accepted)
        except (requests.RequestException, BodyTooLargeError, BodyTooSlowError) as error:
            raise request_failure(error, request_line) from error

    def _read_response(
        self, request_line: str, response: requests.Response, accepted: Container[int]
    ) -> CompleteResponse:
        policy = self._policy
        is_failed = response.status_code >= HTTPStatus.BAD_REQUEST
        limit = MAX_FAILED_BODY if is_failed else policy.max_bytes
        try:
            body = read_body(response, limit=limit, seconds=policy.timeout)
        except BodyTooLargeError:
            if not is_failed:
                raise
            body = b""
        complete_response = CompleteResponse(
            status_line(response),
            request_line,
            response.headers,
            body,
            dict(response.links),
            response.status_code,
        )
        if is_failed and response.status_code not in accepted:
            raise status_failure(response.status_code, complete_response)
        return complete_response

    def _seconds_to_wait(self, attempt: int, error: EngineError) -> float | None:
        """Return the seconds until the next attempt, or None if there is no further attempt."""
        if attempt >= self._policy.retries or not error.retryable:
            return None
        if error.retry_after is None:
            return float(min(2**attempt, self._policy.longest_wait))
        return error.retry_after if error.retry_after <= self._policy.longest_wait else None


def _require_method(method: str, response: requests.Response) -> None:
    """Raise ConfigurationError if a redirect has turned a POST into a GET, which has lost its body."""
    if response.request.method != method:
        raise ConfigurationError(
            f"the source redirects the {method} request, which would lose its body; use the address to which it leads",
            evidence=(url_without_secrets(response.url),),
        )


class TokenRefused(AuthenticationError):
    """The source answered with status 401: the credentials are wrong, or a token is not valid any more."""


class RequestRefused(ConfigurationError):
    """The source answered with a status of 400 to 499 that says that the request is wrong."""


class PermanentSourceError(SourceError):
    """The source responds, but retrying without changes cannot help."""

    retryable = False


def status_failure(status: int, response: CompleteResponse) -> EngineError:
    """Return the EngineError for a response with a status of 400 or above."""
    evidence = response.evidence
    retry_after = parse_retry_after(response.headers.get("Retry-After"))
    if responses.limits_rate(status, response.headers):
        return RateLimitError(
            f"the source rate-limits requests ({status})",
            evidence=evidence,
            retry_after=retry_after,
        )
    if status in REFUSED_CREDENTIALS_STATUSES:
        error_type = TokenRefused if status == HTTPStatus.UNAUTHORIZED else AuthenticationError
        return error_type(f"the source refused the credentials ({status})", evidence=evidence)
    if status in TEMPORARY_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SourceError(
            f"the source returned an error ({status})", evidence=evidence, retry_after=retry_after
        )
    return RequestRefused(f"the source did not accept the request ({status})", evidence=evidence)


def request_failure(error: Exception, request_line: str) -> EngineError:
    """Return the EngineError for a request without a complete response."""
    if isinstance(error, BodyTooLargeError):
        return PermanentSourceError(str(error), evidence=(request_line,))
    if isinstance(error, BodyTooSlowError):
        return SourceError(str(error), evidence=(request_line,))
    reason = _failure_reason(error)
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return ConfigurationError("the address is not valid", evidence=(request_line,))
    if isinstance(error, requests.exceptions.InvalidHeader | requests.exceptions.MissingSchema):
        return ConfigurationError("the request is not valid", evidence=(request_line,))
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return PermanentSourceError(
            "the source redirects endlessly", evidence=(request_line, reason)
        )
    if isinstance(error, requests.exceptions.SSLError):
        return SourceError(
            "the TLS handshake with the source failed", evidence=(request_line, reason)
        )
    if isinstance(error, requests.exceptions.Timeout):
        return SourceError("the source did not respond in time", evidence=(request_line, reason))
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return SourceError("the response was incomplete", evidence=(request_line, reason))
    if isinstance(error, requests.exceptions.ConnectionError):
        return SourceError("the source could not be reached", evidence=(request_line, reason))
    return SourceError("the request failed", evidence=(request_line, reason))


def status_line(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


def body_evidence(body: bytes) -> tuple[str, ...]:
    """Return the first bytes of a body as one line, or an empty tuple for an empty body."""
    text = " ".join(body[:MAX_SHOWN_BODY].decode("utf-8", "replace").split())
    return (text,) if text else ()


def _failure_reason(error: Exception) -> str:
    """Return the innermost reason, without the URL that `requests` adds, because it may contain secrets."""
    inner: BaseException = error
    while True:
        cause = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
        if not isinstance(cause, BaseException):
            break
        inner = cause
    texts = [part for part in inner.args if isinstance(part, str)]
    text = texts[-1] if texts else str(inner)
    if "(host=" in text:
        text = text.partition(": ")[2]
    return f"{type(inner).__name__}: {text}"[:300]
