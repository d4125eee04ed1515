"""Send HTTP requests and explain failures, with the status line and the beginning of the body."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
from apps.engine.process.progress import progress
from apps.engine.reporting.classify import parse_retry_after

Read = TypeVar("Read")

SHOWN_BODY = 200  # bytes of a body kept as evidence
FAILED_BODY = 64 << 10  # bytes read at most of a failed response's body

AUTHENTICATION = frozenset({401, 403, 407})
MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524})


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response: status below 400, headers, body."""

    status_line: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    links: Mapping[str, Any]

    @property
    def evidence(self) -> tuple[str, ...]:
        return (self.url, self.status_line, *shown_body(self.body))


@dataclass(frozen=True, slots=True)
class Patience:
    """Timeouts and retries. All times are in seconds."""

    timeout: float = 60.0  # for one whole response
    retries: int = 3
    longest_wait: float = (
        30.0  # a longer Retry-After ends the run with that advice instead of waiting
    )
    max_bytes: int = 64 << 20


class Asker:
    """Sends the requests of one session, and retries those that may succeed later."""

    def __init__(
        self,
        session: requests.Session,
        patience: Patience,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._patience = patience
        self._sleep = sleep

    def ask(self, method: str, url: str, **options: Any) -> Answer:
        """Return the response, after at most `retries` retries. Raises EngineError."""
        return self.ask_for(lambda answer: answer, method, url, **options)

    def ask_for(
        self, read: Callable[[Answer], Read], method: str, url: str, **options: Any
    ) -> Read:
        """Return the result of `read` for the response; a retryable error of `read` leads to a retry too."""
        attempt = 0
        while True:
            try:
                return read(self._ask_once(method, url, **options))
            except (SourceError, RateLimitError) as error:
                wait = self._wait(attempt, error)
                if wait is None:
                    raise
            with progress.expect_silence("waiting to retry", wait):
                self._sleep(wait)
            attempt += 1

    def _ask_once(self, method: str, url: str, **options: Any) -> Answer:
        asked = f"{method} {url_without_secrets(url)}"
        try:
            response = self._session.request(method, url, stream=True, **options)
            with response:
                return self._answer(asked, response)
        except (requests.RequestException, BodyTooLargeError, BodyTooSlowError) as error:
            raise unanswered(error, asked) from error

    def _answer(self, asked: str, response: requests.Response) -> Answer:
        patience = self._patience
        failed = response.status_code >= HTTPStatus.BAD_REQUEST
        limit = FAILED_BODY if failed else patience.max_bytes
        try:
            body = read_body(response, limit=limit, seconds=patience.timeout)
        except BodyTooLargeError:
            if not failed:
                raise
            body = b""
        answer = Answer(status_line(response), asked, response.headers, body, dict(response.links))
        if failed:
            raise refused(response.status_code, answer)
        return answer

    def _wait(self, attempt: int, error: EngineError) -> float | None:
        """Return the seconds until the next try, None if there is none."""
        if attempt >= self._patience.retries or not error.retryable:
            return None
        if error.retry_after is None:
            return float(min(2**attempt, self._patience.longest_wait))
        return error.retry_after if error.retry_after <= self._patience.longest_wait else None


class UnhelpfulSourceError(SourceError):
    """The source responds, but retrying without changes cannot help."""

    retryable = False


def refused(status: int, answer: Answer) -> EngineError:
    """Create our error for a status of 400 and above."""
    evidence = answer.evidence
    if status in AUTHENTICATION:
        return AuthenticationError(
            f"the source refused the credentials ({status})", evidence=evidence
        )
    wait = parse_retry_after(answer.headers.get("Retry-After"))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitError(
            "the source rate-limits requests (429)", evidence=evidence, retry_after=wait
        )
    if status in MAY_PASS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SourceError(
            f"the source returned an error ({status})", evidence=evidence, retry_after=wait
        )
    return ConfigurationError(
        f"the source did not accept the request ({status})", evidence=evidence
    )


def unanswered(error: Exception, asked: str) -> EngineError:
    """Create our error for a request without a complete response."""
    if isinstance(error, BodyTooLargeError):
        return UnhelpfulSourceError(str(error), evidence=(asked,))
    if isinstance(error, BodyTooSlowError):
        return SourceError(str(error), evidence=(asked,))
    reason = _reason(error)
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return ConfigurationError("the address is not valid", evidence=(asked,))
    if isinstance(error, requests.exceptions.InvalidHeader | requests.exceptions.MissingSchema):
        return ConfigurationError("the request is not valid", evidence=(asked,))
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return UnhelpfulSourceError("the source redirects endlessly", evidence=(asked, reason))
    if isinstance(error, requests.exceptions.SSLError):
        return SourceError("the TLS handshake with the source failed", evidence=(asked, reason))
    if isinstance(error, requests.exceptions.Timeout):
        return SourceError("the source did not respond in time", evidence=(asked, reason))
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return SourceError("the response was incomplete", evidence=(asked, reason))
    if isinstance(error, requests.exceptions.ConnectionError):
        return SourceError("the source could not be reached", evidence=(asked, reason))
    return SourceError("the request failed", evidence=(asked, reason))


def status_line(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


def shown_body(body: bytes) -> tuple[str, ...]:
    """Return the first bytes of a body on one line, an empty string for an empty body."""
    text = " ".join(body[:SHOWN_BODY].decode("utf-8", "replace").split())
    return (text,) if text else ()


def _reason(error: Exception) -> str:
    """Return the innermost reason, without the URL (and its secrets) that `requests` adds."""
    inner: BaseException = error
    while True:
        held = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
        if not isinstance(held, BaseException):
            break
        inner = held
    said = [part for part in inner.args if isinstance(part, str)]
    text = said[-1] if said else str(inner)
    if "(host=" in text:
        text = text.partition(": ")[2]
    return f"{type(inner).__name__}: {text}"[:300]
