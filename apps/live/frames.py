"""An event as it is sent to a client: as a server-sent event, or as the text of a websocket message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HEARTBEAT_KIND = "heartbeat"
RETRY_LINE = b"retry: 1000\n\n"  # milliseconds that an EventSource waits before it reconnects


@dataclass(frozen=True, slots=True)
class Frame:
    """An event for a client. Heartbeats and live progress have no number."""

    number: int | None
    kind: str
    body: str  # JSON without line breaks

    def as_server_sent_event(self) -> bytes:
        if self.kind == HEARTBEAT_KIND:
            return b":\n\n"  # A comment, which an EventSource ignores.
        id_line = f"id: {self.number}\n" if self.number is not None else ""
        return f"{id_line}event: {self.kind}\ndata: {self.body}\n\n".encode()

    def as_websocket_text(self) -> str:
        number = "null" if self.number is None else self.number
        return f'{{"id":{number},"event":"{self.kind}","data":{self.body}}}'


HEARTBEAT_FRAME = Frame(None, HEARTBEAT_KIND, "null")


def event_stream_body(frames: Iterable[Frame]) -> bytes:
    """Return a part of the body of an event stream."""
    return b"".join(frame.as_server_sent_event() for frame in frames)
