"""The event streams of the real server (ASGI) follow the same rules as every other operation, and accept tickets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection

from apps.orgs.models import Membership
from apps.orgs.roles import Role
from config.asgi import application
from tests.isolation.planted import PlantedOrg, plant
from tests.isolation.test_matrix import ACTORS
from tests.world import new_client, token_for

WITHOUT_ACCESS = ("anonymous", "removed")


@pytest.fixture
def orgs(committed_db: None) -> Iterator[tuple[PlantedOrg, PlantedOrg]]:
    yield plant(), plant()
    connection.close()


async def open_stream(
    path: str, query: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Open a stream, read its first part and disconnect. Return the status, the headers and the body."""
    messages: list[dict[str, Any]] = []
    client_messages = [{"type": "http.request", "body": b"", "more_body": False}]
    disconnected = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if client_messages:
            return client_messages.pop()
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(dict(message))
        if message["type"] == "http.response.body":
            disconnected.set()

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "scheme": "http",
        "http_version": "1.1",
    }
    await asyncio.wait_for(application(scope, receive, send), 20)
    response_headers = {k.decode(): v.decode() for k, v in messages[0]["headers"]}
    return (
        messages[0]["status"],
        response_headers,
        b"".join(m.get("body", b"") for m in messages[1:]),
    )


def credential_headers(planted: PlantedOrg, actor: str) -> dict[str, str]:
    if actor == "anonymous":
        return {}
    if actor in {"key", "reading_key"}:
        return {"X-API-Key": planted[actor]}
    user = planted.removed_user if actor == "removed" else planted.world.users[Role(actor)]
    return {"Authorization": f"Bearer {token_for(user, planted.world.org)}"}


def test_members_and_keys_can_open_streams_of_their_own_org_only(
    orgs: tuple[PlantedOrg, PlantedOrg],
) -> None:
    ours, theirs = orgs
    callers = {actor: credential_headers(ours, actor) for actor in ACTORS}

    async def open_all_streams() -> dict[tuple[str, str], Any]:
        paths = {
            "org": "/api/v1/events",
            "own": f"/api/v1/runs/{ours['live_run']}/events",
            "foreign": f"/api/v1/runs/{theirs['live_run']}/events",
            "unknown": f"/api/v1/runs/{uuid4()}/events",
        }
        return {
            (actor, name): await open_stream(path, **headers)
            for actor, headers in callers.items()
            for name, path in paths.items()
        }

    answers = asyncio.run(open_all_streams())
    for actor in ACTORS:
        is_allowed = actor not in {"anonymous", "removed"}
        assert answers[actor, "org"][0] == answers[actor, "own"][0] == (200 if is_allowed else 401)
        assert answers[actor, "foreign"][0] == (404 if is_allowed else 401)
        assert answers[actor, "foreign"] == answers[actor, "unknown"]
        for _, headers, body in (answers[actor, name] for name in ("org", "own", "foreign")):
            assert theirs.canary not in body.decode() + str(headers)
            assert theirs["live_run"] not in body.decode() + str(headers)


async def open_websocket(
    path: str, *protocols: str, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Open a websocket. Return the status, the headers and the body of a refusal, or 200 and the first message."""
    messages: list[dict[str, Any]] = []
    client_messages = [
        {"type": "websocket.receive", "text": '{"last_event_id": null}'},
        {"type": "websocket.connect"},
    ]
    disconnected = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if client_messages:
            return client_messages.pop()
        await disconnected.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        messages.append(dict(message))
        if message["type"] != "websocket.accept":
            disconnected.set()

    all_headers = {"Origin": settings.PUBLIC_URL, **headers}
    scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode()) for k, v in all_headers.items()],
        "subprotocols": protocols,
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "scheme": "ws",
        "http_version": "1.1",
        "extensions": {"websocket.http.response": {}},
    }
    await asyncio.wait_for(application(scope, receive, send), 20)
    if messages[0]["type"] == "websocket.accept":
        return 200, {}, messages[1]["text"].encode()
    response_headers = {k.decode(): v.decode() for k, v in messages[0]["headers"]}
    return messages[0]["status"], response_headers, messages[1]["body"]


def test_a_websocket_answers_every_caller_like_the_event_stream(
    orgs: tuple[PlantedOrg, PlantedOrg],
) -> None:
    ours, theirs = orgs
    callers = {actor: credential_headers(ours, actor) for actor in ACTORS}
    paths = {
        "org": "/api/v1",
        "own run": f"/api/v1/runs/{ours['live_run']}",
        "foreign run": f"/api/v1/runs/{theirs['live_run']}",
        "unknown run": f"/api/v1/runs/{uuid4()}",
        "own conversation": f"/api/v1/agent/conversations/{ours['conversation']}",
        "foreign conversation": f"/api/v1/agent/conversations/{theirs['conversation']}",
    }

    async def open_both(path: str, headers: dict[str, str]) -> tuple[Any, Any]:
        return await open_stream(f"{path}/events", **headers), await open_websocket(
            f"{path}/ws", **headers
        )

    async def open_all() -> dict[tuple[str, str], tuple[Any, Any]]:
        return {
            (actor, name): await open_both(path, headers)
            for actor, headers in callers.items()
            for name, path in paths.items()
        }

    answers = asyncio.run(open_all())
    for caller, (stream, websocket) in answers.items():
        assert websocket[0] == stream[0], caller
        assert theirs.canary not in str(websocket)
        if websocket[0] != 200:
            assert websocket[2] == stream[2], caller
    statuses = {
        name: {answers[actor, name][1][0] for actor in ACTORS if actor not in WITHOUT_ACCESS}
        for name in paths
    }
    assert statuses["org"] == statuses["own run"] == {200}
    assert statuses["foreign run"] == statuses["unknown run"] == {404}
    assert statuses["own conversation"] == {200, 403, 404}  # the owner, viewers, and other members
    assert statuses["foreign conversation"] == {403, 404}
    assert answers["owner", "own conversation"][1][0] == 200
    assert {answers[actor, "org"][1][0] for actor in WITHOUT_ACCESS} == {401}


def create_ticket(planted: PlantedOrg) -> str:
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=credential_headers(planted, "viewer")["Authorization"])
    ticket: str = client.post("/api/v1/auth/stream-ticket").json()["ticket"]
    return ticket


def test_a_ticket_opens_one_stream_of_its_own_org(orgs: tuple[PlantedOrg, PlantedOrg]) -> None:
    ours, theirs = orgs
    first, second, third = create_ticket(ours), create_ticket(ours), create_ticket(ours)
    connection.close()

    async def open_with_tickets() -> list[int]:
        own, foreign = ours["live_run"], theirs["live_run"]
        return [
            (await open_stream(f"/api/v1/runs/{own}/events", f"ticket={first}"))[0],
            (await open_stream(f"/api/v1/runs/{own}/events", f"ticket={first}"))[0],
            (await open_stream(f"/api/v1/runs/{foreign}/events", f"ticket={second}"))[0],
            (await open_stream("/api/v1/events", f"ticket={third}"))[0],
            (await open_stream("/api/v1/events", "ticket=unknown"))[0],
        ]

    assert asyncio.run(open_with_tickets()) == [200, 401, 404, 200, 401]


def test_a_ticket_of_a_removed_member_opens_nothing(orgs: tuple[PlantedOrg, PlantedOrg]) -> None:
    ours, _ = orgs
    ticket = create_ticket(ours)
    with ours.world.scope():
        viewer = ours.world.users[Role.VIEWER]
        Membership.objects.for_org(ours.world.org).filter(user=viewer).delete()
    connection.close()
    status, _, _ = asyncio.run(open_stream("/api/v1/events", f"ticket={ticket}"))
    assert status == 401
