"""The broker opens all network connections of a sandbox, if they are allowed.

The sandboxed process has no INET socket. It sends `{"host", "port"}` over a SEQPACKET socket pair; the
broker checks the allow-list before any DNS query, checks every address (`egress.policy`), connects to the
checked one, and passes back one end of a UNIX socket pair whose other end it relays. TLS is end-to-end between
the sandboxed process and the server. Every allowed and refused connection is reported to `seen`.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from apps.egress.allowlist import AllowList
from apps.egress.exceptions import EgressError
from apps.egress.policy import judge
from apps.egress.traffic import traffic

CONNECT_SECONDS = 10.0
RESOLVE_SECONDS = 10.0
QUESTION = 2048  # bytes
CHUNK = 1 << 16
TRIED_ADDRESSES = 3
QUIT_SECONDS = 3.0

Resolve = Callable[..., list[str]]


@dataclass(frozen=True, slots=True)
class EgressLimits:
    """Limits: hosts, total and concurrent connections, bytes in both directions."""

    hosts: AllowList
    allow_private: bool = False
    most_connections: int = 10_000
    most_at_once: int = 32
    most_bytes: int = 64 << 30
    resolve: Resolve = judge


@dataclass(slots=True)
class ConnectionAttempt:
    """One request for a connection; `refused` is the reason for a refusal. Bytes are known once it is closed."""

    host: str
    port: int
    address: str = ""
    refused: str = ""
    sent: int = 0
    received: int = 0
    closed: bool = False
    verdict: str = "refused"  # also "unreachable", when a retry may help


@dataclass(slots=True)
class Totals:
    connections: int = 0
    open: int = 0
    bytes: int = 0
    over: str = ""  # the limit that was reached


class Broker:
    """The broker of one sandbox, on a separate thread.

    `seen` is called from that thread: when a connection is refused, opened, and closed.
    """

    def __init__(self, door: EgressLimits, seen: Callable[[ConnectionAttempt], None]) -> None:
        self._door = door
        self._seen = seen
        self.totals = Totals()
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="egress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close every connection. Safe to call twice."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(RuntimeError):  # It ended meanwhile.
            self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(QUIT_SECONDS)
        self.theirs.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(self._ours, self._asked)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._end_tasks())
        finally:
            self._ours.close()
            self._loop.close()

    def _stop(self) -> None:
        self._loop.remove_reader(self._ours)
        self._loop.stop()

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _asked(self) -> None:
        """Use a plain recv, so that the kernel drops any descriptors that were sent too."""
        try:
            data = self._ours.recv(QUESTION)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._ours)
            return
        task = self._loop.create_task(self._serve(data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, data: bytes) -> None:
        passage = _question(data)
        if passage is None:
            self._reply({"refused": "not a valid request"})
            return
        totals = self.totals
        totals.connections += 1
        totals.open += 1
        try:
            passage.refused = self._quota() or await self._pass(passage)
            if passage.refused:
                self._reply({passage.verdict: passage.refused})
        finally:
            totals.open -= 1
            passage.closed = True
            self._seen(passage)

    def _quota(self) -> str:
        """Return the limit that is reached, or an empty string."""
        totals, door = self.totals, self._door
        if totals.connections > door.most_connections:
            totals.over = f"more than {door.most_connections:,} connections"
            return totals.over
        if totals.bytes > door.most_bytes:
            return totals.over
        if totals.open > door.most_at_once:
            return f"more than {door.most_at_once} connections at once"
        return ""

    async def _pass(self, passage: ConnectionAttempt) -> str:
        """Connect and relay until both sides are done. Returns the reason if it is refused."""
        if not self._door.hosts.allows(passage.host, passage.port):
            return "this host is not on the source's allow-list"
        try:
            addresses = await self._addresses(passage)
        except EgressError as error:
            passage.verdict = "unreachable" if error.retryable else "refused"
            return error.message
        except TimeoutError:
            passage.verdict = "unreachable"
            return "the name could not be resolved in time"
        streams = await _connected(addresses, passage)
        if streams is None:
            passage.verdict = "unreachable"
            return "no address accepts connections"
        self._seen(passage)
        await self._relay(passage, *streams)
        return ""

    async def _addresses(self, passage: ConnectionAttempt) -> list[str]:
        door = self._door
        ask = partial(door.resolve, passage.host, passage.port, allow_private=door.allow_private)
        return await asyncio.wait_for(
            self._loop.run_in_executor(None, ask), timeout=RESOLVE_SECONDS
        )

    async def _relay(
        self, passage: ConnectionAttempt, far: asyncio.StreamReader, to_far: asyncio.StreamWriter
    ) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._reply({"address": passage.address}, theirs.fileno())
        finally:
            theirs.close()
        near, to_near = await asyncio.open_connection(sock=ours)
        try:
            await asyncio.gather(
                self._pump(near, to_far, passage, outward=True),
                self._pump(far, to_near, passage, outward=False),
            )
        finally:
            for writer in (to_near, to_far):
                writer.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        passage: ConnectionAttempt,
        *,
        outward: bool,
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                self._count(passage, len(data), outward=outward)
                if self.totals.over:
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            writer.transport.abort()

    def _count(self, passage: ConnectionAttempt, size: int, *, outward: bool) -> None:
        traffic.moved()
        if outward:
            passage.sent += size
        else:
            passage.received += size
        self.totals.bytes += size
        if self.totals.bytes > self._door.most_bytes:
            self.totals.over = f"more than {self._door.most_bytes:,} bytes over the network"

    def _reply(self, answer: dict[str, str], fd: int | None = None) -> None:
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd else []
        with contextlib.suppress(OSError):  # The sandboxed process has ended, or does not read.
            self._ours.sendmsg([json.dumps(answer).encode()], passed)


def _question(data: bytes) -> ConnectionAttempt | None:
    """Parse a request; None for anything but `{"host": text, "port": number}`."""
    try:
        asked = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict):
        return None
    host, port = asked.get("host"), asked.get("port")
    if not isinstance(host, str) or not 0 < len(host) <= 253:
        return None
    if type(port) is not int or not 0 <= port <= 65535:
        return None
    return ConnectionAttempt(host.lower().rstrip("."), port)


async def _connected(
    addresses: Sequence[str], passage: ConnectionAttempt
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    for address in addresses[:TRIED_ADDRESSES]:
        try:
            opened = await asyncio.wait_for(
                asyncio.open_connection(address, passage.port), CONNECT_SECONDS
            )
        except (OSError, TimeoutError):
            continue
        passage.address = address
        return opened
    return None
