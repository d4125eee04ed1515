"""The HTTP session of `drover.Source`."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from drover._failures import EgressRefused, refusal

RETRIED = (429, 500, 502, 503, 504)
LONGEST_WAIT = 60  # seconds; a longer Retry-After fails the run with that advice instead of waiting


class _PatientRetry(Retry):
    """Waits as Retry-After says, unless that is longer than a run may wait."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        return super().is_retry(method, status_code, False)

    def increment(self, *args: Any, **kwargs: Any) -> Any:
        error = kwargs.get("error")
        if isinstance(error, Exception) and isinstance(refusal(error), EgressRefused):
            raise error  # The broker would refuse the connection again.
        return super().increment(*args, **kwargs)

    def get_retry_after(self, response: Any) -> float | None:
        wait = super().get_retry_after(response)
        return None if wait is None else min(wait, LONGEST_WAIT)


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
    """Create a session that raises `requests.HTTPError` for statuses of 400 and above, after three retries of
    temporary errors.
    """
    session = _Session(timeout)
    session.trust_env = False
    retry = _PatientRetry(
        total=3,
        backoff_factor=0.5,
        status_forcelist=RETRIED,
        allowed_methods=None,
        raise_on_status=False,
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session
