"""Streams of a conversation on the real server: tickets are valid once and for their own session, and streams end with it."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import connection
from django.utils import timezone
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from apps.agent.conversations.events import Kind, new_event, record
from apps.auth import sessions, tokens
from apps.auth.models import StreamTicket
from apps.live import tickets
from apps.orgs.models import Membership
from apps.orgs.roles import Role
from tests.agent.conversing import Talk, begin
from tests.web_server import web_server
from tests.world import claims_for, make_world

ORIGIN = Origin("http://localhost:8000")  # of DROVER_PUBLIC_URL


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    with web_server() as address:
        yield address


@pytest.fixture
def talk(committed_db: None) -> Talk:
    return begin(make_world(), "hello")


def new_claims(talk: Talk, role: Role = Role.MEMBER) -> tokens.Claims:
    return claims_for(talk.world.users[role], talk.world.org)


def new_ticket(talk: Talk, role: Role = Role.MEMBER) -> str:
    return tickets.issue_for(new_claims(talk, role))


@contextmanager
def open_websocket(server: str, talk: Talk, ticket: str) -> Iterator[ClientConnection]:
    address = f"{server.replace('http', 'ws', 1)}/api/v1/agent/conversations/{talk.id}/ws"
    protocols: list[Any] = ["drover.v1", f"drover.ticket.{ticket}"]
    options: dict[str, Any] = {"origin": ORIGIN, "subprotocols": protocols, "compression": None}
    with connect(address, **options) as websocket:
        websocket.send(json.dumps({"last_event_id": None}))
        yield websocket


def status(server: str, talk: Talk, ticket: str) -> int:
    """Return 200 if the ticket opens the conversation's websocket, or else the status of the refusal."""
    try:
        with open_websocket(server, talk, ticket) as websocket:
            return 200 if json.loads(websocket.recv(20))["event"] == "conversation" else 0
    except InvalidStatus as error:
        return error.response.status_code


def test_a_ticket_that_many_clients_use_at_once_opens_one_websocket(
    server: str, talk: Talk
) -> None:
    ticket = new_ticket(talk)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: status(server, talk, ticket), range(8)))
    assert sorted(found) == [200, *[401] * 7]


def test_a_ticket_ends_with_its_session(server: str, talk: Talk) -> None:
    claims = new_claims(talk)
    ticket = tickets.issue_for(claims)
    sessions.end(claims.session_id, reason="logout")
    assert status(server, talk, ticket) == 401


def test_an_expired_ticket_and_guessed_tickets_open_nothing(server: str, talk: Talk) -> None:
    ticket = new_ticket(talk)
    StreamTicket.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    guessed = [ticket[:-1], ticket + "A", ticket.swapcase(), secrets.token_urlsafe(24), "x" * 2000]
    assert {status(server, talk, text) for text in (*guessed, ticket)} == {401}


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.VIEWER])
def test_a_ticket_of_another_member_opens_no_conversation_but_its_own(
    server: str, talk: Talk, role: Role
) -> None:
    expected = 403 if role == Role.VIEWER else 404
    assert status(server, talk, new_ticket(talk, role)) == expected


def test_a_ticket_of_another_org_opens_nothing(server: str, talk: Talk) -> None:
    stranger = begin(make_world(), "hello")
    assert status(server, talk, new_ticket(stranger)) == 404


def end_session(talk: Talk, claims: tokens.Claims) -> None:
    sessions.end(claims.session_id, reason="logout")


def remove_member(talk: Talk, claims: tokens.Claims) -> None:
    with talk.world.scope():
        member = Membership.objects.for_org(talk.world.org).get(user_id=claims.user_id)
    removed = talk.world.client(Role.OWNER).delete(f"/api/v1/org/members/{member.pk}")
    assert removed.status_code == 204


@pytest.mark.parametrize("end_access", [end_session, remove_member])
def test_streams_end_with_the_access_and_nothing_is_sent_afterwards(
    server: str, talk: Talk, end_access: Callable[[Talk, tokens.Claims], None]
) -> None:
    claims = new_claims(talk)
    received: list[str] = []
    opened, ended = threading.Event(), threading.Event()

    def read() -> None:
        headers = {"Authorization": f"Bearer {tokens.issue(claims)}"}
        address = f"{server}/api/v1/agent/conversations/{talk.id}/events"
        with httpx.stream("GET", address, headers=headers, timeout=30) as response:
            for line in response.iter_lines():
                received.append(line)
                opened.set()
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    with open_websocket(server, talk, tickets.issue_for(claims)) as websocket:
        first = json.loads(websocket.recv(20))
        assert first["event"] == "conversation"
        assert opened.wait(20)
        end_access(talk, claims)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert ended.wait(5)
        with talk.world.scope():
            event = new_event(Kind.TOKEN, 1, message="m", text="canary")
            record(talk.world.org.pk, talk.row().conversation_id, event)
    assert "canary" not in str(received)
    connection.close()
