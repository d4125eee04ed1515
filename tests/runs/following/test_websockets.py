"""Websockets of a real server: the same events, the same rules and the same limits as server-sent events."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from apps.live import tickets
from apps.orgs.models import Membership
from apps.orgs.roles import Role
from tests.runs.conftest import make_pipeline
from tests.runs.following.test_streams import (
    publish_events,
    session_claims,
    session_token,
    start_run,
)
from tests.web_server import web_server
from tests.world import World, make_world

ORIGIN = Origin("http://localhost:8000")  # of DROVER_PUBLIC_URL
SEND_SECONDS = 1


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    with web_server(
        DROVER_STREAM_RECHECK_SECONDS="1", DROVER_STREAM_SEND_SECONDS=str(SEND_SECONDS)
    ) as address:
        yield address.replace("http", "ws", 1)


@contextmanager
def open_websocket(address: str, world: World, **options: Any) -> Iterator[ClientConnection]:
    """Open a websocket with a header, as a program does."""
    headers = {"Authorization": f"Bearer {session_token(world)}"}
    options = {"origin": ORIGIN, "additional_headers": headers, **options}
    with connect_with(address, **options) as websocket:
        yield websocket


def connect_with(address: str, **options: Any) -> ClientConnection:
    websocket: ClientConnection = connect(address, compression=None, **options)
    return websocket


def read_until_closed(websocket: ClientConnection) -> list[Any]:
    """Return the numbers of the events that arrive until the server closes the websocket."""
    numbers = []
    with suppress(ConnectionClosed):
        while True:
            numbers.append(receive(websocket)[0])
    return numbers


def resume(websocket: ClientConnection, last_event_id: int | None = None) -> None:
    websocket.send(json.dumps({"last_event_id": last_event_id}))


def receive(websocket: ClientConnection) -> tuple[Any, str, Any]:
    """Return the next event: (id, kind, body)."""
    message = json.loads(websocket.recv(timeout=20))
    return message["id"], message["event"], message["data"]


def refused_status(address: str, **options: Any) -> int:
    """Return the status of a handshake that the server refuses."""
    with pytest.raises(InvalidStatus) as raised, connect_with(address, **options):
        pass
    return raised.value.response.status_code


def ticket_protocols(ticket: str) -> list[Any]:
    """Return what a browser offers as subprotocols."""
    return ["drover.v1", f"drover.ticket.{ticket}"]


def test_a_websocket_begins_with_the_current_run_and_continues_with_new_events(
    server: str, acme: World
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    with open_websocket(f"{server}/api/v1/runs/{run_id}/ws", acme) as websocket:
        resume(websocket)
        number, kind, body = receive(websocket)
        assert (kind, body["status"], body["event_sequence"]) == ("run", "pending", number)
        publish_events(acme, run_id, {"read": 1}, {"read": 2})
        assert receive(websocket) == (2, "progress", {"read": 1})
        assert receive(websocket) == (3, "progress", {"read": 2})
        acme.client().post(f"/api/v1/runs/{run_id}/cancel", {})
        assert receive(websocket)[2]["status"] == "cancelled"
        assert receive(websocket) == (5, "end", {"status": "cancelled"})
        with pytest.raises(ConnectionClosed):
            receive(websocket)
        assert websocket.close_code == 1000


def test_a_reconnecting_websocket_gets_exactly_the_missed_events(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    address = f"{server}/api/v1/runs/{run_id}/ws"
    publish_events(acme, run_id, *({"read": n} for n in range(2, 8)))
    with open_websocket(address, acme) as websocket:
        resume(websocket, 4)
        assert [receive(websocket)[0] for _ in range(3)] == [5, 6, 7]
    with open_websocket(f"{address}?last_event_id=6", acme) as websocket:
        assert receive(websocket) == (7, "progress", {"read": 7})


def test_the_websocket_of_an_org_contains_events_of_its_runs(server: str, acme: World) -> None:
    with open_websocket(f"{server}/api/v1/ws", acme) as websocket:
        resume(websocket)
        assert receive(websocket) == (0, "hello", {"sequence": 0})
        run_id = start_run(acme, make_pipeline(acme))
        assert receive(websocket)[2]["id"] == str(run_id)


def test_strangers_and_anonymous_clients_cannot_open_a_websocket(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    stranger = {"Authorization": f"Bearer {session_token(make_world())}"}
    own = {"Authorization": f"Bearer {session_token(acme)}"}

    def status(path: str, headers: dict[str, str]) -> int:
        return refused_status(f"{server}{path}", origin=ORIGIN, additional_headers=headers)

    assert status(f"/api/v1/runs/{run_id}/ws", stranger) == 404
    assert status(f"/api/v1/runs/{uuid4()}/ws", own) == 404
    assert status(f"/api/v1/runs/{run_id}/ws", {}) == 401
    assert status("/api/v1/other/ws", own) == 403  # There is no such websocket.


def test_a_ticket_opens_one_websocket(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    address = f"{server}/api/v1/runs/{run_id}/ws"
    ticket = tickets.issue_for(session_claims(acme))
    with connect_with(address, origin=ORIGIN, subprotocols=ticket_protocols(ticket)) as websocket:
        assert websocket.subprotocol == "drover.v1"
        resume(websocket)
        assert receive(websocket)[1] == "run"
    options: dict[str, Any] = {"origin": ORIGIN, "subprotocols": ticket_protocols(ticket)}
    assert refused_status(address, **options) == 401


def test_a_ticket_in_the_url_opens_no_websocket(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    ticket = tickets.issue_for(session_claims(acme))
    address = f"{server}/api/v1/runs/{run_id}/ws?ticket={ticket}"
    assert refused_status(address, origin=ORIGIN) == 401


@pytest.mark.parametrize(
    "origin",
    [
        "https://localhost:8000",
        "http://localhost:8001",
        "http://localhost",
        "http://localhost:8000.example.com",
        "http://example.com:8000",
        "http://localhost:99999",
        "http://[",
        "null",
        None,
    ],
)
def test_a_page_of_another_origin_cannot_open_a_websocket(
    server: str, acme: World, origin: str | None
) -> None:
    ticket = tickets.issue_for(session_claims(acme))
    address = f"{server}/api/v1/ws"
    options: dict[str, Any] = {"subprotocols": ticket_protocols(ticket)}
    assert refused_status(address, origin=origin, **options) == 403
    with connect_with(address, origin=ORIGIN, **options) as websocket:  # The ticket was not used.
        resume(websocket)
        assert receive(websocket)[1] == "hello"


@pytest.mark.parametrize(
    "message",
    [
        "",
        "4",
        "{}",
        '{"last_event_id": -1}',
        '{"last_event_id": true}',
        '{"last_event_id": "4"}',
        b"4",
    ],
)
def test_a_websocket_whose_first_message_is_invalid_is_closed(
    server: str, acme: World, message: str | bytes
) -> None:
    with open_websocket(f"{server}/api/v1/ws", acme) as websocket:
        websocket.send(message)
        with pytest.raises(ConnectionClosed):
            receive(websocket)
        assert websocket.close_code == 1008
        assert "last_event_id" in (websocket.close_reason or "")


def test_a_websocket_that_sends_a_large_or_a_second_message_is_closed(
    server: str, acme: World
) -> None:
    for messages, close_code in (["x" * 5000], 1009), (['{"last_event_id": null}'] * 2, 1008):
        with open_websocket(f"{server}/api/v1/ws", acme) as websocket:
            for message in messages:
                websocket.send(message)
            read_until_closed(websocket)
            assert websocket.close_code == close_code


def test_a_websocket_without_a_first_message_is_closed(server: str, acme: World) -> None:
    with open_websocket(f"{server}/api/v1/ws", acme) as websocket:
        with pytest.raises(ConnectionClosed):
            receive(websocket)
        assert websocket.close_code == 1008


def test_a_websocket_closes_when_its_member_is_removed(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    with open_websocket(f"{server}/api/v1/runs/{run_id}/ws", acme) as websocket:
        resume(websocket)
        receive(websocket)
        with acme.scope():
            Membership.objects.for_org(acme.org).filter(user=acme.users[Role.VIEWER]).delete()
        with pytest.raises(ConnectionClosed):  # This server checks the access once a second.
            publish_until_closed(websocket, acme, run_id)
        assert websocket.close_code == 1008


def publish_until_closed(websocket: ClientConnection, world: World, run_id: UUID) -> None:
    for read in range(5000):
        publish_events(world, run_id, {"read": read})
        receive(websocket)


LARGE_EVENTS = 100  # fewer than the notices that may wait for one client
LARGE_NOTE = "x" * 100_000  # all of them together do not fit in the buffers of the sockets


@pytest.fixture(scope="module")
def server_for_one_stream(django_db_setup: None) -> Iterator[str]:
    """Allow each member one stream, so that a second stream shows that the first is not counted any more."""
    with web_server(
        DROVER_STREAMS_PER_MEMBER="1", DROVER_STREAM_SEND_SECONDS=str(SEND_SECONDS)
    ) as address:
        yield address.replace("http", "ws", 1)


def connect_with_small_buffer(server: str) -> socket.socket:
    host, port = server.removeprefix("ws://").split(":")
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connected.settimeout(20)
    connected.connect((host, int(port)))
    return connected


def has_open_connection(client: socket.socket) -> bool:
    """Whether the server has not closed its side of this connection, which Linux lists in a file."""
    server_port, client_port = client.getpeername()[1], client.getsockname()[1]
    established = "01"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if local.endswith(f":{server_port:04X}") and remote.endswith(f":{client_port:04X}"):
            return state == established
    return False


def can_open_websocket(address: str, world: World) -> bool:
    """Return whether the member may open a stream, or whether they are at their limit."""
    try:
        with open_websocket(address, world):
            return True
    except InvalidStatus as refused:
        if refused.response.status_code != 429:
            raise
        return False


def seconds_until_open(address: str, world: World) -> float:
    """Return how long another stream of the same member is refused."""
    start = time.monotonic()
    while not can_open_websocket(address, world):
        assert time.monotonic() < start + 30
        time.sleep(0.1)
    return time.monotonic() - start


def test_a_websocket_that_is_not_read_is_closed_and_resumes_without_loss(
    server_for_one_stream: str, acme: World
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    address = f"{server_for_one_stream}/api/v1/runs/{run_id}/ws"
    received: list[int] = []
    with open_websocket(
        address, acme, sock=connect_with_small_buffer(server_for_one_stream), max_queue=1
    ) as websocket:
        resume(websocket)
        received.append(receive(websocket)[0])
        last_id = received[0] + LARGE_EVENTS
        publish_events(acme, run_id, *({"note": LARGE_NOTE} for _ in range(LARGE_EVENTS)))
        assert not can_open_websocket(address, acme)
        assert seconds_until_open(address, acme) < SEND_SECONDS + 10
        received += read_until_closed(websocket)
    assert last_id not in received
    with open_websocket(address, acme) as websocket:
        resume(websocket, received[-1])
        while received[-1] != last_id:
            received.append(receive(websocket)[0])
    assert received == list(range(received[0], last_id + 1))


@pytest.mark.long
def test_an_event_stream_that_is_not_read_is_closed(
    server_for_one_stream: str, acme: World
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    head = (
        f"GET /api/v1/runs/{run_id}/events HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {session_token(acme)}",
    )
    with closing(connect_with_small_buffer(server_for_one_stream)) as client:
        # At once, because the server closes a connection that stays idle for five seconds.
        client.sendall("\r\n".join((*head, "", "")).encode())
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        publish_events(acme, run_id, *({"note": LARGE_NOTE} for _ in range(LARGE_EVENTS)))
        address = f"{server_for_one_stream}/api/v1/ws"
        assert not can_open_websocket(address, acme)
        assert seconds_until_open(address, acme) < SEND_SECONDS + 10
        assert not has_open_connection(client)
        received = 0
        with suppress(ConnectionResetError):
            while part := client.recv(65536):
                received += len(part)
        assert received < LARGE_EVENTS * len(LARGE_NOTE)


def test_a_websocket_that_disappears_without_a_close_message_is_not_counted_any_more(
    server_for_one_stream: str, acme: World
) -> None:
    address = f"{server_for_one_stream}/api/v1/ws"
    connected = connect_with_small_buffer(server_for_one_stream)
    with open_websocket(address, acme, sock=connected) as websocket:
        resume(websocket)
        receive(websocket)
        assert not can_open_websocket(address, acme)
        connected.shutdown(socket.SHUT_RDWR)
        assert seconds_until_open(address, acme) < 10


@pytest.mark.long
def test_every_event_arrives_once_while_the_client_changes_between_two_processes(
    server: str, acme: World
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    path = f"/api/v1/runs/{run_id}/ws"
    with web_server() as other_address:
        servers = (server, other_address.replace("http", "ws", 1))
        received: list[int] = []
        with open_websocket(servers[0] + path, acme) as websocket:
            resume(websocket)
            received.append(receive(websocket)[0])
        last_id = received[0] + 300
        publisher = threading.Thread(target=publish_slowly, args=(acme, run_id, 300))
        publisher.start()
        connection_count = 0
        while received[-1] != last_id:
            connection_count += 1
            with open_websocket(servers[connection_count % 2] + path, acme) as websocket:
                resume(websocket, received[-1])
                for _ in range(min(20, last_id - received[-1])):
                    received.append(receive(websocket)[0])
        publisher.join()
    assert connection_count >= 15
    assert received == list(range(received[0], last_id + 1))


def publish_slowly(world: World, run_id: UUID, count: int) -> None:
    try:
        for read in range(count):
            publish_events(world, run_id, {"read": read})
            time.sleep(0.005)
    finally:
        connection.close()


def test_a_conversation_can_be_followed_only_by_its_user(server: str, acme: World) -> None:
    client = acme.client(Role.MEMBER)
    conversation = client.post("/api/v1/agent/conversations", {}, format="json").json()["id"]
    address = f"{server}/api/v1/agent/conversations/{conversation}/ws"

    def open_as(world: World, role: Role) -> Any:
        headers = {"Authorization": f"Bearer {session_token(world, role)}"}
        return open_websocket(address, world, additional_headers=headers)

    with open_as(acme, Role.MEMBER) as websocket:
        resume(websocket)
        number, kind, body = receive(websocket)
        assert (kind, body["id"]) == ("conversation", conversation)
        client.post(
            f"/api/v1/agent/conversations/{conversation}/messages", {"text": "hello"}, format="json"
        )
        next_number, next_kind, _ = receive(websocket)
        assert (next_number, next_kind) == (number + 1, "turn_started")
    for world, role, status in (
        (make_world(), Role.MEMBER, 404),
        (acme, Role.ADMIN, 404),
        (acme, Role.VIEWER, 403),
    ):
        with pytest.raises(InvalidStatus) as refused, open_as(world, role):
            pass
        assert refused.value.response.status_code == status
