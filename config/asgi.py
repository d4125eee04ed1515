"""The ASGI application: event streams run on the event loop, all other requests run as WSGI in a thread pool.

Channels routes event streams, websockets, uploads of files and all other requests. The bodies of uploads are received
on the event loop (apps.web.uploads). `/health/live` runs on the event loop too, so that it responds even if every thread
is busy.

Measured CPU time per request: 2.9 ms. With Django's own ASGI handler and a thread pool it was 4.5 ms.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote_from_bytes

from apps.background import memory, private

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LIVE_PATH = "/api/v1/health/live"
LONGEST_SENDING = 2.0  # seconds in which a process that stops sends its last spans and metrics


def build() -> Application:
    """Set Django up, and return the application."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ["DROVER_PROCESS"] = "web"
    private.restrict_umask()
    memory.collect_garbage_less_often()
    from django.core.wsgi import get_wsgi_application

    return _build_router(_in_threads(get_wsgi_application()))


def _build_router(django_application: Any) -> Application:
    from channels.routing import ProtocolTypeRouter, URLRouter
    from channels.security.websocket import WebsocketDenier
    from django.urls import re_path

    from apps.agent.mcp.application import PATTERN, McpApplication
    from apps.alerts.installation.watching import Watcher
    from apps.connectors.files import routing as file_routing
    from apps.live import routing
    from apps.live.streams import Streams
    from apps.web.metrics.pushing import telemetry_of_web
    from apps.web.uploads import Uploads

    telemetry = ExitStack()
    telemetry.enter_context(telemetry_of_web())
    streams, mcp, uploads = Streams(), McpApplication(), Uploads(django_application)
    watcher = Watcher()
    http: Any = URLRouter(
        [
            *routing.event_stream_routes(streams, other_methods=django_application),
            *file_routing.upload_routes(uploads, other_methods=django_application),
            re_path("", django_application),
        ]
    )
    mcp_for_this_installation: Any = _check_host(mcp, mcp.refuse_host)
    checked_http: Any = _check_request(http)
    http_with_mcp: Any = URLRouter(
        [re_path(PATTERN, mcp_for_this_installation), re_path("", checked_http)]
    )
    deny: Any = WebsocketDenier.as_asgi()
    websocket: Any = URLRouter([*routing.websocket_routes(streams), re_path("", deny)])

    async def close() -> None:
        await streams.close()
        await mcp.close()
        uploads.close()
        await asyncio.to_thread(watcher.close)
        # The process does not wait for a collector that is away.
        sending = threading.Thread(target=telemetry.close, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, LONGEST_SENDING)

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await _run_lifespan(receive, send, watcher.start_in_web_process, close)

    router: Application = ProtocolTypeRouter(
        {
            "http": http_with_mcp,
            "websocket": _check_host(_check_origin(websocket, deny), deny),
            "lifespan": lifespan,
        }
    )
    return router


def _check_request(application: Application) -> Application:
    """Pass on the requests for this installation, without ambiguous headers. Respond to `/health/live` at once."""
    from apps.background import connections
    from apps.live import checks as live_checks
    from apps.web import hosts

    # The first request starts checks whether the database server has enough connections, and whether live events arrive.
    checks_at_start = (connections.warn_if_too_few, live_checks.warn_if_events_do_not_arrive)
    started_checks: list[Any] = []

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await _send_response(send, 400, hosts.rejection_body(), b"application/problem+json")

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        if not started_checks:
            loop = asyncio.get_running_loop()
            started_checks.extend(loop.run_in_executor(None, check) for check in checks_at_start)
        if scope["path"] == LIVE_PATH and scope["method"] in {"GET", "HEAD"}:
            await _send_response(send, 200, b'{"status":"alive"}', b"application/json")
        else:
            await application(scope, receive, send)

    return _check_host(respond, refuse)


def _check_host(application: Application, refuse: Application) -> Application:
    """Pass requests for this installation to `application`, without ambiguous headers, and others to `refuse`."""

    async def check(scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "headers": _without_ambiguous_headers(scope["headers"])}
        chosen = application if _is_for_this_installation(scope) else refuse
        await chosen(scope, receive, send)

    return check


def _check_origin(application: Application, refuse: Application) -> Application:
    """Pass websockets from pages of this installation to `application`. A websocket without Origin is refused."""
    from apps.web.origin import is_public_origin

    async def check(scope: Scope, receive: Receive, send: Send) -> None:
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        chosen = application if len(origins) == 1 and is_public_origin(origins[0]) else refuse
        await chosen(scope, receive, send)

    return check


def _in_threads(wsgi: Any) -> Application:
    """Return an application that reads the whole body, and then runs Django in a limited pool of threads."""
    from a2wsgi import WSGIMiddleware
    from django.conf import settings

    from apps.web import files

    wsgi_with_files: Any = files.store_files_in_scope(wsgi)
    run_in_thread: Any = WSGIMiddleware(wsgi_with_files, workers=settings.WEB_THREADS)

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        if _content_length(scope) > settings.API_BODY_LIMIT:
            await _refuse_body(scope["path"], send, 413)
        elif (body := await _read_body(scope, receive)) is None:
            await _refuse_body(scope["path"], send, 408)
        else:
            wsgi_scope = {**scope, "query_string": _percent_encode(scope["query_string"])}
            send_with_file = files.send_stored_file(wsgi_scope, receive, send)
            await run_in_thread(wsgi_scope, body, send_with_file)

    return respond


def _is_for_this_installation(scope: Scope) -> bool:
    """Whether the request is for this installation; a request with two Host headers is not."""
    from apps.web import hosts

    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    server = str((scope.get("server") or ("",))[0])
    return len(values) < 2 and hosts.is_accepted(
        values[0] if values else None, path=scope["path"], server=server
    )


async def _run_lifespan(
    receive: Receive, send: Send, begin: Callable[[], None], close: Callable[[], Awaitable[None]]
) -> None:
    await receive()
    begin()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await close()
    await send({"type": "lifespan.shutdown.complete"})


def _percent_encode(query: bytes) -> bytes:
    """Percent-encode a query string with bytes that are not ASCII. Browsers never send such bytes."""
    return query if query.isascii() else quote_from_bytes(query, safe="=&+%/?;:@,!$'()*[]").encode()


def _without_ambiguous_headers(headers: Iterable[Header]) -> list[Header]:
    """Remove headers like `X_Forwarded_For`: WSGI cannot distinguish them from `X-Forwarded-For` of the proxy."""
    return [(name, value) for name, value in headers if b"_" not in name]


def _content_length(scope: Scope) -> int:
    """Return Content-Length in bytes, or 0 for a chunked body, which WSGI does not read.

    Leading zeros are ignored, as in the code that reads the body later.
    """
    length = dict(scope["headers"]).get(b"content-length", b"").lstrip(b"0")
    return int(length[:18]) if length.isdigit() else 0


async def _refuse_body(path: str, send: Send, status: int) -> None:
    """Respond with an error before the body has arrived, so that no thread waits for the body."""
    from apps.web.problems import BODY_TOO_LARGE, BODY_TOO_SLOW, problem_response_for_path
    from apps.web.wire import dumps

    response = problem_response_for_path(path, {408: BODY_TOO_SLOW, 413: BODY_TOO_LARGE}[status])
    content_type = str(response.content_type).encode()
    close = (b"connection", b"close")
    await _send_response(send, status, dumps(response.data), content_type, close)


async def _send_response(
    send: Send, status: int, body: bytes, content_type: bytes, *more_headers: Header
) -> None:
    """Send a small response directly from the event loop."""
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *more_headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read_body(scope: Scope, receive: Receive) -> Receive | None:
    """Read the whole body on the event loop, so that a slow client does not occupy a thread.

    Returns a function that replays the body, or None if no data arrives for BODY_WAIT seconds.
    """
    from django.conf import settings

    if not _content_length(scope):
        return receive
    parts: list[bytes] = []
    message: Message = {"more_body": True}
    while message.get("more_body"):
        try:
            async with asyncio.timeout(settings.BODY_WAIT):
                message = await receive()
        except TimeoutError:
            return None
        parts.append(message.get("body", b""))
    body = {"type": message["type"], "body": b"".join(parts), "more_body": False}

    async def replay() -> Message:
        return body

    return replay


application = build()
