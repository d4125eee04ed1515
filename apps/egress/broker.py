"""The broker opens all network connections of a sandbox, if they are allowed.

The sandboxed process has no INET socket. It sends `{"host", "port"}` over a SEQPACKET socket pair. The broker
checks the allow-list before any DNS query, checks every address (`egress.policy`), and connects to a checked
address. It passes one end of a UNIX socket pair to the sandboxed process, and relays data between the other end and
the server. TLS is end-to-end between the sandboxed process and the server. The broker reports every allowed and
refused connection to `on_attempt`.
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
from apps.egress.policy import allowed_addresses
from apps.egress.traffic import traffic

CONNECT_SECONDS = 10.0
RESOLVE_SECONDS = 10.0
MAX_REQUEST_BYTES = 2048
CHUNK_SIZE = 1 << 16
MAX_TRIED_ADDRESSES = 3
THREAD_STOP_SECONDS = 3.0

Resolve = Callable[..., list[str]]


@dataclass(frozen=True, slots=True)
class EgressLimits:
    """The allowed hosts, and limits for all connections, open connections, and bytes in both directions."""

    hosts: AllowList
    allow_private: bool = False
    max_connections: int = 10_000
    max_open_connections: int = 32
    max_bytes: int = 64 << 30
    resolve: Resolve = allowed_addresses


@dataclass(slots=True)
class ConnectionAttempt:
    """One request for a connection. `refused` is the reason for a refusal.

    `sent` and `received` are bytes, and are final when the connection is closed.
    """

    host: str
    port: int
    address: str = ""
    refused: str = ""
    sent: int = 0
    received: int = 0
    closed: bool = False
    verdict: str = "refused"  # or "unreachable", if a retry may help


@dataclass(slots=True)
class Totals:
    connections: int = 0  # all connections, including closed and refused ones
    open_connections: int = 0
    bytes: int = 0
    exceeded_limit: str = ""  # a description of the limit


class Broker:
    """The broker of one sandbox, on a separate thread.

    `on_attempt` is called in that thread when a connection is refused, opened or closed.
    """

    def __init__(
        self, limits: EgressLimits, on_attempt: Callable[[ConnectionAttempt], None]
    ) -> None:
        self._limits = limits
        self._on_attempt = on_attempt
        self.totals = Totals()
        self._own_socket, self.code_socket = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        self._own_socket.setblocking(False)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="egress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close every connection. A second call does nothing."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(RuntimeError):  # The thread has just ended.
            self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(THREAD_STOP_SECONDS)
        self.code_socket.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(self._own_socket, self._receive_request)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._end_tasks())
        finally:
            self._own_socket.close()
            self._loop.close()

    def _stop(self) -> None:
        self._loop.remove_reader(self._own_socket)
        self._loop.stop()

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _receive_request(self) -> None:
        """Receive one request. A plain recv makes the kernel drop descriptors that were sent with it."""
        try:
            data = self._own_socket.recv(MAX_REQUEST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._own_socket)
            return
        task = self._loop.create_task(self._handle_request(data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle_request(self, data: bytes) -> None:
        attempt = _parse_request(data)
        if attempt is None:
            self._reply({"refused": "not a valid request"})
            return
        totals = self.totals
        totals.connections += 1
        totals.open_connections += 1
        try:
            attempt.refused = self._find_exceeded_limit() or await self._connect_and_relay(attempt)
            if attempt.refused:
                self._reply({attempt.verdict: attempt.refused})
        finally:
            totals.open_connections -= 1
            attempt.closed = True
            self._on_attempt(attempt)

    def _find_exceeded_limit(self) -> str:
        """Return a description of the limit that is exceeded, or an empty string."""
        totals, limits = self.totals, self._limits
        if totals.connections > limits.max_connections:
            totals.exceeded_limit = f"more than {limits.max_connections:,} connections"
            return totals.exceeded_limit
        if totals.bytes > limits.max_bytes:
            return totals.exceeded_limit
        if totals.open_connections > limits.max_open_connections:
            return f"more than {limits.max_open_connections} connections at once"
        return ""

    async def _connect_and_relay(self, attempt: ConnectionAttempt) -> str:
        """Connect, and relay data until both sides close. Returns the reason if the connection is refused."""
        if not self._limits.hosts.allows(attempt.host, attempt.port):
            return "this host is not on the source's allow-list"
        try:
            addresses = await self._resolve_addresses(attempt)
        except EgressError as error:
            attempt.verdict = "unreachable" if error.retryable else "refused"
            return error.message
        except TimeoutError:
            attempt.verdict = "unreachable"
            return "the name could not be resolved in time"
        streams = await _connect(addresses, attempt)
        if streams is None:
            attempt.verdict = "unreachable"
            return "no address accepts connections"
        self._on_attempt(attempt)
        await self._relay(attempt, *streams)
        return ""

    async def _resolve_addresses(self, attempt: ConnectionAttempt) -> list[str]:
        limits = self._limits
        resolve = partial(
            limits.resolve, attempt.host, attempt.port, allow_private=limits.allow_private
        )
        return await asyncio.wait_for(
            self._loop.run_in_executor(None, resolve), timeout=RESOLVE_SECONDS
        )

    async def _relay(
        self,
        attempt: ConnectionAttempt,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        own_end, code_end = socket.socketpair()
        try:
            self._reply({"address": attempt.address}, code_end.fileno())
        finally:
            code_end.close()
        code_reader, code_writer = await asyncio.open_connection(sock=own_end)
        try:
            await asyncio.gather(
                self._pump(code_reader, server_writer, attempt, is_outgoing=True),
                self._pump(server_reader, code_writer, attempt, is_outgoing=False),
            )
        finally:
            for writer in (code_writer, server_writer):
                writer.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        attempt: ConnectionAttempt,
        *,
        is_outgoing: bool,
    ) -> None:
        try:
            while data := await reader.read(CHUNK_SIZE):
                self._count_bytes(attempt, len(data), is_outgoing=is_outgoing)
                if self.totals.exceeded_limit:
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            writer.transport.abort()

    def _count_bytes(self, attempt: ConnectionAttempt, size: int, *, is_outgoing: bool) -> None:
        traffic.report_transfer()
        if is_outgoing:
            attempt.sent += size
        else:
            attempt.received += size
        self.totals.bytes += size
        if self.totals.bytes > self._limits.max_bytes:
            self.totals.exceeded_limit = (
                f"more than {self._limits.max_bytes:,} bytes over the network"
            )

    def _reply(self, response: dict[str, str], fd: int | None = None) -> None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd else []
        with contextlib.suppress(OSError):  # The sandboxed process has ended or does not read.
            self._own_socket.sendmsg([json.dumps(response).encode()], ancillary)


def _parse_request(data: bytes) -> ConnectionAttempt | None:
    """Parse a request. Returns None if it is not `{"host": text, "port": number}`."""
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(request, dict):
        return None
    host, port = request.get("host"), request.get("port")
    if not isinstance(host, str) or not 0 < len(host) <= 253:
        return None
    if type(port) is not int or not 0 <= port <= 65535:
        return None
    return ConnectionAttempt(host.lower().rstrip("."), port)


async def _connect(
    addresses: Sequence[str], attempt: ConnectionAttempt
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    for address in addresses[:MAX_TRIED_ADDRESSES]:
        try:
            streams = await asyncio.wait_for(
                asyncio.open_connection(address, attempt.port), CONNECT_SECONDS
            )
        except (OSError, TimeoutError):
            continue
        attempt.address = address
        return streams
    return None
