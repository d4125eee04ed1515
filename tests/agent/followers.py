"""Clients that follow a conversation over the network, and come back with their last number after each lost connection."""

from __future__ import annotations

import copy
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from apps.agent.conversations import transcripts
from apps.agent.conversations.events import Kind

ORIGIN = Origin("http://localhost:8000")  # of DROVER_PUBLIC_URL
WAIT = 0.1  # seconds until the client connects again

Received = tuple[int, str, Any]  # an event: its number, its kind and its body


class Follower(ABC):
    """Follows a conversation until its turn is done."""

    def __init__(self, server: str, conversation: str, token: str) -> None:
        self.address = f"{server}/api/v1/agent/conversations/{conversation}"
        self.headers = {"Authorization": f"Bearer {token}"}
        self.received: list[Received] = []
        self.connections = 0  # how many connections have delivered an event
        self._thread = threading.Thread(target=self._follow, daemon=True)

    @abstractmethod
    def read(self, last_id: int | None) -> Iterator[Received]:
        """Connect, and yield the events after `last_id`."""

    @property
    def is_done(self) -> bool:
        return bool(self.received) and self.received[-1][1] == Kind.DONE

    @property
    def items(self) -> list[Any]:
        """Return the items of the conversation's only turn, as the dashboard folds them from what it has received."""
        (_, _, shown), *events = copy.deepcopy(self.received)
        items: list[Any] = shown["turns"][-1]["items"]
        for _, kind, body in events:
            transcripts.apply(items, kind, body)
        return items

    def start(self) -> None:
        self._thread.start()

    def wait_until_done(self, seconds: float = 60) -> None:
        self._thread.join(seconds)
        assert self.is_done, self.received[-3:]

    def wait_for(self, kind: Kind, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while kind not in [received_kind for _, received_kind, _ in self.received]:
            assert time.monotonic() < deadline, self.received
            time.sleep(0.02)

    def assert_complete(self) -> None:
        """Check that each event has arrived once, and in its order."""
        numbers = [number for number, _, _ in self.received]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))

    def _follow(self) -> None:
        while not self.is_done:
            try:
                self._read_one_connection()
            except (httpx.HTTPError, WebSocketException, OSError, EOFError):
                time.sleep(WAIT)

    def _read_one_connection(self) -> None:
        last_id = self.received[-1][0] if self.received else None
        for count, event in enumerate(self.read(last_id)):
            self.connections += count == 0
            self.received.append(event)
            if self.is_done:
                return


class EventStreamFollower(Follower):
    """Reads server-sent events."""

    def read(self, last_id: int | None) -> Iterator[Received]:
        position = {} if last_id is None else {"Last-Event-ID": str(last_id)}
        address, headers = f"{self.address}/events", {**self.headers, **position}
        with httpx.stream("GET", address, headers=headers, timeout=30) as response:
            response.raise_for_status()
            yield from _parse_events(response.iter_lines())


class WebsocketFollower(Follower):
    """Reads a websocket."""

    def read(self, last_id: int | None) -> Iterator[Received]:
        address = f"{self.address}/ws".replace("http", "ws", 1)
        options: dict[str, Any] = {"origin": ORIGIN, "additional_headers": self.headers}
        with connect(address, **options) as websocket:
            websocket.send(json.dumps({"last_event_id": last_id}))
            while True:
                message = json.loads(websocket.recv(timeout=30))
                if message["id"] is not None:
                    yield message["id"], message["event"], message["data"]


def _parse_events(lines: Iterator[str]) -> Iterator[Received]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "id" in fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
        fields = {}


@contextmanager
def following(server: str, conversation: str, token: str) -> Iterator[list[Follower]]:
    """Follow the conversation with server-sent events and with a websocket. Each must see its turn end."""
    followers: list[Follower] = [
        kind(server, conversation, token) for kind in (EventStreamFollower, WebsocketFollower)
    ]
    for follower in followers:
        follower.start()
    yield followers
    for follower in followers:
        follower.wait_until_done()
