"""The ASGI application of `/mcp`: it checks and authenticates each request, and passes it to the MCP server.

The package `mcp` is imported at the first request, because it needs memory that many installations never use.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest

from apps.agent.mcp import callers, threads
from apps.agent.mcp.threads import CallThreads, OpenCall
from apps.web import hosts
from apps.web.origin import is_public_origin
from apps.web.problems import BODY_TOO_LARGE, BODY_TOO_SLOW, Problem, as_problem
from apps.web.wire import dumps

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

logger = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH = "/mcp"
PATTERN = r"^mcp(?:/|$)"  # of the routes of Channels
THREADS = 4  # for what happens before a call: reading the key, and the import of the server
LONGEST_WAIT = 5.0  # seconds until one of these threads is free and has read the key


class McpApplication:
    """The ASGI application. `config.asgi` has checked the host. Call `close` when the process ends."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mcp")
        self._call_threads = CallThreads()
        self._server: _RunningServer | None = None
        self._starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = ASGIRequest(dict(scope), io.BytesIO())
            _require_post(request)
            _require_own_site(request)
            caller = await self._authenticate(request)
            body = await _read_body(receive)
            manager = await self._start()
            call = self._call_threads.begin(caller.credential.org_id)
        except Exception as error:  # the outermost handler, before the server has the request
            await _send_problem(error, send)
            return
        try:
            await manager.handle_request(_scope_for_server(scope, caller, call), body, send)
        finally:
            call.close()

    async def refuse_host(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request for a host that is not one of this installation."""
        await _send_problem(Problem(421, hosts.UNKNOWN_HOST, "unknown_host"), send)

    async def close(self) -> None:
        if self._server is not None:
            await self._server.stop()
        self._threads.shutdown(wait=False)
        self._call_threads.close()

    async def _authenticate(self, request: HttpRequest) -> callers.Caller:
        """Return the caller. Raises what `callers.authenticate` raises, and Problem 503 after LONGEST_WAIT."""
        work = partial(threads.return_connection_after, partial(callers.authenticate, request))
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                return await loop.run_in_executor(self._threads, work)
        except TimeoutError:
            raise threads.busy() from None

    async def _start(self) -> StreamableHTTPSessionManager:
        """Return the running manager. The first request imports and starts it."""
        async with self._starting:
            if self._server is None:
                loop = asyncio.get_running_loop()
                manager = await loop.run_in_executor(self._threads, self._build_manager)
                self._server = await _RunningServer.start(manager)
        return self._server.manager

    def _build_manager(self) -> StreamableHTTPSessionManager:
        from apps.agent.mcp.server import build_manager

        return build_manager()


class _RunningServer:
    """A task that holds the manager open: the task that has entered its context must also leave it."""

    def __init__(self, manager: StreamableHTTPSessionManager) -> None:
        self.manager = manager
        self._started, self._stopping = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._hold_open())

    @classmethod
    async def start(cls, manager: StreamableHTTPSessionManager) -> _RunningServer:
        server = cls(manager)
        await server._started.wait()
        return server

    async def stop(self) -> None:
        self._stopping.set()
        await self._task

    async def _hold_open(self) -> None:
        async with self.manager.run():
            self._started.set()
            await self._stopping.wait()


def _require_post(request: HttpRequest) -> None:
    if request.path != PATH:
        raise Problem(404, f"The address of the MCP server is {PATH}.", "not_found")
    if request.method != "POST":
        message = "Send POST: this server keeps no sessions and sends no events of its own."
        raise Problem(405, message, "method_not_allowed", headers={"Allow": "POST"})


def _require_own_site(request: HttpRequest) -> None:
    """Refuse requests from pages of other sites. Most programs send no Origin."""
    origin = request.headers.get("Origin")
    if origin is not None and not is_public_origin(origin):
        raise Problem(403, "This request came from another site.", "cross_site")


async def _read_body(receive: Receive) -> Receive:
    """Read the whole body, and return a function that replays it. Raises Problem 413 and 408."""
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(settings.BODY_WAIT):
                message = await receive()
        except TimeoutError:
            # A new exception each time, because a raised one stores its traceback.
            raise replace(BODY_TOO_SLOW) from None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > settings.API_BODY_LIMIT:
            raise replace(BODY_TOO_LARGE)
        if not message.get("more_body"):
            break
    return _replay({"type": "http.request", "body": b"".join(parts), "more_body": False}, receive)


def _replay(body: Message, receive: Receive) -> Receive:
    """Return a function that returns the body once. After that it waits for the disconnect of the client."""
    messages = [body]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _scope_for_server(scope: Scope, caller: callers.Caller, call: OpenCall) -> Scope:
    from apps.agent.mcp.server import CALLER, OPEN_CALL

    return {**scope, CALLER: caller, OPEN_CALL: call}


async def _send_problem(error: Exception, send: Send) -> None:
    problem = as_problem(error)
    if problem is None:
        logger.error("a request for MCP failed", exc_info=error)
        problem = Problem(503, "The MCP server could not answer.", "unavailable")
    answer = problem.response()
    headers = {
        "Content-Type": "application/problem+json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **(problem.headers or {}),
    }
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": encoded})
    await send({"type": "http.response.body", "body": dumps(answer.data)})
