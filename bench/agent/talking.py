"""A browser that talks to the agent: it sends messages, and follows the events of its conversation."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

PATIENCE = 60.0  # seconds


@dataclass
class Browser:
    """The events of one conversation with the times of their arrival, in seconds since the epoch."""

    address: str
    token: str
    conversation: str
    events: list[tuple[float, str, Any]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def send(self, text: str) -> float:
        """Send a message. Returns when the request began."""
        started = time.time()
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.address}/api/v1/agent/conversations/{self.conversation}/messages",
            data=orjson.dumps({"text": text}),
            headers={**self._headers, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310 - our own address
            return started

    def arrival(self, kind: str, since: float) -> tuple[float, Any]:
        """Wait for the first event of this kind after `since`. Returns its time and its body."""

        def find() -> tuple[float, Any] | None:
            return next(((at, b) for at, k, b in self.events if k == kind and at >= since), None)

        with self._changed:
            if not self._changed.wait_for(lambda: find() is not None, PATIENCE):
                raise RuntimeError(f"no event {kind!r} arrived: {self.events[-3:]}")
            found = find()
        if found is None:
            raise RuntimeError("unreachable")
        return found

    def connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        path = f"/api/v1/agent/conversations/{self.conversation}/events"
        connection.request("GET", path, headers=self._headers)
        return connection

    def receive(self, connection: http.client.HTTPConnection, opened: threading.Event) -> None:
        """Receive events until the connection is closed."""
        kind = ""
        with connection.getresponse() as response:
            while line := response.readline():
                if line.startswith(b"event: "):
                    kind = line[7:].strip().decode()
                elif line.startswith(b"data: "):
                    self._add(kind, orjson.loads(line[6:]))
                    opened.set()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _add(self, kind: str, body: Any) -> None:
        with self._changed:
            self.events.append((time.time(), kind, body))
            self._changed.notify_all()


@contextmanager
def browser(address: str, token: str, conversation: str) -> Iterator[Browser]:
    """Open the conversation, and yield a browser that follows it."""
    opened_browser, opened = Browser(address, token, conversation), threading.Event()
    connection = opened_browser.connect()
    arguments = (connection, opened)
    threading.Thread(target=opened_browser.receive, args=arguments, daemon=True).start()
    if not opened.wait(PATIENCE):
        raise RuntimeError("the event stream did not open")
    try:
        yield opened_browser
    finally:
        connection.sock.shutdown(socket.SHUT_RDWR)
