"""The two transports of event streams, as consumers of Channels: server-sent events and websockets.

Channels waits for a handler before it receives the next message, so a handler that sends events would not see that its
client disconnects. Therefore each consumer sends its events in a task of its own, which ends when the client leaves.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

import orjson
import structlog
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.utils import await_many_dispatch
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest

from apps.live import tickets
from apps.live.feeds import Backlog
from apps.live.frames import RETRY_LINE, Frame, event_stream_body
from apps.live.opening import PermittedStream, StreamTarget, open_stream
from apps.live.streams import ClientLeft, ClientTooSlow, Ending, StreamClient, Streams
from apps.orgs.credentials import Credential
from apps.web.headers import CONTENT_SECURITY_POLICY
from apps.web.problems import Problem, as_problem
from apps.web.wire import JSONRenderer

logger = structlog.get_logger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

MAX_PIECE = 64 * 1024  # bytes that a client has to read in STREAM_SEND_SECONDS
WEBSOCKET_PROTOCOL = "drover.v1"
CLOSE_CODES = {Ending.COMPLETE: 1000, Ending.ACCESS_ENDED: 1008, Ending.SHUTDOWN: 1012}
INVALID_FIRST_MESSAGE = 1008
FIRST_MESSAGE_HINT = 'Send {"last_event_id": <number or null>} once, at the beginning.'

_COMMON_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
)
_EVENT_STREAM_HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), *_COMMON_HEADERS)


class StreamConsumer(AsyncConsumer, StreamClient):
    """A consumer that sends events in its task `pump`. The connection ends with the task, and the task with it."""

    def __init__(self, *args: Any, streams: Streams, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.streams = streams
        self.pump: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the client's messages and the end of the pump. There is no channel layer."""
        self.scope, self.base_send = scope, _send_in_time(send)
        self.server = getattr(send, "__self__", None)  # uvicorn's object for this connection
        self._pump_has_ended = asyncio.Event()
        try:
            with suppress(StopConsumer):
                await await_many_dispatch([receive, self._wait_until_pump_ends], self.dispatch)
        finally:
            await self._stop_pump()

    async def pump_ended(self, message: Message) -> None:
        """End the connection. Channels calls this after `_wait_until_pump_ends`."""
        raise StopConsumer

    def read_credential(self, request: Any) -> Credential:
        """Return the client's credential. This runs in a thread. Raises AuthenticationFailed."""
        raise NotImplementedError

    def start_pump(self) -> None:
        self.pump = asyncio.create_task(self._send_events())

    async def drop(self) -> None:
        """Abort the connection. Closing it would first wait until the client has read what was sent.

        ASGI has no message for this, so it needs uvicorn's transport. Other servers close the connection as they do.
        """
        if transport := getattr(self.server, "transport", None):
            transport.abort()
            await asyncio.sleep(0)  # uvicorn notices the end of the connection

    async def _send_events(self) -> None:
        request = ASGIRequest({**self.scope, "method": "GET"}, io.BytesIO())
        target = StreamTarget(**self.scope["url_route"]["kwargs"])
        try:
            with suppress(ClientLeft, ClientTooSlow):
                await self.streams.serve(
                    self, lambda: open_stream(request, target, self.read_credential)
                )
        finally:
            self._pump_has_ended.set()

    async def _wait_until_pump_ends(self) -> Message:
        await self._pump_has_ended.wait()
        return {"type": "pump.ended"}

    async def _stop_pump(self) -> None:
        """Cancel the pump, and raise its exception if it has failed."""
        if self.pump is not None:
            self.pump.cancel()
            with suppress(asyncio.CancelledError):
                await self.pump


class EventStreamConsumer(StreamConsumer, AsyncHttpConsumer):
    """Server-sent events."""

    is_complete = False

    async def http_request(self, message: Message) -> None:
        if self.pump is None:  # The body of a GET request is ignored.
            self.start_pump()

    async def http_disconnect(self, message: Message) -> None:
        raise StopConsumer

    def read_credential(self, request: Any) -> Credential:
        return tickets.read_credential(request)

    async def refuse(self, error: Exception) -> None:
        status, headers, body = render_refusal(error)
        await self.send_headers(status=status, headers=headers)
        await self.send_body(body)

    async def read_last_seen(self, stream: PermittedStream) -> int | None:
        return stream.last_seen

    async def begin(self, backlog: Backlog) -> None:
        """Send the first frames, or 204 if nothing follows. An EventSource then stops reconnecting."""
        if backlog.ended and not backlog.frames:
            self.is_complete = True
            await self.send_response(204, b"")
            return
        await self.send_headers(headers=list(_EVENT_STREAM_HEADERS))
        await self._send_pieces(RETRY_LINE + event_stream_body(backlog.frames))

    async def send_frames(self, frames: Sequence[Frame]) -> None:
        await self._send_pieces(event_stream_body(frames))

    async def end(self, ending: Ending) -> None:
        if not self.is_complete:
            await self.send_body(b"")

    async def _send_pieces(self, body: bytes) -> None:
        """Send small pieces, so that a slow client is not mistaken for one that does not read."""
        for start in range(0, len(body), MAX_PIECE):
            await self.send_body(body[start : start + MAX_PIECE], more_body=True)


class WebsocketConsumer(StreamConsumer, AsyncWebsocketConsumer):
    """Events as JSON text messages: {"id": number or null, "event": kind, "data": body}.

    The client gives the number of its last event in its first message, or as `?last_event_id=`.
    """

    async def websocket_connect(self, message: Message) -> None:
        self.first_message: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.start_pump()

    async def websocket_receive(self, message: Message) -> None:
        if self.first_message.done():
            await self.close(INVALID_FIRST_MESSAGE, FIRST_MESSAGE_HINT)
            raise StopConsumer
        self.first_message.set_result(message.get("text"))

    async def websocket_disconnect(self, message: Message) -> None:
        raise StopConsumer

    def read_credential(self, request: Any) -> Credential:
        return tickets.read_websocket_credential(request, self.scope.get("subprotocols", ()))

    async def refuse(self, error: Exception) -> None:
        """Refuse the handshake, with the same response as for server-sent events if the server can send it."""
        if "websocket.http.response" not in self.scope.get("extensions", {}):
            await self.close()
            return
        status, headers, body = render_refusal(error)
        start = "websocket.http.response.start"
        await self.base_send({"type": start, "status": status, "headers": headers})
        await self.base_send({"type": "websocket.http.response.body", "body": body})

    async def read_last_seen(self, stream: PermittedStream) -> int | None:
        offered = self.scope.get("subprotocols", ())
        await self.accept(WEBSOCKET_PROTOCOL if WEBSOCKET_PROTOCOL in offered else None)
        if stream.last_seen is not None:
            self.first_message.cancel()
            return stream.last_seen
        try:
            async with asyncio.timeout(settings.STREAM_SEND_SECONDS):
                return parse_first_message(await self.first_message)
        except (TimeoutError, ValueError):
            await self.close(INVALID_FIRST_MESSAGE, FIRST_MESSAGE_HINT)
            raise ClientLeft from None

    async def begin(self, backlog: Backlog) -> None:
        await self.send_frames(backlog.frames)

    async def send_frames(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            await self.send(frame.as_websocket_text())

    async def end(self, ending: Ending) -> None:
        await self.close(CLOSE_CODES[ending], ending.value)


def parse_first_message(text: str | None) -> int | None:
    """Return the number in {"last_event_id": number or null}. Raises ValueError."""
    message = orjson.loads(text or "")
    if not isinstance(message, dict) or message.keys() != {"last_event_id"}:
        raise ValueError("the first message has another form")
    number = message["last_event_id"]
    if number is None:
        return None
    if type(number) is not int or not 0 <= number < 10**18:
        raise ValueError("last_event_id is not a number of an event")
    return number


def render_refusal(error: Exception) -> tuple[int, list[Header], bytes]:
    """Return the status, headers and body of the response to a client that may not follow a stream."""
    problem = as_problem(error)
    if problem is None:
        logger.error("stream could not be opened", exc_info=error)
        problem = Problem(503, "The stream could not be opened.", "unavailable")
    response = problem.response()
    headers = [
        (b"content-type", b"application/problem+json"),
        *_COMMON_HEADERS,
        *((n.lower().encode(), v.encode()) for n, v in (problem.headers or {}).items()),
    ]
    return response.status_code, headers, JSONRenderer().render(response.data)


def _send_in_time(send: Send) -> Send:
    """Return `send` with a time limit: the server's `send` waits until the client has read enough."""

    async def send_in_time(message: Message) -> None:
        try:
            async with asyncio.timeout(settings.STREAM_SEND_SECONDS):
                await send(message)
        except TimeoutError:
            raise ClientTooSlow from None
        except OSError:  # The server raises it after the client has disconnected.
            raise ClientLeft from None

    return send_in_time
