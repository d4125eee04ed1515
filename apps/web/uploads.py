"""Receive large bodies on the event loop, so that no thread of the web process waits for a slow client.

A request of an upload passes through Django twice, each time without its body. First the view checks the request and
returns a `SlowResponse` whose work is a `BodyTransfer`. Then this application writes the body to the transfer's sink,
as fast as the client sends it. Then the view continues after this work, and responds.

The view stores its steps in the `Exchange` in the ASGI scope. A server without this application has no exchange. There
the transfer reads the body itself (`BodyTransfer.__call__`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Protocol, TypeVar

import structlog
from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from rest_framework.response import Response

from apps.web import slow
from apps.web.problems import BUSY, Problem
from apps.web.slow import SlowResponse

logger = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
T = TypeVar("T")

CHUNK_BYTES = 1 << 20  # bytes of a body that are written at once
PACE_SECONDS = 60.0  # a client must send enough in each period of waiting for it
KEEP_ALIVE_SECONDS = 30.0
THREADS = 8
SCOPE_KEY = "drover.upload"  # key of the ASGI scope

INCOMPLETE = "The body ended before its announced length: send the request again."
LENGTH_MISSING = "Send the size of the body as Content-Length."
TOO_SLOW = "The body arrived too slowly: send it again over a faster connection."
SERVER_FULL = "This server receives as many uploads as it can; try again shortly."


class Sink(Protocol):
    """Where a body is written. All methods may block. They are called in a thread, one at a time."""

    def open(self) -> None:
        """Prepare for the first bytes."""

    def write(self, data: bytes) -> None:
        """Append bytes."""

    def keep_alive(self) -> None:
        """Called about every KEEP_ALIVE_SECONDS while the body arrives. Raises if the upload must end."""

    def flush(self) -> None:
        """Store what was written. Called once, after the last bytes."""

    def close(self) -> None:
        """Remove what was written, unless the view has used it. Called once at the end, also after an error."""


@dataclass(frozen=True)
class BodyTransfer:
    """The work of a response that needs the body: it writes the body to `sink`."""

    sink: Sink
    request: HttpRequest

    def __call__(self) -> None:
        """Read the body in this thread. Only for a server without `Uploads`, such as the client of tests."""
        body: Any = self.request
        _copy(body, self.sink)


def _copy(body: BinaryIO, sink: Sink) -> None:
    sink.open()
    while data := body.read(CHUNK_BYTES):
        sink.write(data)
    sink.flush()


@dataclass(frozen=True)
class SuspendedResponse:
    """A response that needs the body: the steps of `answer` after `transfer`, and the scope for them."""

    transfer: BodyTransfer
    answer: SlowResponse
    reopen_scope: Callable[[], AbstractContextManager[None]]


@dataclass
class Exchange:
    """What a view and `Uploads` tell each other about one request."""

    size: int | None  # announced bytes of the body; None if the client announced none
    suspended: SuspendedResponse | None = None  # set by a view that accepts the body
    error: Exception | None = None  # why the body did not arrive
    resumed: bool = False

    def resume(self, suspended: SuspendedResponse) -> Response:
        """Return the response after the transfer. Raises the error of the transfer."""
        self.resumed = True
        return slow.finish(
            replace(suspended.answer, work=self._raise_error), suspended.reopen_scope
        )

    def close(self) -> None:
        """Remove what the view has not used, and release what it holds. Call this in a thread, outside every scope."""
        if self.suspended is None:
            return
        try:
            self.suspended.transfer.sink.close()
        finally:
            if self.suspended.answer.release is not None and not self.resumed:
                self.suspended.answer.release()

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error


def exchange_of(request: HttpRequest) -> Exchange | None:
    """Return the exchange of a request that came through `Uploads`, or None."""
    scope = request.META.get("asgi.scope") or {}
    exchange: Exchange | None = scope.get(SCOPE_KEY)
    return exchange


def announced_size(request: HttpRequest) -> int:
    """Return the size of the body in bytes. Raises Problem 411 if the client did not announce it."""
    exchange = exchange_of(request)
    length = request.META.get("CONTENT_LENGTH") or 0
    size = exchange.size if exchange is not None else int(length)
    if size is None:
        raise Problem(411, LENGTH_MISSING, "length_required")
    return size


class ClientLeft(Exception):
    """The client closed the connection before the whole body had arrived."""


class Uploads:
    """The ASGI application for routes with large bodies. Call `close` when the process ends."""

    def __init__(self, django: Application) -> None:
        self._django = django
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="upload")
        self._count = 0

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(_announced_length(scope))
        inner_scope = {**scope, "headers": _without_body(scope), SCOPE_KEY: exchange}
        answer = await self._ask_django(inner_scope)
        if exchange.suspended is None:
            await _relay(answer, send, is_body_read=False)
            return
        self._count += 1
        try:
            sink = exchange.suspended.transfer.sink
            exchange.error = await self._receive_body(sink, exchange.size, receive)
            if not isinstance(exchange.error, ClientLeft):
                answer = await self._ask_django(inner_scope)
                await _relay(answer, send, is_body_read=exchange.error is None)
        finally:
            self._count -= 1
            await asyncio.shield(self._run_in_thread(exchange.close))

    async def _ask_django(self, scope: Scope) -> list[Message]:
        """Return the messages of Django's response to the request without its body."""
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def collect(message: Message) -> None:
            messages.append(message)

        await self._django(scope, receive, collect)
        return messages

    async def _receive_body(
        self, sink: Sink, size: int | None, receive: Receive
    ) -> Exception | None:
        """Write the body to the sink. Returns the error if it did not arrive or cannot be stored."""
        if self._count > settings.FILE_UPLOADS_PER_PROCESS:
            return Problem(503, SERVER_FULL, BUSY, headers={"Retry-After": "10"})
        try:
            await self._run_in_thread(sink.open)
            await self._copy_body(sink, size, _Pace(receive))
            await self._run_in_thread(sink.flush)
        except Exception as error:  # The view raises it, so it becomes a problem response.
            return error
        return None

    async def _copy_body(self, sink: Sink, size: int | None, pace: _Pace) -> None:
        received, buffer, kept_alive_at = 0, bytearray(), time.monotonic()
        more = True
        while more:
            message = await pace.receive()
            data = message.get("body", b"")
            received += len(data)
            buffer += data
            more = bool(message.get("more_body"))
            if len(buffer) >= CHUNK_BYTES or not more:
                await self._run_in_thread(sink.write, bytes(buffer))
                buffer.clear()
            if time.monotonic() - kept_alive_at > KEEP_ALIVE_SECONDS:
                await self._run_in_thread(sink.keep_alive)
                kept_alive_at = time.monotonic()
        if received != size:
            raise Problem(400, INCOMPLETE, "incomplete")

    async def _run_in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run blocking work in a thread, and return its database connection to the pool at once."""

        def work_and_close() -> T:
            try:
                return work(*arguments)
            finally:
                connection.close()

        return await asyncio.get_running_loop().run_in_executor(self._threads, work_and_close)


class _Pace:
    """Receives the messages of a client. Raises Problem 408 if it sends nothing, or too little, for too long.

    Only the time that is spent waiting for the client counts.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._waited = 0.0
        self._received = 0

    async def receive(self) -> Message:
        """Return the next message with a part of the body. Raises ClientLeft too."""
        started_at = time.monotonic()
        try:
            async with asyncio.timeout(settings.BODY_WAIT):
                message = await self._receive()
        except TimeoutError:
            raise Problem(408, TOO_SLOW, "too_slow") from None
        if message["type"] == "http.disconnect":
            raise ClientLeft
        self._count(time.monotonic() - started_at, len(message.get("body", b"")))
        return message

    def _count(self, seconds: float, size: int) -> None:
        self._waited += seconds
        self._received += size
        if self._waited < PACE_SECONDS:
            return
        if self._received < settings.FILE_UPLOAD_SLOWEST * self._waited:
            raise Problem(408, TOO_SLOW, "too_slow")
        self._waited, self._received = 0.0, 0


async def _relay(messages: list[Message], send: Send, *, is_body_read: bool) -> None:
    """Send the response to the client. The connection is closed if the rest of the body would follow on it."""
    for message in messages:
        if message["type"] == "http.response.start" and not is_body_read:
            headers = [*message["headers"], (b"connection", b"close")]
            message = {**message, "headers": headers}
        await send(message)


def _announced_length(scope: Scope) -> int | None:
    """Return Content-Length in bytes, or None. A number with more than 18 digits is larger than every limit."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    digits = length.lstrip(b"0") or b"0"
    return int(digits[:18]) if length.isdigit() else None


def _without_body(scope: Scope) -> list[tuple[bytes, bytes]]:
    body_headers = {b"content-length", b"transfer-encoding", b"expect"}
    return [(name, value) for name, value in scope["headers"] if name not in body_headers]
