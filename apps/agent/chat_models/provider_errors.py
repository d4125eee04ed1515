"""Turn the exceptions of providers into failures. Their texts may contain keys, so they are masked and cut."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator, Sequence

import httpx2
from langchain_core import exceptions

from apps.agent.chat_models import failures
from apps.agent.chat_models.failures import ModelFailed, ModelFailure
from apps.egress.async_http import (
    CompressedResponse,
    RedirectRefused,
    ResponseTooLarge,
    WebPageReceived,
)
from apps.egress.exceptions import EgressError
from apps.json import JsonObject

DETAIL_LENGTH = 300  # characters of a provider's message

BY_CLASS: tuple[tuple[type[Exception], ModelFailure], ...] = (
    (exceptions.ContextOverflowError, failures.TOO_LONG),
    (exceptions.ModelAuthenticationError, failures.AUTH),
    (exceptions.ModelPermissionDeniedError, failures.AUTH),
    (exceptions.ModelNotFoundError, failures.NOT_FOUND),
    (exceptions.ModelRateLimitError, failures.RATE_LIMITED),
    (exceptions.ModelInvalidRequestError, failures.REJECTED),
    (exceptions.ModelTimeoutError, failures.TIMEOUT),
    (exceptions.ModelAPIError, failures.UNAVAILABLE),
    (exceptions.ModelConnectionError, failures.UNAVAILABLE),
    (exceptions.ModelRefusalError, failures.REFUSED),
    (TimeoutError, failures.TIMEOUT),
    (httpx2.TimeoutException, failures.TIMEOUT),
    (ResponseTooLarge, failures.BAD_ANSWER),
    (httpx2.TransportError, failures.UNAVAILABLE),
)
BY_STATUS = {
    400: failures.REJECTED,
    401: failures.AUTH,
    403: failures.AUTH,
    404: failures.NOT_FOUND,
    408: failures.TIMEOUT,
    413: failures.TOO_LONG,
    422: failures.REJECTED,
    429: failures.RATE_LIMITED,
}
# A key that is not valid has status 400 at Google.
INVALID_KEY_TEXTS = ("API_KEY_INVALID", "API key not valid")
CONTEXT_TEXTS = ("context length", "context_length", "maximum context", "prompt is too long")


def failure_of(error: Exception, *, secrets: Sequence[str], is_begun: bool = False) -> ModelFailure:
    """Return the failure that an exception of a provider means. `secrets` are masked in its text.

    `is_begun` says that a part of the answer has arrived before.
    """
    if isinstance(error, ModelFailed):
        return error.failure
    refused = next((e for e in _causes(error) if isinstance(e, EgressError)), None)
    if refused is not None:
        failure = failures.UNAVAILABLE if refused.retryable else failures.HOST_REFUSED
        return failures.with_detail(failure, mask(refused.message, secrets))
    for cause in _causes(error):
        if isinstance(cause, RedirectRefused):
            return failures.REDIRECTED
        if isinstance(cause, CompressedResponse):
            return failures.COMPRESSED
        if isinstance(cause, WebPageReceived):
            return failures.WEB_PAGE
    text = str(error)
    failure = _by_text(text) or _by_status(error) or _by_class(error) or failures.UNAVAILABLE
    if is_begun and failure == failures.UNAVAILABLE:
        failure = failures.BROKEN_OFF
    failure = failures.with_wait(failure, retry_after(error))
    return failures.with_detail(failure, _detail(error, secrets))


def mask(text: str, secrets: Sequence[str]) -> str:
    """Return the text with *** instead of each secret."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def is_temporary(failure: ModelFailure) -> bool:
    """Return whether the same request may succeed a moment later."""
    return failure.code in {"model_rate_limited", "model_unavailable", "model_timeout"}


def retry_after(error: Exception) -> float | None:
    """Return the seconds that the provider asks to wait, or None if it does not say."""
    for cause in _causes(error):
        headers = getattr(getattr(cause, "response", None), "headers", None)
        value = headers.get("retry-after") if headers is not None else None
        if value:
            return _seconds(str(value))
    return None


def _seconds(value: str) -> float | None:
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _by_text(text: str) -> ModelFailure | None:
    if any(part in text for part in INVALID_KEY_TEXTS):
        return failures.AUTH
    if any(part in text.lower() for part in CONTEXT_TEXTS):
        return failures.TOO_LONG
    return None


def _by_status(error: Exception) -> ModelFailure | None:
    for cause in _causes(error):
        status = getattr(cause, "status_code", None) or getattr(cause, "code", None)
        if isinstance(status, int):
            return failures.UNAVAILABLE if status >= 500 else BY_STATUS.get(status)
    return None


def _by_class(error: Exception) -> ModelFailure | None:
    for cause in _causes(error):
        for kind, failure in BY_CLASS:
            if isinstance(cause, kind):
                return failure
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and what caused it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _detail(error: Exception, secrets: Sequence[str]) -> str:
    """Return the provider's own message, without the secrets."""
    text = next((t for t in map(_message_in_body, _causes(error)) if t), "")
    text = " ".join(mask(text, secrets).split())
    return text[:DETAIL_LENGTH] + ("…" if len(text) > DETAIL_LENGTH else "")


def _message_in_body(error: BaseException) -> str:
    body = getattr(error, "body", None) or getattr(error, "details", None)
    if not isinstance(body, dict):
        return ""
    inner: JsonObject = body["error"] if isinstance(body.get("error"), dict) else body
    message = inner.get("message")
    is_web_page = str(message).lstrip().startswith("<")  # of a proxy, not of the provider
    return message if isinstance(message, str) and not is_web_page else ""
