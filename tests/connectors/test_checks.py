"""Checks and stream lists run in a child process of the real engine, and no transaction is open meanwhile."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from apps.connectors import engine
from apps.connectors.checks.next_steps import STEPS, with_next_steps
from apps.connectors.models import Connector
from apps.engine.answers import Step
from apps.orgs.roles import Role
from tests import database
from tests.threads import DatabaseThread
from tests.world import World, make_connector, make_world

URL = "/api/v1/connectors"
PASSWORD = "canary-of-a-checked-password-5t1b"


@pytest.fixture(scope="module", autouse=True)
def _close_supervisor_afterwards() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


@contextmanager
def silent_server() -> Iterator[tuple[int, threading.Event]]:
    """A server that accepts connections and never sends anything; the event is set when a client has connected."""
    connected = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections = []

        def accept() -> None:
            try:
                while True:
                    connections.append(server.accept()[0])
                    connected.set()
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server.getsockname()[1], connected
        finally:
            server.close()
            for connection in connections:
                connection.close()


def postgres_settings(port: int) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "database": "shop",
        "user": "reader",
        "password": PASSWORD,
        "sslmode": "disable",
        "connect_timeout": 2,
    }


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_check_of_a_working_connector_passes_each_step_and_stores_the_result(
    world: World,
) -> None:
    connector = make_connector(world)
    answer = world.client().post(f"{URL}/{connector.pk}/check", {})
    assert answer.status_code == 200, answer.content
    assert answer.json()["ok"] is True
    assert {"step", "ok", "message", "ms", "next_step"} == answer.json()["steps"][0].keys()
    assert [step["next_step"] for step in answer.json()["steps"]] == [None]
    assert world.client().get(f"{URL}/{connector.pk}").json()["check_ok"] is True


def test_a_refused_connection_is_reported_as_a_failed_step(world: World) -> None:
    body = {"role": "source", "kind": "postgres", "config": postgres_settings(closed_port())}
    answer = world.client().post(f"{URL}/check", body)
    assert answer.status_code == 200, answer.content
    assert answer.json()["ok"] is False
    resolve, connect = answer.json()["steps"]
    assert (resolve["step"], resolve["ok"], resolve["next_step"]) == ("resolve", True, None)
    assert (connect["step"], connect["ok"]) == ("connect", False)
    assert "the host and the port" in connect["next_step"]
    assert PASSWORD not in answer.content.decode()


def test_each_failed_step_says_what_to_do() -> None:
    for name in (*STEPS, "a step of a custom source"):
        step = Step(step=name, ok=False, message="It failed.", ms=1.0)
        [told] = with_next_steps({"ok": False, "steps": [step]})["steps"]
        assert told["next_step"]


def test_changed_settings_are_checked_with_the_stored_secret_and_stay_unsaved(
    world: World,
) -> None:
    connector = make_connector(world, kind="postgres", config=postgres_settings(closed_port()))
    path = f"{URL}/{connector.pk}"
    shown = world.client().get(path).json()
    answer = world.client().post(f"{path}/check", {"config": {"connect_timeout": 1}})
    assert answer.status_code == 200, answer.content
    assert answer.json()["ok"] is False
    assert PASSWORD not in answer.content.decode()
    assert world.client().get(path).json() == shown


@pytest.mark.parametrize("secret", [{}, {"password": {"set": True, "last4": PASSWORD[-4:]}}])
def test_a_check_does_not_send_the_stored_secret_to_a_changed_port(
    world: World, secret: dict[str, Any]
) -> None:
    with silent_server() as (port, connected):
        connector = make_connector(world, kind="postgres", config=postgres_settings(closed_port()))
        body = {"config": {"port": port, **secret}}
        answer = world.client().post(f"{URL}/{connector.pk}/check", body)
        assert answer.status_code == 422
        assert [error["code"] for error in answer.json()["errors"]] == ["secret_required"]
        assert not connected.is_set()


def test_a_stranger_and_a_viewer_cannot_check_changed_settings(
    world: World, stranger: World
) -> None:
    path, body = f"{URL}/{make_connector(world).pk}/check", {"config": {"rows": 5}}
    assert stranger.client(Role.OWNER).post(path, body).status_code == 404
    assert world.client(Role.VIEWER).post(path, body).status_code == 403
    assert world.client().post(path, body).status_code == 200


def test_unsaved_settings_are_first_validated_against_their_schema(world: World) -> None:
    body = {"role": "source", "kind": "postgres", "config": {"port": "x"}}
    answer = world.client().post(f"{URL}/check", body)
    assert answer.status_code == 422
    assert "config.port" in {error["field"] for error in answer.json()["errors"]}


def test_streams_are_discovered_with_their_fields(world: World) -> None:
    connector = make_connector(world)
    answer = world.client(Role.VIEWER).get(f"{URL}/{connector.pk}/streams").json()
    assert answer["ok"] is True
    (generated,) = [s for s in answer["streams"] if s["name"] == "generated"]
    assert generated["primary_key"] == ["id"]
    assert {"name": "id", "type": "integer", "nullable": False} in generated["fields"]


def test_an_unreachable_source_is_reported_with_status_200_and_a_failure(world: World) -> None:
    connector = make_connector(world, kind="postgres", config=postgres_settings(closed_port()))
    answer = world.client().get(f"{URL}/{connector.pk}/streams")
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["failure"]["message"]
    assert PASSWORD not in answer.content.decode()


def test_a_destination_has_no_streams(world: World) -> None:
    connector = make_connector(world, role="destination", kind="logger")
    answer = world.client().get(f"{URL}/{connector.pk}/streams")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_a_source")


def test_no_transaction_is_open_during_a_slow_check(committed_db: None) -> None:
    world = make_world()
    client = world.client()
    with silent_server() as (port, connected):
        connector = make_connector(world, kind="postgres", config=postgres_settings(port))
        answers: list[Any] = []
        check_thread = DatabaseThread(
            target=lambda: answers.append(client.post(f"{URL}/{connector.pk}/check", {}))
        )
        check_thread.start()
        assert connected.wait(30), "the check never reached the server"
        open_transactions = backends_in_transactions()
        check_thread.join(30)
    assert open_transactions == []
    assert answers[0].json()["ok"] is False
    with world.scope():
        assert Connector.objects.for_org(world.org).get().check_ok is False


def backends_in_transactions() -> list[Any]:
    """Return the database connections of the runtime role that are inside a transaction now."""
    url = database.url_of(database.process_database_name())
    with psycopg.connect(url, autocommit=True) as admin:
        return admin.execute(
            "SELECT pid, state, query FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = 'app_user' AND xact_start IS NOT NULL"
        ).fetchall()


def test_a_check_returns_429_when_too_many_calls_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    semaphore = threading.BoundedSemaphore(1)
    semaphore.acquire()
    monkeypatch.setattr(engine, "_call_semaphore", semaphore)
    connector = make_connector(world)
    answer = world.client().post(f"{URL}/{connector.pk}/check", {})
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]


def test_an_org_with_too_many_calls_does_not_block_other_orgs(
    world: World, stranger: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_open_calls", Counter({world.org.pk: engine.MAX_CALLS_OF_ORG}))
    own_connector, connector_of_stranger = make_connector(world), make_connector(stranger)
    assert world.client().post(f"{URL}/{own_connector.pk}/check", {}).status_code == 429
    assert stranger.client().post(f"{URL}/{connector_of_stranger.pk}/check", {}).status_code == 200


def test_a_check_with_the_same_idempotency_key_runs_again(world: World) -> None:
    connector = make_connector(world)
    headers = {"Idempotency-Key": f"check-{time.monotonic_ns()}"}
    for _ in range(2):
        answer = world.client().post(f"{URL}/{connector.pk}/check", {}, headers=headers)
        assert answer.status_code == 200
        assert "Idempotency-Replayed" not in answer.headers
