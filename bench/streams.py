"""Measure 1,000 streams of run events on one web process: the delays, and the lost or duplicate events.

Each stream receives two events per second. Some additional streams reconnect with Last-Event-ID every
second. They must receive the same events. Their delays are longer, because they have to reconnect.
`bench.agent.streams` does the same with conversations.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
import psycopg

from bench.figures import Figure, figure_with_upper_bound, percentile
from bench.publish import SUBJECTS
from bench.scratch import ROOT, Installation, run_server
from bench.start import create_runs

STREAMS = 1000
RECONNECTING_STREAMS = 25
PUBLISHING_SECONDS = 12.0
OPENING_BATCH = 20
HIGH_LIMITS = {"DROVER_STREAMS_PER_MEMBER": "5000", "DROVER_STREAMS_PER_ORG": "5000"}


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """The streams of the subjects with the lowest ids. Each receives `rate` events per second."""

    subject: str  # a name in `bench.publish.SUBJECTS`
    name: str
    path: str  # with {} for the id
    token: str
    ids: Sequence[str]
    rate: int


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Yield the 99th percentile of the delay from publishing to arrival, and the number of lost or duplicate events."""
    created = create_runs(installation, STREAMS, "--runs")
    path = "/api/v1/runs/{}/events"
    load = StreamLoad("runs", "run-event streams", path, created["token"], created["runs"], rate=2)
    with streaming_server(installation) as address:
        yield from measure_load(installation, address, load, rounds)


def streaming_server(installation: Installation) -> AbstractContextManager[str]:
    """Run one web process that accepts many streams of one member, and return its URL."""
    return run_server(
        "config.asgi:application",
        environment={**installation.environment, **HIGH_LIMITS},
        processes=1,
        ready_path="/api/v1/health/live",
    )


def measure_load(
    installation: Installation, address: str, load: StreamLoad, rounds: int
) -> Iterator[Figure]:
    delays, reconnecting_delays, lost, duplicates = [], [], 0, 0
    for _ in range(rounds):
        numbers_before = _newest_event_numbers(installation, load)
        steady_listeners, reconnecting_listeners = asyncio.run(
            _receive_events(installation, address, load)
        )
        numbers_after = _newest_event_numbers(installation, load)
        for listener in (*steady_listeners, *reconnecting_listeners):
            missing_events, duplicate_events = listener.count_faults(
                numbers_before[listener.id], numbers_after[listener.id]
            )
            lost, duplicates = lost + missing_events, duplicates + duplicate_events
        delays.append(_p99_delay(steady_listeners))
        reconnecting_delays.append(_p99_delay(reconnecting_listeners))
    streams = f"{len(load.ids):,} {load.name}, {load.rate} events/s each"
    reconnecting_text = ", ".join(f"{value:.0f}" for value in reconnecting_delays)
    comparison = f"{RECONNECTING_STREAMS} that reconnect every second: p99 {reconnecting_text} ms"
    name = f"{streams}, p99 from publishing to arrival"
    yield figure_with_upper_bound(name, comparison, delays, at_most=100, unit="ms")
    yield Figure(
        "lost and duplicate events of these streams",
        "the published events, as stored in the database",
        f"{lost}, {duplicates}",
        "0, 0",
        lost == duplicates == 0,
        "counted on all streams",
    )


@dataclass
class Listener(asyncio.Protocol):
    """The client of one stream, which counts the events that it receives."""

    id: str
    path: str
    address: str
    token: str
    numbers: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)  # milliseconds
    last_number: int | None = None
    _unfinished_line: bytes = b""

    async def connect(self, last_number: int | None) -> None:
        """Request the events after the number `last_number`, or all if it is None. Returns when the stream is open."""
        parts = urlsplit(self.address)
        loop = asyncio.get_running_loop()
        self.opened = loop.create_future()
        self._unfinished_line = b""
        self._transport, _ = await loop.create_connection(
            lambda: self, parts.hostname or "", parts.port or 0
        )
        resume = f"Last-Event-ID: {last_number}\r\n" if last_number is not None else ""
        request = (
            f"GET {self.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {self.token}\r\n{resume}\r\n"
        )
        self._transport.write(request.encode())
        await self.opened

    def disconnect(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        now = time.time()
        *lines, self._unfinished_line = (self._unfinished_line + data).split(b"\n")
        for line in lines:
            if line.startswith(b"HTTP/1.1 ") and b" 200 " not in line:
                self.opened.set_exception(RuntimeError(line.decode()))
            elif line.startswith(b"id: "):
                self.last_number = int(line[4:])
            elif line.startswith(b"data: "):
                self._record_event(orjson.loads(line[6:]), now)
            elif line.startswith(b"retry: ") and not self.opened.done():
                self.opened.set_result(None)

    def count_faults(self, before: int, after: int) -> tuple[int, int]:
        """Return the numbers of lost and duplicate events among those numbered `before` + 1 to `after`."""
        distinct = set(self.numbers)
        return after - before - len(distinct), len(self.numbers) - len(distinct)

    def _record_event(self, body: dict[str, Any], now: float) -> None:
        if "sent" in body and self.last_number is not None:
            self.numbers.append(self.last_number)
            self.delays.append((now - body["sent"]) * 1000)


async def _receive_events(
    installation: Installation, address: str, load: StreamLoad
) -> tuple[Sequence[Listener], Sequence[Listener]]:
    """Open all streams, publish events for PUBLISHING_SECONDS, and wait until all events have arrived."""
    listeners = [
        Listener(one, load.path.format(one), address, load.token)
        for one in (*load.ids, *load.ids[:RECONNECTING_STREAMS])
    ]
    count = len(load.ids)
    steady_listeners, reconnecting_listeners = listeners[:count], listeners[count:]
    for start in range(0, count, OPENING_BATCH):
        await asyncio.gather(
            *(
                listener.connect(None)
                for listener in steady_listeners[start : start + OPENING_BATCH]
            )
        )
    await asyncio.gather(*(listener.connect(None) for listener in reconnecting_listeners))
    publisher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.publish", installation.owner_url()),
        *(str(PUBLISHING_SECONDS), load.subject, str(len(load.ids)), str(load.rate)),
        cwd=ROOT,
    )
    reconnect_tasks = [
        asyncio.create_task(_reconnect_every_second(listener, number / RECONNECTING_STREAMS))
        for number, listener in enumerate(reconnecting_listeners)
    ]
    await publisher.wait()
    if publisher.returncode:
        raise RuntimeError("the publisher failed")
    await asyncio.sleep(1.5)
    for task in reconnect_tasks:
        task.cancel()
    await asyncio.gather(*reconnect_tasks, return_exceptions=True)
    for listener in reconnecting_listeners:
        listener.disconnect()
        await listener.connect(listener.last_number)  # Receive the events that it has missed.
    await asyncio.sleep(0.5)
    for listener in (*steady_listeners, *reconnecting_listeners):
        listener.disconnect()
    return steady_listeners, reconnecting_listeners


async def _reconnect_every_second(listener: Listener, offset: float) -> None:
    """Wait `offset` seconds, then disconnect and reconnect every second."""
    await asyncio.sleep(offset)
    while True:
        await asyncio.sleep(1)
        listener.disconnect()
        await listener.connect(listener.last_number)


def _p99_delay(listeners: Sequence[Listener]) -> float:
    return percentile([delay for listener in listeners for delay in listener.delays], 0.99)


def _newest_event_numbers(installation: Installation, load: StreamLoad) -> dict[str, int]:
    """Return the number of the newest event of each run or conversation."""
    table = SUBJECTS[load.subject]["table"]
    select = f"SELECT id, event_sequence FROM {table}"  # noqa: S608 - our own table names
    with psycopg.connect(installation.owner_url()) as connection:
        rows = connection.execute(select.encode()).fetchall()
    return {str(subject): number for subject, number in rows}
