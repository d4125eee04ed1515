"""Report each HTTP request that the source sends with a common client.

The reports inform the author of the source. They are not a security control.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from drover import _imports

_report: Callable[..., None] = lambda **_: None  # noqa: E731 - replaced before the source runs


def report_requests(report: Callable[..., None]) -> None:
    """Call `report(method=, url=, status=, ms=)` for each request. The URL is without its query, because a query may
    contain secrets.

    Each client is patched when it is imported, so that unused clients are not imported.
    """
    global _report
    _report = report
    _imports.call_after_import("http.client", _watch_http_client)
    _imports.call_after_import("httpx", _watch_httpx)


def _watch_http_client(client: Any) -> None:
    original_putrequest, original_getresponse = (
        client.HTTPConnection.putrequest,
        client.HTTPConnection.getresponse,
    )

    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        self._drover_request = (method, _url_without_query(self, url), time.monotonic())
        original_putrequest(self, method, url, *args, **kwargs)

    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        response = original_getresponse(self, *args, **kwargs)
        started_request = getattr(self, "_drover_request", None)
        if started_request is not None:
            _report_response(*started_request, status=response.status)
        return response

    client.HTTPConnection.putrequest = putrequest
    client.HTTPConnection.getresponse = getresponse


def _watch_httpx(httpx: Any) -> None:
    original_send, original_send_async = httpx.Client.send, httpx.AsyncClient.send

    def send(self: Any, request: Any, **kwargs: Any) -> Any:
        start = time.monotonic()
        response = original_send(self, request, **kwargs)
        _report_response(
            request.method,
            str(request.url.copy_with(query=None)),
            start,
            status=response.status_code,
        )
        return response

    async def send_async(self: Any, request: Any, **kwargs: Any) -> Any:
        start = time.monotonic()
        response = await original_send_async(self, request, **kwargs)
        _report_response(
            request.method,
            str(request.url.copy_with(query=None)),
            start,
            status=response.status_code,
        )
        return response

    httpx.Client.send = send
    httpx.AsyncClient.send = send_async


def _report_response(method: str, url: str, start: float, *, status: int) -> None:
    _report(method=method, url=url, status=status, ms=round((time.monotonic() - start) * 1000, 1))


def _url_without_query(connection: Any, path: str) -> str:
    scheme = "https" if connection.default_port == 443 else "http"
    default_port = {"https": 443, "http": 80}[scheme]
    port = "" if connection.port == default_port else f":{connection.port}"
    return f"{scheme}://{connection.host}{port}{path.partition('?')[0]}"[:500]
