"""A process that freezes while it holds a lock does not block other processes. Each lock is tested with two orgs."""

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
from tests.runs.claiming.freezer import Freezer, FrozenProcess
from tests.runs.claiming.locks import LOCKS, Lock, create_due_schedule
from tests.runs.conftest import make_pipeline
from tests.runs.processes import has_ended, running_worker, start_run, wait_for_run
from tests.runs.test_crashes import SLOW_SOURCE, assert_every_row_was_published_once
from tests.world import World, make_world, new_client

MAX_SECONDS = 30.0  # a process that is frozen at a lock of one org holds the lock for longer


@pytest.fixture(scope="module")
def freezer_process(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Freezer]:
    freezer_process = Freezer(tmp_path_factory.mktemp("frozen"))
    yield freezer_process
    freezer_process.close()


@pytest.fixture
def freeze_at(freezer_process: Freezer) -> Iterator[Any]:
    """A function that freezes a process at a lock. Frozen processes are killed after the test."""
    frozen_processes: list[FrozenProcess] = []

    def freeze(lock: Lock, world: World, idle_seconds: float = 120.0) -> FrozenProcess:
        arguments = lock.prepare(world)
        connection.close()
        frozen_processes.append(
            freezer_process.freeze(
                lock.action, lock.statement_pattern, idle_seconds=idle_seconds, **arguments
            )
        )
        return frozen_processes[-1]

    yield freeze
    for process in frozen_processes:
        freezer.kill_process(process.pid)


def send_in_time(client: APIClient, method: str, path: str, **headers: str) -> Any:
    """Send a request. Assert that the response arrives in time and is not an internal error."""
    began = time.monotonic()
    answer = getattr(client, method)(f"/api/v1/{path}", {}, headers=headers)
    assert time.monotonic() - began < MAX_SECONDS
    assert answer.status_code in {200, 201, 401, 409, 422, 503}, answer.content
    if answer.status_code == 503:
        assert answer.json()["code"] == "busy"
        assert int(answer.headers["Retry-After"]) >= 1
    return answer


@pytest.mark.sample(5)
@pytest.mark.parametrize("lock_name", LOCKS)
def test_another_org_can_run_pipelines_while_a_process_is_frozen_at_a_lock(
    lock_name: str, acme: World, freeze_at: Any
) -> None:
    lock, other_world = LOCKS[lock_name], make_world()
    start_run(acme, make_pipeline(acme))  # an older run, which may be locked by the frozen process
    process = freeze_at(lock, acme, idle_seconds=2.0 if lock.is_platform_wide else 120.0)

    started = send_in_time(
        other_world.client(), "post", f"pipelines/{make_pipeline(other_world).pk}/run"
    )
    assert started.status_code == 201
    claim_until(started.json()["id"])
    create_due_schedule(other_world)
    fired_schedules = scheduling.tick()
    reconciler.reconcile()

    assert fired_schedules == 1
    assert freezer.process_state(process.pid) == "T"
    assert lock.is_platform_wide or is_a_transaction_idle()


def is_a_transaction_idle() -> bool:
    """Return whether a transaction of another connection is open and idle in this database."""
    with psycopg.connect(database.url_of(database.process_database_name())) as admin:
        row = admin.execute(
            """SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'
               AND datname = current_database() AND pid <> pg_backend_pid()"""
        ).fetchone()
    return row is not None and row[0] > 0


def claim_until(run_id: str) -> None:
    """Claim runs until this run is claimed. Runs of the org with the frozen process are older, so they may be first."""
    for _ in range(3):
        claim = leases.claim_next("tests")
        assert claim is not None, "no run could be claimed"
        if str(claim.run_id) == run_id:
            return
    raise AssertionError("only other runs were claimed")


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "lock_name", [name for name, lock in LOCKS.items() if lock.action == "send_request"]
)
def test_a_request_that_needs_the_frozen_lock_gets_503_with_retry_after(
    lock_name: str, acme: World, freeze_at: Any
) -> None:
    lock = LOCKS[lock_name]
    arguments = dict(lock.prepare(acme))
    connection.close()
    process = freeze_at(replace(lock, prepare=lambda world: arguments), acme)

    client = new_client()
    if arguments["token"]:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {arguments['token']}")
    answer = send_in_time(client, arguments["method"], arguments["path"], **arguments["headers"])
    read_answer = send_in_time(acme.client(), "get", "runs")

    assert answer.status_code == 503, answer.content
    assert read_answer.status_code == 200
    assert freezer.process_state(process.pid) == "T"


def test_a_claim_of_a_frozen_process_is_rolled_back_and_repeated_when_it_resumes(
    acme: World, freeze_at: Any
) -> None:
    """PostgreSQL ends the transaction of the frozen process. After it resumes, it claims the run that is left."""
    process = freeze_at(LOCKS["the run that is claimed"], acme, idle_seconds=1.0)
    second_run_id = start_run(acme, make_pipeline(acme))

    claim = leases.claim_next("tests")
    result = process.resume()

    assert claim is not None
    assert result == {"returned": str(second_run_id)}
    with acme.scope():
        attempts = Attempt.objects.for_org(acme.org).values_list("run_id", flat=True)
        assert sorted(attempts) == sorted([claim.run_id, second_run_id])


def test_a_frozen_request_changes_nothing_and_fails_when_it_resumes(
    acme: World, freeze_at: Any
) -> None:
    process = freeze_at(LOCKS["the org's feed"], acme, idle_seconds=1.0)

    assert start_run_with_retries(acme) == 201
    result = process.resume()

    assert result == {"returned": 503}
    with acme.scope():
        assert Run.objects.for_org(acme.org).count() == 1


def start_run_with_retries(world: World) -> int:
    """Start a run of a new pipeline. Retry while the response is 503. Return the last status."""
    path = f"pipelines/{make_pipeline(world).pk}/run"
    deadline = time.monotonic() + 30
    while True:
        status: int = send_in_time(world.client(), "post", path).status_code
        if status != 503 or time.monotonic() > deadline:
            return status


@pytest.fixture
def long_lock_timeout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set a lock timeout that is long enough for all threads to wait at the same time, even on a busy machine."""
    options = connections.settings["default"]["OPTIONS"]
    with monkeypatch.context() as patch:
        patch.setitem(options, "options", f"{options['options']} -c lock_timeout=4s")
        close_connections()
        yield
    close_connections()


async def wait_until_connections_wait(count: int) -> None:
    """Wait until this number of database connections waits for a lock."""
    deadline = time.monotonic() + MAX_SECONDS
    with psycopg.connect(
        database.url_of(database.process_database_name()), autocommit=True
    ) as admin:
        while admin.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount < count:
            assert time.monotonic() < deadline, "the connections never waited at the same time"
            await asyncio.sleep(0.02)


@pytest.mark.long
def test_liveness_responds_while_every_thread_waits_for_a_lock(
    long_lock_timeout: None, acme: World, freeze_at: Any
) -> None:
    arguments: dict[str, Any] = {}

    def prepare(world: World) -> Any:
        arguments.update(LOCKS["the org"].prepare(world))
        return arguments

    freeze_at(replace(LOCKS["the org"], prepare=prepare), acme)
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {arguments['token']}".encode())]

    async def block_all_threads() -> tuple[Answer, bool, set[int]]:
        body = [(b"content-length", b"2"), (b"content-type", b"application/json")]
        tasks = [
            asyncio.create_task(call("PATCH", "/api/v1/org", [*headers, *body], b"{}"))
            for _ in range(settings.WEB_THREADS)
        ]
        await wait_until_connections_wait(settings.WEB_THREADS)
        liveness = await asyncio.wait_for(call("GET", "/api/v1/health/live", headers), 5)
        all_waited = not any(task.done() for task in tasks)
        return liveness, all_waited, {status for status, _ in await asyncio.gather(*tasks)}

    liveness, all_waited, statuses = asyncio.run(block_all_threads())
    assert liveness == (200, b'{"status":"alive"}')
    assert all_waited
    assert statuses == {503}


@pytest.mark.long
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO runs_feed",
        pytest.param("pg_try_advisory_xact_lock", marks=pytest.mark.long),
        pytest.param("INSERT INTO runs_event", marks=pytest.mark.long),
    ],
)
def test_other_workers_continue_if_one_worker_freezes_in_a_transaction(
    acme: World, statement: str
) -> None:
    other_world = make_world()
    with freezer.freezing_worker(statement) as frozen_worker:
        runs = [(acme, start_run(acme, make_pipeline(acme, source=SLOW_SOURCE)))]
        freezer.wait_until_frozen(frozen_worker.pid)
        runs.append(
            (other_world, start_run(other_world, make_pipeline(other_world, source=SLOW_SOURCE)))
        )
        with running_worker():
            ended_runs = [wait_for_run(world, run, has_ended, 60) for world, run in runs]
            frozen_worker.send_signal(signal.SIGCONT)
            later_run = start_run(acme, make_pipeline(acme, source={"rows": 10}))
            assert wait_for_run(acme, later_run, has_ended)["status"] == "succeeded"
            assert frozen_worker.poll() is None

    for (world, run), ended_run in zip(runs, ended_runs, strict=True):
        assert_every_row_was_published_once(world, run, ended_run)
