"""The number of live streams per member, org and process is limited. The count is exact however a stream ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import psycopg
import pytest
from django.db import OperationalError

from apps.live import hub
from apps.live.consumers import EventStreamConsumer, StreamConsumer, WebsocketConsumer
from apps.live.feeds import Backlog, OrgFeed
from apps.live.limits import StreamLimits
from apps.live.streams import Streams
from apps.orgs.keys import services as api_keys
from apps.orgs.roles import Role
from apps.web.problems import Problem
from tests.isolation.planted import principal
from tests.web_server import web_server
from tests.world import World, make_world, token_for

PER_MEMBER, PER_ORG = 4, 6
URL = "/api/v1/events"


@pytest.fixture
def server(committed_db: None) -> Iterator[str]:
    limits: Any = {
        "DROVER_STREAMS_PER_MEMBER": str(PER_MEMBER),
        "DROVER_STREAMS_PER_ORG": str(PER_ORG),
    }
    with web_server(**limits) as address:
        yield address


def auth_headers(world: World, role: Role) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_for(world.users[role], world.org)}"}


def test_a_member_at_their_limit_gets_429_and_other_members_can_open_streams(server: str) -> None:
    acme, other_org = make_world(), make_world()
    viewer_headers = auth_headers(acme, Role.VIEWER)
    other_headers = [auth_headers(acme, Role.MEMBER), auth_headers(other_org, Role.VIEWER)]

    async def open_streams() -> tuple[list[httpx.Response], list[int]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server, limits=limits, timeout=60) as client:

            async def open_stream(headers: dict[str, str]) -> httpx.Response:
                request = client.build_request("GET", URL, headers=headers)
                return await client.send(request, stream=True)

            responses = await asyncio.gather(*(open_stream(viewer_headers) for _ in range(40)))
            other_responses = [await open_stream(headers) for headers in other_headers]
            refused = next(response for response in responses if response.status_code == 429)
            await refused.aread()
            statuses = [response.status_code for response in other_responses]
            for response in (*responses, *other_responses):
                await response.aclose()
            return responses, statuses

    responses, other_statuses = asyncio.run(open_streams())
    assert sorted({response.status_code for response in responses}) == [200, 429]
    assert [response.status_code for response in responses].count(200) == PER_MEMBER
    assert other_statuses == [200, 200]
    refused = next(response for response in responses if response.status_code == 429)
    assert refused.headers["retry-after"] == "10"
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert (problem["code"], problem["limit"]) == ("too_many_streams", PER_MEMBER)
    assert problem["detail"].startswith(f"You have {PER_MEMBER} live streams")
    assert "Close pages" in problem["detail"]


@pytest.mark.long
def test_streams_of_a_key_count_towards_the_limits_of_its_creator_and_of_the_org(
    server: str,
) -> None:
    acme = make_world()
    with acme.scope():
        owner = principal(acme, Role.OWNER)
        key = api_keys.create(org=acme.org, by=owner, name="k", role=Role.VIEWER).text
    with ExitStack() as streams:

        def open_stream(headers: dict[str, str]) -> int:
            answer = httpx.stream("GET", server + URL, headers=headers, timeout=20)
            response = streams.enter_context(answer)
            return response.status_code

        key_headers = {"Authorization": f"Bearer {key}"}
        assert [open_stream(key_headers) for _ in range(PER_MEMBER + 1)] == [200] * PER_MEMBER + [
            429
        ]
        assert open_stream(auth_headers(acme, Role.OWNER)) == 429  # the creator of the key
        assert [open_stream(auth_headers(acme, Role.VIEWER)) for _ in range(2)] == [200, 200]
        refused = httpx.get(server + URL, headers=auth_headers(acme, Role.ADMIN), timeout=20)
        assert refused.status_code == 429
        assert refused.json()["detail"].startswith(f"Your organization has {PER_ORG} live")
    assert is_true_in_time(lambda: can_open_stream(server, acme, Role.VIEWER))


def can_open_stream(server: str, world: World, role: Role) -> bool:
    with httpx.stream(
        "GET", server + URL, headers=auth_headers(world, role), timeout=20
    ) as response:
        return response.status_code == 200


def is_true_in_time(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# --- Streams in this process, which a test can end in different ways --------------------------------------
WaitForDisconnect = Callable[[], Any]


# The messages of a client before it disconnects, in reverse order.
CLIENT_MESSAGES: dict[str, list[dict[str, Any]]] = {
    "http": [{"type": "http.request", "body": b"", "more_body": False}],
    "websocket": [
        {"type": "websocket.receive", "text": '{"last_event_id": null}'},
        {"type": "websocket.connect"},
    ],
}


async def serve_stream(
    streams: Streams,
    token: str,
    wait_for_disconnect: WaitForDisconnect,
    transport: type[StreamConsumer] = EventStreamConsumer,
) -> None:
    protocol = "websocket" if issubclass(transport, WebsocketConsumer) else "http"
    client_messages = list(CLIENT_MESSAGES[protocol])

    async def receive() -> Any:
        if client_messages:
            return client_messages.pop()
        await wait_for_disconnect()
        return {"type": f"{protocol}.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        assert message

    scope: Any = {
        "type": protocol,
        "method": "GET",
        "path": URL,
        "query_string": b"",
        "headers": [(b"authorization", token.encode()), (b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    consumer = transport.as_asgi(streams=streams)
    await consumer({**scope, "url_route": {"args": (), "kwargs": {}}}, receive, send)


async def never_disconnect() -> None:
    await asyncio.Event().wait()


async def wait_until_counted(streams: Streams) -> None:
    while not streams.limits.count:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("committed_db")
def test_a_stream_is_not_counted_after_its_client_disconnects() -> None:
    token = auth_headers(make_world(), Role.VIEWER)["Authorization"]

    async def open_and_end_stream() -> Streams:
        streams = Streams()
        await asyncio.wait_for(
            serve_stream(streams, token, lambda: wait_until_counted(streams)), 30
        )
        await streams.close()
        return streams

    assert asyncio.run(open_and_end_stream()).limits.count == 0


@pytest.mark.usefixtures("committed_db")
def test_a_stream_is_not_counted_after_its_first_read_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = auth_headers(make_world(), Role.VIEWER)["Authorization"]
    counts: list[int] = []

    async def open_and_end_stream() -> None:
        streams = Streams()

        def count_and_fail(_: OrgFeed) -> Any:
            counts.append(streams.limits.count)
            raise OperationalError("gone")

        monkeypatch.setattr(OrgFeed, "first_backlog", count_and_fail)
        with pytest.raises(OperationalError):
            await asyncio.wait_for(serve_stream(streams, token, never_disconnect), 30)
        assert streams.limits.count == 0
        await streams.close()

    asyncio.run(open_and_end_stream())
    assert counts == [1]


@pytest.mark.usefixtures("committed_db")
def test_a_stream_is_not_counted_after_the_server_cancels_it() -> None:
    token = auth_headers(make_world(), Role.VIEWER)["Authorization"]

    async def open_and_end_stream() -> None:
        streams = Streams()
        task = asyncio.create_task(serve_stream(streams, token, never_disconnect))
        await asyncio.wait_for(wait_until_counted(streams), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert streams.limits.count == 0
        await streams.close()

    asyncio.run(open_and_end_stream())


@pytest.mark.usefixtures("committed_db")
def test_a_stream_is_not_counted_if_its_client_disconnects_while_the_database_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hub cannot connect to the database, so the stream has not begun when its client disconnects."""
    token = auth_headers(make_world(), Role.VIEWER)["Authorization"]
    connection_attempts: list[int] = []

    async def fail_to_connect() -> Any:
        connection_attempts.append(1)
        raise psycopg.OperationalError("the database is down")

    async def open_and_end_stream() -> None:
        monkeypatch.setattr(hub, "connect", fail_to_connect)
        streams, disconnected = Streams(), asyncio.Event()
        task = asyncio.create_task(serve_stream(streams, token, disconnected.wait))
        await asyncio.wait_for(wait_until_counted(streams), 30)
        disconnected.set()
        await asyncio.wait_for(task, 30)
        assert streams.limits.count == 0
        await streams.close()

    asyncio.run(open_and_end_stream())
    assert connection_attempts


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("transport", [EventStreamConsumer, WebsocketConsumer])
def test_the_events_are_not_sent_any_more_after_the_client_disconnects(
    monkeypatch: pytest.MonkeyPatch, transport: type[StreamConsumer]
) -> None:
    """The client disconnects while the database does not respond, so its stream would wait for a long time."""
    token = auth_headers(make_world(), Role.VIEWER)["Authorization"]
    is_reading, may_respond = threading.Event(), threading.Event()
    pumps: list[asyncio.Task[None]] = []

    def read_slowly(_: OrgFeed) -> Any:
        is_reading.set()
        assert may_respond.wait(60)
        return Backlog((), 0)

    class ObservedConsumer(transport):  # type: ignore[misc, valid-type]
        def start_pump(self) -> None:
            super().start_pump()
            pumps.append(self.pump)

    async def wait_until_reading() -> None:
        await asyncio.to_thread(is_reading.wait, 60)

    async def open_and_end_stream() -> None:
        streams = Streams()
        monkeypatch.setattr(OrgFeed, "first_backlog", read_slowly)
        try:
            serving = asyncio.create_task(
                serve_stream(streams, token, wait_until_reading, ObservedConsumer)
            )
            ended, _ = await asyncio.wait({serving}, timeout=10)
            assert ended
            assert is_reading.is_set()
            assert not may_respond.is_set()
            assert streams.limits.count == 0
        finally:
            may_respond.set()
        await streams.close()

    asyncio.run(open_and_end_stream())
    (pump,) = pumps
    assert pump.cancelled()


def test_a_process_at_its_limit_rejects_streams_with_503(settings: Any) -> None:
    settings.STREAMS_PER_PROCESS = 1
    limits = StreamLimits()
    ids: Any = ("a", "b", "c", "d")
    with limits.count_open_stream(member=ids[0], org=ids[1]), pytest.raises(Problem) as raised:
        limits.count_open_stream(member=ids[2], org=ids[3]).__enter__()
    assert (raised.value.status, raised.value.code) == (503, "unavailable")
    assert limits.count == 0
    assert not limits._counts_by_id
