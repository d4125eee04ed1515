"""Websockets of a real server: the same events, the same rules and the same limits as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
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
