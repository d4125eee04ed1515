"""Server-sent events of a real server: no event is lost, repeated or sent to another org."""

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
from apps.runs.following import feed
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
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and "data" in fields:
                number = int(fields["id"]) if "id" in fields else None
                return number, fields["event"], json.loads(fields["data"])
            name, _, value = line.partition(": ")
            fields[name] = value
        raise EOFError

    def has_ended(self) -> bool:
        """Read to the end of the stream. Return whether no more event arrived."""
        return not [line for line in self._lines if line.startswith("data")]


@contextmanager
def listen_to_stream(server: str, path: str, world: World, **headers: str) -> Iterator[Listener]:
    credentials = {"Authorization": f"Bearer {session_token(world)}", **headers}
    with httpx.stream("GET", server + path, headers=credentials, timeout=20) as response:
        yield Listener(response)


def session_claims(world: World, role: Role = Role.VIEWER) -> tokens.Claims:
    user = world.users[role]
    session = sessions.begin(user=user, ip=None, user_agent="tests")
    return tokens.Claims(
        user_id=user.pk,
        org_id=world.org.pk,
        session_id=session.id,
        token_version=user.token_version,
    )


def session_token(world: World, role: Role = Role.VIEWER) -> str:
    return tokens.issue(session_claims(world, role))


def start_run(world: World, pipeline: Pipeline) -> UUID:
    answer = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
    assert answer.status_code == 201, answer.content
    return UUID(answer.json()["id"])


def publish_events(
    world: World, run_id: UUID, *bodies: dict[str, Any], kind: str = "progress"
) -> None:
    with world.scope():
        new_events = [events.NewEvent(kind, body) for body in bodies]
        events.publish(feed.RUN_SUBJECT, org_id=world.org.pk, key=run_id, new_events=new_events)


def test_a_stream_begins_with_the_current_run_and_continues_with_new_events(
    server: str, acme: World
) -> None:
    run_id = start_run(acme, make_pipeline(acme))

    with listen_to_stream(server, f"/api/v1/runs/{run_id}/events", acme) as stream:
        number, kind, body = stream.next()
        assert (kind, body["status"], body["event_sequence"]) == ("run", "pending", number)
        publish_events(acme, run_id, {"read": 1}, {"read": 2})
        assert stream.next() == (2, "progress", {"read": 1})
        assert stream.next() == (3, "progress", {"read": 2})
        acme.client().post(f"/api/v1/runs/{run_id}/cancel", {})
        assert stream.next()[2]["status"] == "cancelled"
        assert stream.next() == (5, "end", {"status": "cancelled"})
        assert stream.has_ended()


def test_a_reconnecting_client_gets_exactly_the_missed_events(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    path = f"/api/v1/runs/{run_id}/events"
    publish_events(acme, run_id, *({"read": n} for n in range(2, 8)))

    with listen_to_stream(server, path, acme, **{"Last-Event-ID": "4"}) as stream:
        assert [stream.next()[0] for _ in range(3)] == [5, 6, 7]
    with listen_to_stream(server, f"{path}?last_event_id=6", acme) as stream:
        assert stream.next() == (7, "progress", {"read": 7})


def test_an_event_that_is_too_large_for_a_notification_arrives_complete(
    server: str, acme: World
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    lines = [{"message": "ü" * 900, "at": "x", "level": "info", "fields": {}} for _ in range(20)]

    with listen_to_stream(server, f"/api/v1/runs/{run_id}/events", acme) as stream:
        stream.next()
        publish_events(acme, run_id, {"first_line": 0, "lines": lines}, kind="log")
        publish_events(acme, run_id, {"read": 1})
        assert stream.next() == (2, "log", {"first_line": 0, "lines": lines})
        assert stream.next()[0] == 3


def test_a_client_that_has_received_the_last_event_gets_204(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    acme.client().post(f"/api/v1/runs/{run_id}/cancel", {})
    path = f"/api/v1/runs/{run_id}/events"

    with listen_to_stream(server, path, acme) as stream:
        assert stream.next()[1] == "run"
        last_id, kind, _ = stream.next()
        assert kind == "end"
        assert stream.has_ended()
    with listen_to_stream(server, path, acme, **{"Last-Event-ID": str(last_id)}) as stream:
        assert stream.response.status_code == 204


def test_a_stream_whose_position_was_deleted_begins_with_the_current_run(
    server: str, acme: World
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    publish_events(acme, run_id, {"read": 1}, {"read": 2})
    with acme.scope():
        Event.objects.for_org(acme.org).filter(run_id=run_id, sequence__lt=3).delete()

    with listen_to_stream(
        server, f"/api/v1/runs/{run_id}/events", acme, **{"Last-Event-ID": "1"}
    ) as stream:
        number, kind, _ = stream.next()
        assert (number, kind) == (3, "run")


def test_the_stream_of_an_org_contains_events_of_all_its_runs_and_of_no_other_org(
    server: str, acme: World
) -> None:
    other_world = make_world()
    with listen_to_stream(server, "/api/v1/events", acme) as stream:
        assert stream.next() == (0, "hello", {"sequence": 0})
        start_run(other_world, make_pipeline(other_world))
        first_run = start_run(acme, make_pipeline(acme))
        publish_events(acme, first_run, {"run_id": str(first_run), "read": 5})
        second_run = start_run(acme, make_pipeline(acme))
        number, kind, body = stream.next()
        assert (number, kind, body["id"]) == (1, "run", str(first_run))
        assert stream.next() == (None, "progress", {"run_id": str(first_run), "read": 5})
        assert stream.next()[2]["id"] == str(second_run)
    with listen_to_stream(server, "/api/v1/events", acme, **{"Last-Event-ID": "1"}) as stream:
        assert stream.next()[2]["id"] == str(second_run)


def test_a_stranger_gets_404_and_an_anonymous_client_401(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    stranger_headers = {"Authorization": f"Bearer {session_token(make_world())}"}

    foreign = httpx.get(f"{server}/api/v1/runs/{run_id}/events", headers=stranger_headers)
    unknown = httpx.get(f"{server}/api/v1/runs/{uuid4()}/events", headers=stranger_headers)
    anonymous = httpx.get(f"{server}/api/v1/runs/{run_id}/events")

    assert (foreign.status_code, anonymous.status_code) == (404, 401)
    assert foreign.content == unknown.content
    assert foreign.headers["content-type"] == "application/problem+json"


def test_a_ticket_opens_only_one_stream(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    address = (
        f"{server}/api/v1/runs/{run_id}/events?ticket={tickets.issue_for(session_claims(acme))}"
    )

    with httpx.stream("GET", address, timeout=10) as response:
        assert Listener(response).next()[1] == "run"
    assert httpx.get(address).status_code == 401


def read_until_closed(stream: Listener, world: World, run_id: UUID) -> None:
    """Publish and read 5000 events. Raises EOFError as soon as the stream closes."""
    for read in range(5000):
        publish_events(world, run_id, {"read": read})
        stream.next()


def test_a_stream_closes_when_its_member_is_removed(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))

    with listen_to_stream(server, f"/api/v1/runs/{run_id}/events", acme) as stream:
        stream.next()
        with acme.scope():
            Membership.objects.for_org(acme.org).filter(user=acme.users[Role.VIEWER]).delete()
        with pytest.raises(EOFError):  # this server checks the access once a second
            read_until_closed(stream, acme, run_id)


def test_a_client_that_does_not_read_is_disconnected_and_can_resume_without_loss(
    server: str, acme: World
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    path = f"/api/v1/runs/{run_id}/events"
    large_text = "x" * 6500  # the buffers of the sockets hold some hundreds of these texts

    small_buffer_transport = httpx.HTTPTransport(
        socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)]
    )
    headers = {"Authorization": f"Bearer {session_token(acme)}"}
    with (
        httpx.Client(transport=small_buffer_transport, timeout=20) as client,
        client.stream("GET", server + path, headers=headers) as response,
    ):
        stream = Listener(response)
        first_id, _, _ = stream.next()
        last_id = first_id + 2000
        for _ in range(20):
            publish_events(acme, run_id, *({"read": n, "note": large_text} for n in range(100)))
        received_ids = [first_id]
        with suppress(httpx.RemoteProtocolError, EOFError):
            while received_ids[-1] != last_id:
                received_ids.append(stream.next()[0])
    assert last_id not in received_ids
    with listen_to_stream(server, path, acme, **{"Last-Event-ID": str(received_ids[-1])}) as stream:
        while received_ids[-1] != last_id:
            received_ids.append(stream.next()[0])

    assert received_ids == list(range(first_id, last_id + 1))


def test_no_event_is_lost_or_repeated_when_postgresql_is_killed_and_restarted(
    own_postgres: OwnServer,
) -> None:
    acme = make_world()
    run_id = start_run(acme, make_pipeline(acme))

    with (
        web_server() as server,
        listen_to_stream(server, f"/api/v1/runs/{run_id}/events", acme) as stream,
    ):
        first_id, _, _ = stream.next()
        publish_events(acme, run_id, {"read": 1})
        assert stream.next()[0] == first_id + 1
        own_postgres.kill()
        own_postgres.restart()
        publish_events(acme, run_id, {"read": 2})  # usually before the server listens again
        publish_events(acme, run_id, {"read": 3})
        assert [stream.next()[0] for _ in range(2)] == [first_id + 2, first_id + 3]
        publish_events(acme, run_id, {"read": 4})
        assert stream.next() == (first_id + 4, "progress", {"read": 4})

    assert own_postgres.has_recovered


def test_a_malformed_last_event_id_gets_400(server: str, acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    with listen_to_stream(
        server, f"/api/v1/runs/{run_id}/events", acme, **{"Last-Event-ID": "9" * 26}
    ) as stream:
        assert stream.response.status_code == 400


def test_a_server_without_streams_returns_the_current_run(acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme))

    answer = acme.client().get(
        f"/api/v1/runs/{run_id}/events", headers={"accept": "text/event-stream"}
    )

    assert answer.status_code == 200
    assert b"event: run\n" in answer.content
