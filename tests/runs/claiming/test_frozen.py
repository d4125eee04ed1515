"""A process that freezes while holding a lock blocks no other process: for every lock, with two orgs."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections
from rest_framework.test import APIClient

from apps.runs import scheduling
from apps.runs.claiming import leases, reconciler
from apps.runs.models import Attempt, Run
from tests import database
from tests.api.test_asgi import Answer, call
from tests.conftest import close_connections
from tests.runs.claiming import freezer
from tests.runs.claiming.freezer import Freezer, Frozen
from tests.runs.claiming.locks import LOCKS, Lock, schedule
from tests.runs.conftest import make_pipeline
from tests.runs.processes import ended, start, wait_for, worker
from tests.runs.test_crashes import SLOW, assert_everything_arrived_once
from tests.world import World, make_world, new_client

MOST = 30.0  # seconds; the frozen process holds its locks for longer


@pytest.fixture(scope="module")
def freezers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Freezer]:
    made = Freezer(tmp_path_factory.mktemp("frozen"))
    yield made
    made.close()


@pytest.fixture
def frozen(freezers: Freezer) -> Iterator[Any]:
    """Freeze a process at a lock; processes still frozen at the end are killed."""
    made: list[Frozen] = []

    def freeze(lock: Lock, world: World, idle: float = 120.0) -> Frozen:
        arguments = lock.prepare(world)
        connection.close()
        made.append(freezers.freeze(lock.act, lock.statement, idle=idle, **arguments))
        return made[-1]

    yield freeze
    for one in made:
        freezer.kill(one.pid)


def ask(client: APIClient, method: str, path: str, **headers: str) -> Any:
    """Assert that the response came in time and is not a server error."""
    began = time.monotonic()
    answer = getattr(client, method)(f"/api/v1/{path}", {}, headers=headers)
    assert time.monotonic() - began < MOST
    assert answer.status_code in {200, 201, 401, 409, 422, 503}, answer.content
    if answer.status_code == 503:
        assert answer.json()["code"] == "busy"
        assert int(answer.headers["Retry-After"]) >= 1
    return answer


@pytest.mark.parametrize("name", LOCKS)
def test_another_org_keeps_running_while_a_process_is_frozen_at_a_lock(
    name: str, acme: World, frozen: Any
) -> None:
    lock, other = LOCKS[name], make_world()
    start(
        acme, make_pipeline(acme)
    )  # the older run is next, and may be impossible to claim meanwhile
    one = frozen(lock, acme, idle=2.0 if lock.everywhere else 120.0)

    started = ask(other.client(), "post", f"pipelines/{make_pipeline(other).pk}/run")
    assert started.status_code == 201
    claims_until(started.json()["id"])
    schedule(other)
    fired = scheduling.tick()
    reconciler.reconcile()

    assert fired == 1
    assert freezer.state_of(one.pid) == "T"
    assert lock.everywhere or holds_a_transaction()


def holds_a_transaction() -> bool:
    """Whether another session's transaction is idle in this database."""
    with psycopg.connect(database.url_of(database.worker_database())) as admin:
        row = admin.execute(
            """SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'
               AND datname = current_database() AND pid <> pg_backend_pid()"""
        ).fetchone()
    return row is not None and row[0] > 0


def claims_until(run_id: str) -> None:
    """Claim until this run is claimed: the frozen org's own runs are first, if they can be claimed."""
    for _ in range(3):
        claimed = leases.claim_next("tests")
        assert claimed is not None, "no turn"
        if str(claimed.run_id) == run_id:
            return
    raise AssertionError("others had all the turns")


@pytest.mark.parametrize("name", [name for name, lock in LOCKS.items() if lock.act == "request"])
def test_a_request_for_the_same_lock_is_told_to_retry(name: str, acme: World, frozen: Any) -> None:
    lock = LOCKS[name]
    order = dict(lock.prepare(acme))
    connection.close()
    one = frozen(replace(lock, prepare=lambda world: order), acme)

    client = new_client()
    if order["token"]:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {order['token']}")
    answer = ask(client, order["method"], order["path"], **order["headers"])
    reads = ask(acme.client(), "get", "runs")

    assert answer.status_code == 503, answer.content
    assert reads.status_code == 200
    assert freezer.state_of(one.pid) == "T"


def test_the_claim_of_one_that_froze_is_undone_and_made_again_when_it_thaws(
    acme: World, frozen: Any
) -> None:
    """Its transaction was ended meanwhile; its job is not lost, and no run is claimed twice."""
    one = frozen(LOCKS["the run that is claimed"], acme, idle=1.0)
    second = start(acme, make_pipeline(acme))

    claimed = leases.claim_next("tests")
    came = one.thaw()

    assert claimed is not None
    assert came == {"answered": str(second)}
    with acme.scope():
        attempts = Attempt.objects.for_org(acme.org).values_list("run_id", flat=True)
        assert sorted(attempts) == sorted([claimed.run_id, second])


def test_a_frozen_request_changes_nothing_and_fails_when_it_resumes(
    acme: World, frozen: Any
) -> None:
    one = frozen(LOCKS["the org's feed"], acme, idle=1.0)

    assert ask_until_done(acme) == 201
    came = one.thaw()

    assert came == {"answered": 503}
    with acme.scope():
        assert Run.objects.for_org(acme.org).count() == 1


def ask_until_done(world: World) -> int:
    """Start a run of a separate pipeline, retrying as often as the response says so."""
    path = f"pipelines/{make_pipeline(world).pk}/run"
    deadline = time.monotonic() + 30
    while True:
        status: int = ask(world.client(), "post", path).status_code
        if status != 503 or time.monotonic() > deadline:
            return status


@pytest.fixture
def patient_locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Long enough for all threads to wait at the same time, on a busy machine too."""
    options = connections.settings["default"]["OPTIONS"]
    with monkeypatch.context() as patch:
        patch.setitem(options, "options", f"{options['options']} -c lock_timeout=4s")
        close_connections()
        yield
    close_connections()


async def until_all_wait(sessions: int) -> None:
    """For another session's lock."""
    deadline = time.monotonic() + MOST
    with psycopg.connect(database.url_of(database.worker_database()), autocommit=True) as admin:
        while admin.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount < sessions:
            assert time.monotonic() < deadline, "they never waited all at once"
            await asyncio.sleep(0.02)


def test_liveness_responds_while_every_thread_waits_for_a_lock(
    patient_locks: None, acme: World, frozen: Any
) -> None:
    order: dict[str, Any] = {}

    def remember(world: World) -> Any:
        order.update(LOCKS["the org"].prepare(world))
        return order

    frozen(replace(LOCKS["the org"], prepare=remember), acme)
    caller = [(b"host", b"localhost"), (b"authorization", f"Bearer {order['token']}".encode())]

    async def crowd() -> tuple[Answer, bool, set[int]]:
        body = [(b"content-length", b"2"), (b"content-type", b"application/json")]
        waiting = [
            asyncio.create_task(call("PATCH", "/api/v1/org", [*caller, *body], b"{}"))
            for _ in range(settings.WEB_THREADS)
        ]
        await until_all_wait(settings.WEB_THREADS)
        alive = await asyncio.wait_for(call("GET", "/api/v1/health/live", caller), 5)
        busy = not any(task.done() for task in waiting)
        return alive, busy, {status for status, _ in await asyncio.gather(*waiting)}

    alive, busy, statuses = asyncio.run(crowd())
    assert alive == (200, b'{"status":"alive"}')
    assert busy
    assert statuses == {503}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO runs_feed",
        pytest.param("pg_try_advisory_xact_lock", marks=pytest.mark.long),
        pytest.param("INSERT INTO runs_event", marks=pytest.mark.long),
    ],
)
def test_workers_continue_if_one_of_them_freezes_in_a_transaction(
    acme: World, statement: str
) -> None:
    other = make_world()
    with freezer.freezing_worker(statement) as victim:
        runs = [(acme, start(acme, make_pipeline(acme, source=SLOW)))]
        freezer.wait_until_frozen(victim.pid)
        runs.append((other, start(other, make_pipeline(other, source=SLOW))))
        with worker():
            shown = [wait_for(world, run, ended, 60) for world, run in runs]
            victim.send_signal(signal.SIGCONT)
            after = start(acme, make_pipeline(acme, source={"rows": 10}))
            assert wait_for(acme, after, ended)["status"] == "succeeded"
            assert victim.poll() is None

    for (world, run), seen in zip(runs, shown, strict=True):
        assert_everything_arrived_once(world, run, seen)
