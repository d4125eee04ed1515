"""Server-sent events of a real server: none lost, none sent twice, none of other orgs."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from apps.auth import sessions, tokens
from apps.live import events, tickets
from apps.orgs.models import Membership
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from apps.runs.following import feed as followed
from apps.runs.models import Event
from tests.runs.conftest import make_pipeline
from tests.runs.own_server import OwnServer
from tests.web_server import web_server
from tests.world import World, make_world


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    with web_server(DROVER_STREAM_RECHECK_SECONDS="1") as address:
        yield address


class Listener:
    """A client of one stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def next(self) -> tuple[Any, str, Any]:
        """Return the next event: (id, kind, body)."""
        found: dict[str, str] = {}
        for line in self._lines:
            if not line and "data" in found:
                number = int(found["id"]) if "id" in found else None
                return number, found["event"], json.loads(found["data"])
            name, _, value = line.partition(": ")
            found[name] = value
        raise EOFError

    def ended(self) -> bool:
        return not [line for line in self._lines if line.startswith("data")]


@contextmanager
def listen(server: str, path: str, who: World, **headers: str) -> Iterator[Listener]:
    credentials = {"Authorization": f"Bearer {token_of(who)}", **headers}
    with httpx.stream("GET", server + path, headers=credentials, timeout=20) as response:
        yield Listener(response)


def claims_of(who: World, role: Role = Role.VIEWER) -> tokens.Claims:
    user = who.users[role]
    session = sessions.begin(user=user, ip=None, user_agent="tests")
    return tokens.Claims(
        user_id=user.pk, org_id=who.org.pk, session_id=session.id, token_version=user.token_version
    )


def token_of(who: World, role: Role = Role.VIEWER) -> str:
    return tokens.issue(claims_of(who, role))


def start(who: World, pipeline: Pipeline) -> UUID:
    answer = who.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
    assert answer.status_code == 201, answer.content
    return UUID(answer.json()["id"])


def say(who: World, run_id: UUID, *bodies: dict[str, Any], kind: str = "progress") -> None:
    with who.scope():
        news = [events.NewEvent(kind, body) for body in bodies]
        events.publish(followed.RUN, org_id=who.org.pk, key=run_id, new_events=news)


def test_a_stream_begins_with_the_current_run_and_continues_live(server: str, acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))

    with listen(server, f"/api/v1/runs/{run_id}/events", acme) as stream:
        number, kind, body = stream.next()
        assert (kind, body["status"], body["event_sequence"]) == ("run", "pending", number)
        say(acme, run_id, {"read": 1}, {"read": 2})
        assert stream.next() == (2, "progress", {"read": 1})
        assert stream.next() == (3, "progress", {"read": 2})
        acme.client().post(f"/api/v1/runs/{run_id}/cancel", {})
        assert stream.next()[2]["status"] == "cancelled"
        assert stream.next() == (5, "end", {"status": "cancelled"})
        assert stream.ended()


def test_a_reconnecting_client_gets_exactly_what_it_missed(server: str, acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))
    path = f"/api/v1/runs/{run_id}/events"
    say(acme, run_id, *({"read": n} for n in range(2, 8)))

    with listen(server, path, acme, **{"Last-Event-ID": "4"}) as stream:
        assert [stream.next()[0] for _ in range(3)] == [5, 6, 7]
    with listen(server, f"{path}?last_event_id=6", acme) as stream:
        assert stream.next() == (7, "progress", {"read": 7})


def test_a_body_too_large_for_a_notice_arrives_whole(server: str, acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))
    lines = [{"message": "ü" * 900, "at": "x", "level": "info", "fields": {}} for _ in range(20)]

    with listen(server, f"/api/v1/runs/{run_id}/events", acme) as stream:
        stream.next()
        say(acme, run_id, {"first_line": 0, "lines": lines}, kind="log")
        say(acme, run_id, {"read": 1})
        assert stream.next() == (2, "log", {"first_line": 0, "lines": lines})
        assert stream.next()[0] == 3


def test_a_client_that_has_received_the_end_gets_204(server: str, acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))
    acme.client().post(f"/api/v1/runs/{run_id}/cancel", {})
    path = f"/api/v1/runs/{run_id}/events"

    with listen(server, path, acme) as stream:
        assert stream.next()[1] == "run"
        last, kind, _ = stream.next()
        assert kind == "end"
        assert stream.ended()
    with listen(server, path, acme, **{"Last-Event-ID": str(last)}) as stream:
        assert stream.response.status_code == 204


def test_a_stream_whose_position_was_deleted_begins_with_the_current_run(
    server: str, acme: World
) -> None:
    run_id = start(acme, make_pipeline(acme))
    say(acme, run_id, {"read": 1}, {"read": 2})
    with acme.scope():
        Event.objects.for_org(acme.org).filter(run_id=run_id, sequence__lt=3).delete()

    with listen(server, f"/api/v1/runs/{run_id}/events", acme, **{"Last-Event-ID": "1"}) as stream:
        number, kind, _ = stream.next()
        assert (number, kind) == (3, "run")


def test_the_stream_of_the_org_tells_of_all_its_runs_and_of_no_other(
    server: str, acme: World
) -> None:
    other = make_world()
    with listen(server, "/api/v1/events", acme) as stream:
        assert stream.next() == (0, "hello", {"sequence": 0})
        start(other, make_pipeline(other))
        first = start(acme, make_pipeline(acme))
        say(acme, first, {"run_id": str(first), "read": 5})
        second = start(acme, make_pipeline(acme))
        number, kind, body = stream.next()
        assert (number, kind, body["id"]) == (1, "run", str(first))
        assert stream.next() == (None, "progress", {"run_id": str(first), "read": 5})
        assert stream.next()[2]["id"] == str(second)
    with listen(server, "/api/v1/events", acme, **{"Last-Event-ID": "1"}) as stream:
        assert stream.next()[2]["id"] == str(second)


def test_a_stranger_a_viewer_and_an_anonymous_client(server: str, acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))
    stranger = {"Authorization": f"Bearer {token_of(make_world())}"}

    foreign = httpx.get(f"{server}/api/v1/runs/{run_id}/events", headers=stranger)
    unknown = httpx.get(f"{server}/api/v1/runs/{uuid4()}/events", headers=stranger)
    nobody = httpx.get(f"{server}/api/v1/runs/{run_id}/events")

    assert (foreign.status_code, nobody.status_code) == (404, 401)
    assert foreign.content == unknown.content
    assert foreign.headers["content-type"] == "application/problem+json"


def test_a_ticket_opens_one_stream_and_no_second(server: str, acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))
    address = f"{server}/api/v1/runs/{run_id}/events?ticket={tickets.issue_for(claims_of(acme))}"

    with httpx.stream("GET", address, timeout=10) as response:
        assert Listener(response).next()[1] == "run"
    assert httpx.get(address).status_code == 401


def hear_on(stream: Listener, world: World, run_id: UUID) -> None:
    """For the life of the stream, but not forever."""
    for read in range(5000):
        say(world, run_id, {"read": read})
        stream.next()


def test_a_stream_closes_when_its_member_is_removed(server: str, acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))

    with listen(server, f"/api/v1/runs/{run_id}/events", acme) as stream:
        stream.next()
        with acme.scope():
            Membership.objects.for_org(acme.org).filter(user=acme.users[Role.VIEWER]).delete()
        with pytest.raises(EOFError):  # access is checked once a second here
            hear_on(stream, acme, run_id)


def test_a_client_that_does_not_read_is_cut_off_and_resumes_where_it_was(
    server: str, acme: World
) -> None:
    run_id = start(acme, make_pipeline(acme))
    path = f"/api/v1/runs/{run_id}/events"
    large = "x" * 6500  # of which the sockets' buffers hold some hundreds

    narrow = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)])
    headers = {"Authorization": f"Bearer {token_of(acme)}"}
    with (
        httpx.Client(transport=narrow, timeout=20) as client,
        client.stream("GET", server + path, headers=headers) as response,
    ):
        stream = Listener(response)
        first, _, _ = stream.next()
        last = first + 2000
        for _ in range(20):
            say(acme, run_id, *({"read": n, "note": large} for n in range(100)))
        seen = [first]
        with suppress(httpx.RemoteProtocolError, EOFError):
            while seen[-1] != last:
                seen.append(stream.next()[0])
    assert last not in seen
    with listen(server, path, acme, **{"Last-Event-ID": str(seen[-1])}) as stream:
        while seen[-1] != last:
            seen.append(stream.next()[0])

    assert seen == list(range(first, last + 1))


def test_nothing_is_lost_or_doubled_when_postgresql_is_killed_and_comes_back(
    own_postgres: OwnServer,
) -> None:
    acme = make_world()
    run_id = start(acme, make_pipeline(acme))

    with (
        web_server() as server,
        listen(server, f"/api/v1/runs/{run_id}/events", acme) as stream,
    ):
        first, _, _ = stream.next()
        say(acme, run_id, {"read": 1})
        assert stream.next()[0] == first + 1
        own_postgres.kill()
        own_postgres.start_again()
        say(acme, run_id, {"read": 2})  # mostly before the server listens again
        say(acme, run_id, {"read": 3})
        assert [stream.next()[0] for _ in range(2)] == [first + 2, first + 3]
        say(acme, run_id, {"read": 4})
        assert stream.next() == (first + 4, "progress", {"read": 4})

    assert own_postgres.recovered


def test_a_malformed_place_is_a_bad_request(server: str, acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))
    with listen(
        server, f"/api/v1/runs/{run_id}/events", acme, **{"Last-Event-ID": "9" * 26}
    ) as stream:
        assert stream.response.status_code == 400


def test_a_server_without_streams_answers_what_there_is(acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))

    answer = acme.client().get(
        f"/api/v1/runs/{run_id}/events", headers={"accept": "text/event-stream"}
    )

    assert answer.status_code == 200
    assert b"event: run\n" in answer.content
