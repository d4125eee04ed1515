"""The HTTP session of `drover.Source`."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from drover._failures import EgressRefused, innermost_cause

RETRIED_STATUSES = (429, 500, 502, 503, 504)
MAX_WAIT_SECONDS = 60  # seconds before a retry, even if Retry-After is longer


class _BoundedRetry(Retry):
    """Waits for the time in the Retry-After header, but at most MAX_WAIT_SECONDS."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        # Otherwise Retry-After would cause retries of statuses that are not in RETRIED_STATUSES.
        return super().is_retry(method, status_code, False)

    def increment(self, *args: Any, **kwargs: Any) -> Any:
        error = kwargs.get("error")
        if isinstance(error, Exception) and isinstance(innermost_cause(error), EgressRefused):
            raise error  # The broker would refuse the connection again.
        return super().increment(*args, **kwargs)

    def get_retry_after(self, response: Any) -> float | None:
        wait = super().get_retry_after(response)
        return None if wait is None else min(wait, MAX_WAIT_SECONDS)


class _Session(requests.Session):
    def __init__(self, timeout: tuple[float, float]) -> None:
        super().__init__()
        self._timeout = timeout

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        response = super().request(*args, **kwargs)
        response.raise_for_status()
        return response


def make_session(timeout: tuple[float, float]) -> requests.Session:
    """Create a session that retries temporary errors three times and raises `requests.HTTPError` for statuses of
    400 and above.
    """
    session = _Session(timeout)
    session.trust_env = False
    retry = _BoundedRetry(
        total=3,
        backoff_factor=0.5,
        status_forcelist=RETRIED_STATUSES,
        allowed_methods=None,
        raise_on_status=False,
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session
