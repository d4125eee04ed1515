"""1,000 streams of run events on one web process, two events per second each: delays, and lost or duplicate events.

In addition some streams disconnect and reconnect with Last-Event-ID every second, on the same events. They must
receive the same events; their longer delays are the cost of reconnecting.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
import psycopg

from bench.figures import Figure, bound, percentile
from bench.scratch import ROOT, Scratch, server
from bench.start import plant

STREAMS = 1000
RECONNECTING = 25
SECONDS = 12.0
OPENING_AT_ONCE = 20
MANY = {"DROVER_STREAMS_PER_MEMBER": "5000", "DROVER_STREAMS_PER_ORG": "5000"}


def measure(place: Scratch, rounds: int) -> Iterator[Figure]:
    """Yield the 99th percentile of the delay from publishing to arrival, and the lost or duplicate events."""
    planted = plant(place, STREAMS, "--runs")
    late, late_reconnecting, lost, doubled = [], [], 0, 0
    with server(
        "config.asgi:application",
        environment={**place.environment, **MANY},
        processes=1,
        ready="/api/v1/health/live",
    ) as address:
        for _ in range(rounds):
            before = _numbers(place)
            steady, returning = asyncio.run(_listen(place, address, planted))
            after = _numbers(place)
            for one in (*steady, *returning):
                missing, twice = one.faults(before[one.run], after[one.run])
                lost, doubled = lost + missing, doubled + twice
            late.append(_p99(steady))
            late_reconnecting.append(_p99(returning))
    name = f"{STREAMS:,} run-event streams, 2 events/s each, p99 from publishing to arrival"
    shown = ", ".join(f"{value:.0f}" for value in late_reconnecting)
    against = f"{RECONNECTING} that reconnect every second: p99 {shown} ms"
    yield bound(name, against, late, at_most=100, unit="ms")
    yield Figure(
        "events of those streams lost, doubled",
        "the rows of the table",
        f"{lost}, {doubled}",
        "0, 0",
        lost == doubled == 0,
        "both kinds of stream counted",
    )


@dataclass
class Listener(asyncio.Protocol):
    """One stream as its client sees it."""

    run: str
    address: str
    token: str
    numbers: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)  # milliseconds
    last: int | None = None
    _rest: bytes = b""

    async def connect(self, last: int | None) -> None:
        """Request the stream, after `last` if set; returns when the server has responded."""
        parts = urlsplit(self.address)
        loop = asyncio.get_running_loop()
        self.open = loop.create_future()
        self._rest = b""
        self._transport, _ = await loop.create_connection(
            lambda: self, parts.hostname or "", parts.port or 0
        )
        resume = f"Last-Event-ID: {last}\r\n" if last is not None else ""
        request = (
            f"GET /api/v1/runs/{self.run}/events HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {self.token}\r\n{resume}\r\n"
        )
        self._transport.write(request.encode())
        await self.open

    def hang_up(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        now = time.time()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"HTTP/1.1 ") and b" 200 " not in line:
                self.open.set_exception(RuntimeError(line.decode()))
            elif line.startswith(b"id: "):
                self.last = int(line[4:])
            elif line.startswith(b"data: "):
                self._hear(orjson.loads(line[6:]), now)
            elif line.startswith(b"retry: ") and not self.open.done():
                self.open.set_result(None)

    def faults(self, before: int, after: int) -> tuple[int, int]:
        """Return (lost, duplicate) events numbered after `before` up to `after`."""
        distinct = set(self.numbers)
        return after - before - len(distinct), len(self.numbers) - len(distinct)

    def _hear(self, body: dict[str, Any], now: float) -> None:
        if "sent" in body and self.last is not None:
            self.numbers.append(self.last)
            self.delays.append((now - body["sent"]) * 1000)


async def _listen(
    place: Scratch, address: str, planted: dict[str, Any]
) -> tuple[Sequence[Listener], Sequence[Listener]]:
    """Open all streams, publish for a while, wait until no more events arrive."""
    token, runs = planted["token"], planted["runs"]
    steady = [Listener(run, address, token) for run in runs]
    returning = [Listener(run, address, token) for run in runs[:RECONNECTING]]
    for at in range(0, STREAMS, OPENING_AT_ONCE):
        await asyncio.gather(*(one.connect(None) for one in steady[at : at + OPENING_AT_ONCE]))
    await asyncio.gather(*(one.connect(None) for one in returning))
    publisher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.publish", place.owner_url(), str(SECONDS)), cwd=ROOT
    )
    comings = [
        asyncio.create_task(_come_and_go(one, number / RECONNECTING))
        for number, one in enumerate(returning)
    ]
    await publisher.wait()
    if publisher.returncode:
        raise RuntimeError("the publisher failed")
    await asyncio.sleep(1.5)
    for task in comings:
        task.cancel()
    await asyncio.gather(*comings, return_exceptions=True)
    for one in returning:
        one.hang_up()
        await one.connect(one.last)  # once more, for events that arrived while it was disconnected
    await asyncio.sleep(0.5)
    for one in (*steady, *returning):
        one.hang_up()
    return steady, returning


async def _come_and_go(one: Listener, offset: float) -> None:
    """Disconnect and reconnect every second, `offset` seconds after the full second."""
    await asyncio.sleep(offset)
    while True:
        await asyncio.sleep(1)
        one.hang_up()
        await one.connect(one.last)


def _p99(listeners: Sequence[Listener]) -> float:
    return percentile([delay for one in listeners for delay in one.delays], 0.99)


def _numbers(place: Scratch) -> dict[str, int]:
    """Return the newest number of each run's events."""
    with psycopg.connect(place.owner_url()) as connection:
        rows = connection.execute("SELECT id, event_sequence FROM runs_run").fetchall()
    return {str(run): number for run, number in rows}
