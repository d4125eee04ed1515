"""The number of live streams per member, org and process is limited, and the count is exact however a stream ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import psycopg
import pytest
from django.db import OperationalError

from apps.live import hub
from apps.live.feeds import OrgFeed
from apps.live.limits import StreamLimits
from apps.live.streams import Streams, StreamTarget
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


def bearer(who: World, role: Role) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_for(who.users[role], who.org)}"}


def test_a_crowd_gets_as_many_places_as_a_member_has_and_takes_none_of_others(server: str) -> None:
    acme, rival = make_world(), make_world()
    viewer = bearer(acme, Role.VIEWER)
    innocent = [bearer(acme, Role.MEMBER), bearer(rival, Role.VIEWER)]

    async def crowd() -> tuple[list[httpx.Response], list[int]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server, limits=limits, timeout=60) as client:

            async def open_one(headers: dict[str, str]) -> httpx.Response:
                request = client.build_request("GET", URL, headers=headers)
                return await client.send(request, stream=True)

            opened = await asyncio.gather(*(open_one(viewer) for _ in range(40)))
            others = [await open_one(headers) for headers in innocent]
            refused = next(each for each in opened if each.status_code == 429)
            await refused.aread()
            statuses = [each.status_code for each in others]
            for each in (*opened, *others):
                await each.aclose()
            return opened, statuses

    opened, others = asyncio.run(crowd())
    assert sorted({each.status_code for each in opened}) == [200, 429]
    assert [each.status_code for each in opened].count(200) == PER_MEMBER
    assert others == [200, 200]
    refused = next(each for each in opened if each.status_code == 429)
    assert refused.headers["retry-after"] == "10"
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert (problem["code"], problem["limit"]) == ("too_many_streams", PER_MEMBER)
    assert problem["detail"].startswith(f"You have {PER_MEMBER} live streams")
    assert "Close pages" in problem["detail"]


def test_keys_count_for_their_maker_and_everybody_for_the_org(server: str) -> None:
    acme = make_world()
    with acme.scope():
        owner = principal(acme, Role.OWNER)
        key = api_keys.create(org=acme.org, by=owner, name="k", role=Role.VIEWER).text
    with ExitStack() as streams:

        def status(headers: dict[str, str]) -> int:
            answer = httpx.stream("GET", server + URL, headers=headers, timeout=20)
            response = streams.enter_context(answer)
            return response.status_code

        by_key = {"Authorization": f"Bearer {key}"}
        assert [status(by_key) for _ in range(PER_MEMBER + 1)] == [200] * PER_MEMBER + [429]
        assert status(bearer(acme, Role.OWNER)) == 429  # who made the key
        assert [status(bearer(acme, Role.VIEWER)) for _ in range(2)] == [200, 200]
        refused = httpx.get(server + URL, headers=bearer(acme, Role.ADMIN), timeout=20)
        assert refused.status_code == 429
        assert refused.json()["detail"].startswith(f"Your organization has {PER_ORG} live")
    assert eventually(lambda: opens(server, acme, Role.VIEWER))


def opens(server: str, who: World, role: Role) -> bool:
    with httpx.stream("GET", server + URL, headers=bearer(who, role), timeout=20) as response:
        return response.status_code == 200


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# --- In this process, where each kind of end can be forced -------------------------------------------
Receive = Callable[[], Any]


async def stream(streams: Streams, token: str, receive: Receive) -> None:
    async def send(message: Any) -> None:
        assert message

    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": URL,
        "query_string": b"",
        "headers": [(b"authorization", token.encode()), (b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    await streams(scope, receive, send, StreamTarget())


async def stays() -> None:
    await asyncio.Event().wait()


async def leaves() -> dict[str, str]:
    return {"type": "http.disconnect"}


async def until_taken(streams: Streams) -> None:
    while not streams.limits.count:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("committed_db")
def test_a_place_is_given_back_when_the_client_leaves() -> None:
    token = bearer(make_world(), Role.VIEWER)["Authorization"]

    async def run() -> Streams:
        streams = Streams()
        await asyncio.wait_for(stream(streams, token, leaves), 30)
        await streams.close()
        return streams

    assert asyncio.run(run()).limits.count == 0


@pytest.mark.usefixtures("committed_db")
def test_a_place_is_given_back_when_the_first_read_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    token = bearer(make_world(), Role.VIEWER)["Authorization"]
    seen: list[int] = []

    async def run() -> None:
        streams = Streams()

        def fails(_: OrgFeed) -> Any:
            seen.append(streams.limits.count)
            raise OperationalError("gone")

        monkeypatch.setattr(OrgFeed, "begin", fails)
        with pytest.raises(OperationalError):
            await asyncio.wait_for(stream(streams, token, stays), 30)
        assert streams.limits.count == 0
        await streams.close()

    asyncio.run(run())
    assert seen == [1]


@pytest.mark.usefixtures("committed_db")
def test_a_place_is_given_back_when_the_server_cancels_the_stream() -> None:
    token = bearer(make_world(), Role.VIEWER)["Authorization"]

    async def run() -> None:
        streams = Streams()
        task = asyncio.create_task(stream(streams, token, stays))
        await asyncio.wait_for(until_taken(streams), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert streams.limits.count == 0
        await streams.close()

    asyncio.run(run())


@pytest.mark.usefixtures("committed_db")
def test_who_leaves_while_the_database_is_away_keeps_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hub cannot listen, so the stream has not begun; its client disconnects meanwhile."""
    token = bearer(make_world(), Role.VIEWER)["Authorization"]
    tries: list[int] = []

    async def away() -> Any:
        tries.append(1)
        raise psycopg.OperationalError("away")

    async def run() -> None:
        monkeypatch.setattr(hub, "_connect", away)
        streams, gone = Streams(), asyncio.Event()

        async def receive() -> dict[str, str]:
            await gone.wait()
            return {"type": "http.disconnect"}

        task = asyncio.create_task(stream(streams, token, receive))
        await asyncio.wait_for(until_taken(streams), 30)
        gone.set()
        await asyncio.wait_for(task, 30)
        assert streams.limits.count == 0
        await streams.close()

    asyncio.run(run())
    assert tries


def test_a_process_at_its_limit_refuses_streams(settings: Any) -> None:
    settings.STREAMS_PER_PROCESS = 1
    limits = StreamLimits()
    ids: Any = ("a", "b", "c", "d")
    with limits.take(member=ids[0], org=ids[1]), pytest.raises(Problem) as full:
        limits.take(member=ids[2], org=ids[3]).__enter__()
    assert (full.value.status, full.value.code) == (503, "unavailable")
    assert limits.count == 0
    assert not limits._open_streams
