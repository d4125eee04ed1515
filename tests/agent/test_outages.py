"""The web process or the database goes away in the middle of a turn: nothing is lost, doubled or done twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from apps.agent.conversations.events import Kind
from apps.orgs.roles import Role
from tests import database
from tests.agent.conversing import Talk, assert_nothing_is_lost_or_doubled, begin, effects
from tests.agent.faulty_worker import faulty_worker
from tests.agent.followers import following
from tests.agent.scripted_model import Step, use_script
from tests.agent.test_crashes import approved_talk, pipeline_count, proposal
from tests.conftest import close_connections
from tests.runs.own_server import OwnServer, own_server
from tests.threads import DatabaseThread
from tests.web_server import find_free_port, web_server
from tests.world import make_pipeline, make_world, token_for

WORDS = " ".join(f"word-{number}" for number in range(300))


@pytest.fixture
def own_postgres(
    monkeypatch: pytest.MonkeyPatch, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[OwnServer]:
    """A PostgreSQL server that the test can kill. This process and its children use it during the test.

    Turns in this process must not use the connections that earlier tests have kept, which lead to another server.
    """
    from apps.agent.turns import runner

    runner._kept.cache_clear()
    with (
        TemporaryDirectory(prefix="drover-own-") as folder,
        django_db_blocker.unblock(),
        own_server(Path(folder), monkeypatch) as server,
    ):
        yield server
    runner._kept.cache_clear()


def session_token(talk: Talk) -> str:
    return token_for(talk.world.users[Role.MEMBER], talk.world.org)


# --- The database ------------------------------------------------------------------------------


@pytest.mark.long
def test_a_turn_goes_on_after_the_database_was_away_for_ten_seconds(
    own_postgres: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tool that was carried out before is not carried out again."""
    world, database_is_back = make_world(), tmp_path / "database is back"
    steps = [
        Step("I create the pipeline now.", [("create_pipelines", proposal(world))]),
        Step(f"The pipeline was created. {WORDS}", waits_for=str(database_is_back)),
    ]
    talk = approved_talk(world, steps, monkeypatch)
    with web_server() as server, faulty_worker(tmp_path, steps) as worker:
        with following(server, talk.id, session_token(talk)) as followers:
            talk.wait_for(lambda t: t.kinds()[-2:] == [Kind.TOOL_RESULT, Kind.TOKEN])
            take_database_away(own_postgres, server, talk, seconds=10)
            database_is_back.touch()
        assert worker.poll() is None, "the worker did not survive the outage"
    assert own_postgres.has_recovered
    assert talk.row().attempts >= 2, "the worker has not noticed the outage"
    assert talk.turn()["status"] == "done", talk.turn()
    assert pipeline_count(talk) == 1
    assert_nothing_is_lost_or_doubled(talk)
    for follower in followers:
        follower.assert_complete()
        assert follower.items == talk.turn()["items"]


def take_database_away(postgres: OwnServer, server: str, talk: Talk, seconds: float) -> None:
    """Kill the database, and start it again after this time. Meanwhile the API says what is wrong."""
    headers = {"Authorization": f"Bearer {session_token(talk)}"}
    ended = time.monotonic() + seconds
    postgres.kill()
    answer = httpx.get(f"{server}/api/v1/agent/conversations", headers=headers, timeout=30)
    assert (answer.status_code, answer.headers["Retry-After"].isdigit()) == (503, True)
    assert "database" in answer.json()["detail"]
    time.sleep(max(0.0, ended - time.monotonic()))
    postgres.restart()


def test_a_turn_goes_on_after_its_database_connections_were_closed(
    committed_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "connections are closed"
    use_script(monkeypatch, Step("An answer in two parts.", waits_for=str(file)))
    talk = begin(make_world(), "hello")
    turn = DatabaseThread(target=talk.work)
    turn.start()
    talk.wait_for(lambda t: Kind.TOKEN in t.kinds())
    assert close_database_connections() > 0
    file.touch()
    turn.join(20)  # the turn's checkpoint cannot be stored
    assert (talk.row().status, talk.row().attempts) == ("pending", 1), talk.turn()
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()
    assert Kind.MESSAGE_DISCARDED in talk.kinds()
    assert_nothing_is_lost_or_doubled(talk)


def close_database_connections() -> int:
    """Close the connections of the product's role to this test's database, and return how many there were."""
    close_connections()
    name = database.process_database_name()
    with psycopg.connect(database.url_of(name), autocommit=True) as admin:
        row = admin.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE usename = 'app_user' AND datname = current_database()"
        ).fetchone()
    return row[0] if row else 0


# --- The web process ---------------------------------------------------------------------------


@pytest.mark.long
def test_a_conversation_is_followed_without_loss_while_the_web_process_restarts(
    committed_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the answer is written while there is no web process."""
    web_is_gone, port = tmp_path / "web is gone", find_free_port()
    use_script(monkeypatch, Step(WORDS, waits_for=str(web_is_gone)))
    talk = begin(make_world(), "hello")
    turn = DatabaseThread(target=talk.work)
    with following(f"http://127.0.0.1:{port}", talk.id, session_token(talk)) as followers:
        with web_server(port=port):
            turn.start()
            for follower in followers:
                follower.wait_for(Kind.TOKEN)
        before = len(talk.events())
        web_is_gone.touch()
        talk.wait_for(lambda t: len(t.events()) > before)
        with web_server(port=port):
            turn.join(30)
            for follower in followers:
                follower.wait_until_done()
    for follower in followers:
        assert follower.connections >= 2, "the client did not lose its connection"
        follower.assert_complete()
        assert follower.items == talk.turn()["items"]
        assert follower.items[0]["text"] == f"{WORDS} "
    assert_nothing_is_lost_or_doubled(talk)


@pytest.mark.long
@pytest.mark.parametrize("second_decision", ["approve", "reject"])
def test_two_web_processes_that_get_decisions_at_the_same_instant_accept_one_of_them(
    second_decision: str, committed_db: None, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = 1000
    world, approved = make_world(), 0
    with web_server() as first, web_server() as second, ThreadPoolExecutor(2) as tabs:
        for repetition in range(20):
            change = {"pipeline_id": str(make_pipeline(world).pk), "enabled": False}
            use_script(monkeypatch, Step("", [("set_pipeline_enabled", change)]), Step("Done."))
            talk = begin(world, "disable it")
            talk.work()
            answers = decide_at_once(talk, tabs, {first: "approve", second: second_decision})
            codes = {answer.status_code: answer.json() for answer in answers}
            assert sorted(codes) == [200, 409], repetition
            assert codes[409]["code"] == "already_decided"
            talk.work()
            assert talk.turn()["status"] == "done", talk.turn()
            assert talk.kinds().count(Kind.APPROVAL_RESOLVED) == 1
            approved += codes[200]["state"] == "approved"
            assert len(effects(world)) == approved


def decide_at_once(
    talk: Talk, tabs: ThreadPoolExecutor, decisions: dict[str, str]
) -> list[httpx.Response]:
    path = f"/api/v1/agent/conversations/{talk.id}/approvals/{talk.open_request()['id']}"
    headers = {"Authorization": f"Bearer {session_token(talk)}"}
    barrier = threading.Barrier(len(decisions))

    def decide(server: str) -> httpx.Response:
        with httpx.Client(headers=headers, timeout=30) as client:
            client.get(f"{server}/api/v1/agent/status")  # opens the connection
            barrier.wait()
            return client.post(server + path, json={"decision": decisions[server]})

    connection.close()
    return list(tabs.map(decide, decisions))
