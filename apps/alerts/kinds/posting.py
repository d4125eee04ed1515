"""Send a message by an HTTP POST, under the egress policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from rest_framework import serializers

from apps.alerts.kinds.answers import Answer
from apps.egress import allowlist
from apps.egress.exceptions import EgressError
from apps.egress.http import PolicySession, time_limit, total_time_limit

CONNECT_TIMEOUT = 5.0  # seconds
ANSWER_TIMEOUT = 10.0  # seconds until the headers are complete, and again for the body
TOTAL_SECONDS = 15.0  # from the connection to the end of the body, which is cut off then
MAX_ANSWER_BYTES = 2000
MAX_ANSWER_LENGTH = 500  # characters that are stored
MIN_SECRET_LENGTH = 8  # shorter secrets are not searched in answers
MIN_PART_LENGTH = 4  # of a secret at the end of an answer
REPLACED = "[secret]"
TRANSIENT_STATUSES = frozenset({408, 429})


class UrlField(serializers.CharField):
    """An https URL; http only if private networks are allowed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=2000, label="URL", **options)

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data)).strip()
        schemes = {"https", "http"} if settings.ALLOW_PRIVATE_NETWORKS else {"https"}
        host = None
        with suppress(ValueError):
            host = allowlist.host_of(text) if urlsplit(text).scheme in schemes else None
        is_plain = text.isascii() and text.isprintable() and " " not in text
        if host is None or "*" in host or allowlist.entry_problem(host) or not is_plain:
            message = "Enter an https URL, like https://hooks.example.com/drover."
            raise serializers.ValidationError(message, code="invalid")
        if urlsplit(text).username or urlsplit(text).password:
            message = "Enter the URL without user and password."
            raise serializers.ValidationError(message, code="invalid")
        return text


class KeyField(serializers.RegexField):
    """A key of another system, which is sent in a header or in JSON."""

    def __init__(self, **options: Any) -> None:
        message = "Enter the key without spaces."
        super().__init__(r"\A[\x21-\x7e]+\Z", error_messages={"invalid": message}, **options)


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    allow_private: bool = False,
) -> Answer:
    """Send the body, and return the answer. `secrets` are replaced in the answer, in case the other side repeats them.

    Redirects are not followed: most clients repeat them as a GET without the body, and they could lead elsewhere.
    """
    session = PolicySession(
        allow_private=allow_private or settings.ALLOW_PRIVATE_NETWORKS,
        timeout=(CONNECT_TIMEOUT, ANSWER_TIMEOUT),
    )
    headers = {"User-Agent": "Drover", "Content-Type": "application/json", **headers}
    try:
        with (
            total_time_limit(TOTAL_SECONDS),
            session,
            session.post(
                url, data=body, headers=headers, allow_redirects=False, stream=True
            ) as response,
        ):
            return _answer(response, secrets)
    except EgressError as error:
        reason = error.message
        return Answer(f"{reason[:1].upper()}{reason[1:]}.", retryable=error.retryable)
    except requests.exceptions.SSLError:
        return Answer("The certificate of the server is not valid.", retryable=True)
    except requests.Timeout:
        return Answer("The server did not answer in time.", retryable=True)
    # The texts of these exceptions contain the URL, which may be a secret.
    except requests.RequestException:
        return Answer(
            "The server could not be reached, or it closed the connection.", retryable=True
        )


def _answer(response: requests.Response, secrets: Sequence[str]) -> Answer:
    status = response.status_code
    text = _read_text(response, secrets)
    if 200 <= status < 300:
        return Answer(status=status, text=text)
    if 300 <= status < 400:
        problem = (
            f"The server answered {status}, a redirect, which is not followed: enter the final URL."
        )
        return Answer(problem, status=status, text=text)
    return Answer(
        f"The server answered {status}.",
        retryable=status >= 500 or status in TRANSIENT_STATUSES,
        status=status,
        text=text,
        retry_after=_seconds(response.headers.get("Retry-After", "")),
    )


def _read_text(response: requests.Response, secrets: Sequence[str]) -> str:
    """Return the beginning of the body. A body that does not arrive is empty: the status has decided."""
    body = b""
    with suppress(requests.RequestException), time_limit(response, ANSWER_TIMEOUT):
        for chunk in response.iter_content(MAX_ANSWER_BYTES):
            body += chunk
            if len(body) >= MAX_ANSWER_BYTES:
                break
    text = body.decode(errors="replace").replace("\0", "")
    return _without_secrets(text, secrets)[:MAX_ANSWER_LENGTH]


def _without_secrets(text: str, secrets: Sequence[str]) -> str:
    """Replace the secrets, also one of which only the beginning has arrived. The longest first: a URL contains its token."""
    searched = [each for each in secrets if len(each) >= MIN_SECRET_LENGTH]
    for secret in sorted(searched, key=len, reverse=True):
        text = text.replace(secret, REPLACED)
    for secret in searched:
        for length in range(len(secret) - 1, MIN_PART_LENGTH - 1, -1):
            if text.endswith(secret[:length]):
                text = text.removesuffix(secret[:length]) + REPLACED
                break
    return text


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None
