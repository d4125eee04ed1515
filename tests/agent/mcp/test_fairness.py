"""Programs of one org whose calls are slow cannot keep the programs of other orgs waiting."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from apps.agent.mcp.threads import KEPT_FREE, MAX_CALLS_PER_ORG, THREADS, CallThreads, OpenCall
from apps.orgs.keys.services import CreatedKey
from apps.web.problems import Problem
from tests.agent.mcp.programs import call, make_key
from tests.connectors.test_checks import postgres_settings
from tests.web_server import web_server
from tests.world import World, make_connector, make_world

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
VERSIONS = ("2025-11-25", "2026-07-28")
PER_ORG = 10  # calls that each of the greedy orgs makes
SLOW_SECONDS = 25  # that each of these calls takes, because its source never answers


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    """Start a large server. It allows many slow checks at once, so that they could use all threads of MCP."""
    with web_server(DROVER_WEB_THREADS="64") as address:
        yield address


class SilentServer:
    """A server that accepts connections and never sends anything, until it is closed."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._connections.append(self._server.accept()[0])

    def open_connections(self) -> set[socket.socket]:
        """Return the connections that their clients have not closed: their calls still wait for an answer."""
        return {each for each in self._connections if _is_open(each)}

    def wait_for_connections(self, count: int) -> set[socket.socket]:
        deadline = time.monotonic() + 60
        while len(found := self.open_connections()) < count:
            assert time.monotonic() < deadline, "the slow calls did not begin"
            time.sleep(0.05)
        return found

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._connections:
            connection.close()


def _is_open(connection: socket.socket) -> bool:
    try:
        while connection.recv(4096, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def call_slowly(
    server: str, key: CreatedKey, connector: Any, *, version: str, patience: float
) -> int:
    """Ask for the streams of a source that never answers. Returns the status, or 0 if the program did not wait for it."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "greedy", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "list_streams", "arguments": {"connector_id": str(connector.pk)}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**params, "_meta": meta}}
    headers = {
        "Authorization": f"Bearer {key.text}",
        "MCP-Protocol-Version": version,
        "Mcp-Method": "tools/call",
        "Mcp-Name": "list_streams",
        **HEADERS,
    }
    with suppress(httpx2.TimeoutException):
        return httpx2.post(
            f"{server}/mcp", json=body, headers=headers, timeout=patience
        ).status_code
    return 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("patience", "version"),
    [
        pytest.param(60.0, VERSIONS[1], id="waiting-new"),
        pytest.param(1.0, VERSIONS[0], id="leaving-old", marks=pytest.mark.long),
        pytest.param(60.0, VERSIONS[0], id="waiting-old", marks=pytest.mark.long),
        pytest.param(1.0, VERSIONS[1], id="leaving-new", marks=pytest.mark.long),
    ],
)
def test_a_third_org_is_served_while_two_orgs_hang_in_slow_calls(
    server: str, world: World, version: str, patience: float
) -> None:
    """Programs that close their connection before the answer leave a call behind that still has its thread.

    A call that waited for a slow one would be answered after the connection of the slow one was closed.
    """
    key = make_key(world)
    call(server, key, "list_connectors")  # imports what the first call needs
    silent = SilentServer()
    with ThreadPoolExecutor(2 * PER_ORG) as pool:
        try:
            greedy = [make_world("Greedy"), make_world("Hungry")]
            answers = [
                pool.submit(
                    call_slowly,
                    server,
                    make_key(org),
                    connector,
                    version=version,
                    patience=patience,
                )
                for org in greedy
                for connector in [silent_source(org, silent.port)]
                for _ in range(PER_ORG)
            ]
            hanging = silent.wait_for_connections(len(greedy))
            ok, _ = call(server, key, "list_connectors")
            still_hanging = silent.open_connections()
        finally:
            silent.close()  # which ends the slow calls
        statuses = [answer.result() for answer in answers]
    assert ok
    assert hanging <= still_hanging, "the call was answered after a slow one had ended"
    assert statuses.count(429) >= PER_ORG, statuses


def silent_source(org: World, port: int) -> Any:
    return make_connector(
        org, kind="postgres", config={**postgres_settings(port), "connect_timeout": SLOW_SECONDS}
    )


def test_an_org_has_at_most_four_calls_at_once_in_a_process() -> None:
    threads, org = CallThreads(), uuid4()
    calls = [threads.begin(org) for _ in range(MAX_CALLS_PER_ORG)]
    with pytest.raises(Problem) as refused:
        threads.begin(org)
    assert (refused.value.status, refused.value.code) == (429, "too_many_calls")
    calls.pop().close()
    threads.begin(org).close()


def test_half_of_the_threads_are_kept_for_orgs_without_another_call() -> None:
    threads, orgs = CallThreads(), [uuid4() for _ in range(THREADS)]
    for org in orgs[: (THREADS - KEPT_FREE) // MAX_CALLS_PER_ORG]:
        for _ in range(MAX_CALLS_PER_ORG):
            threads.begin(org)
    threads.begin(orgs[-1])
    with pytest.raises(Problem) as refused:
        threads.begin(orgs[-1])
    assert refused.value.status == 429
    for org in orgs[-KEPT_FREE:-1]:
        threads.begin(org)
    with pytest.raises(Problem) as busy:
        threads.begin(uuid4())
    assert (busy.value.status, busy.value.headers) == (503, {"Retry-After": "1"})


def test_a_call_counts_until_its_work_has_ended() -> None:
    """A program may close its connection at once, and its request ends then. Its work goes on in the thread."""
    threads, org, released = CallThreads(), uuid4(), threading.Event()

    async def leave() -> None:
        open_call = threads.begin(org)
        work = asyncio.create_task(open_call.run(lambda: released.wait(30)))
        await asyncio.sleep(0.05)
        work.cancel()
        open_call.close()
        with pytest.raises(RuntimeError):
            await open_call.run(lambda: None)

    for _ in range(MAX_CALLS_PER_ORG):
        asyncio.run(leave())
    with pytest.raises(Problem):
        threads.begin(org)
    released.set()
    begin_when_free(threads, org).close()


def begin_when_free(threads: CallThreads, org: UUID) -> OpenCall:
    deadline = time.monotonic() + 10
    while True:
        try:
            return threads.begin(org)
        except Problem:
            assert time.monotonic() < deadline, "the calls did not end with their work"
            time.sleep(0.01)
