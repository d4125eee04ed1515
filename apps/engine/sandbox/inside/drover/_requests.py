"""Report each HTTP request of the source, for common clients.

It informs the author; it is not a security control.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from drover import _imports

_tell: Callable[..., None] = lambda **_: None  # noqa: E731 - replaced before any code runs


def watch(tell: Callable[..., None]) -> None:
    """Call `tell(method=, url=, status=, ms=)` per request. The URL has no query, which may contain secrets.

    Each client is patched when it is imported, because importing unused clients would take time.
    """
    global _tell
    _tell = tell
    _imports.follow("http.client", _watch_http_client)
    _imports.follow("httpx", _watch_httpx)


def _watch_http_client(client: Any) -> None:
    put, answered = client.HTTPConnection.putrequest, client.HTTPConnection.getresponse

    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        self._drover_asked = (method, _shown(self, url), time.monotonic())
        put(self, method, url, *args, **kwargs)

    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        response = answered(self, *args, **kwargs)
        asked = getattr(self, "_drover_asked", None)
        if asked is not None:
            _said(*asked, status=response.status)
        return response

    client.HTTPConnection.putrequest = putrequest
    client.HTTPConnection.getresponse = getresponse


def _watch_httpx(httpx: Any) -> None:
    once, later = httpx.Client.send, httpx.AsyncClient.send

    def send(self: Any, request: Any, **kwargs: Any) -> Any:
        start = time.monotonic()
        response = once(self, request, **kwargs)
        _said(
            request.method,
            str(request.url.copy_with(query=None)),
            start,
            status=response.status_code,
        )
        return response

    async def send_async(self: Any, request: Any, **kwargs: Any) -> Any:
        start = time.monotonic()
        response = await later(self, request, **kwargs)
        _said(
            request.method,
            str(request.url.copy_with(query=None)),
            start,
            status=response.status_code,
        )
        return response

    httpx.Client.send = send
    httpx.AsyncClient.send = send_async


def _said(method: str, url: str, start: float, *, status: int) -> None:
    _tell(method=method, url=url, status=status, ms=round((time.monotonic() - start) * 1000, 1))


def _shown(connection: Any, path: str) -> str:
    scheme = "https" if connection.default_port == 443 else "http"
    usual = {"https": 443, "http": 80}[scheme]
    port = "" if connection.port == usual else f":{connection.port}"
    return f"{scheme}://{connection.host}{port}{path.partition('?')[0]}"[:500]
