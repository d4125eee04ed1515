"""If a worker, a child or PostgreSQL crashes or freezes during a run, the destination still gets every row once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import polars
import psycopg
import pytest
from django.conf import settings

from apps.runs import execute
from apps.runs.claiming import reconciler
from apps.runs.execute import Worker
from apps.runs.models import Output, Run
from tests.conftest import close_connections
from tests.runs.claiming.test_attempts import child_pids, quick_retries, working_in_background
from tests.runs.conftest import make_pipeline
from tests.runs.own_server import OwnServer
from tests.runs.paused_api import ROW_COUNT, PausedApi, paused_api
from tests.runs.processes import (
    has_ended,
    read_run,
    running_worker,
    start_run,
    start_worker,
    wait_for_run,
    wait_for_workers,
)
from tests.world import World, make_world

__all__ = ["quick_retries"]  # a fixture

SLOW_SOURCE = {
    "rows": ROW_COUNT,
    "page_size": 100,
    "delay": 0.1,
}  # two seconds of reading, twenty pages


@pytest.fixture
def api() -> Iterator[PausedApi]:
    with paused_api() as paused_api_server:
        yield paused_api_server


def has_written_rows(run: dict[str, Any]) -> bool:
    """Return whether the run has written rows. Its source then waits for the test before it returns more."""
    return bool(run["progress"]["written"])


def published_ids(world: World, run_id: UUID) -> list[int]:
    """Return the sorted primary keys of all published rows, read from the files."""
    with world.scope():
        keys = list(
            Output.objects.for_org(world.org).filter(run_id=run_id).values_list("key", flat=True)
        )
    root = Path(settings.DROVER_HOME) / "storage"
    columns = [polars.read_parquet(root / key)["id"] for key in keys]
    return sorted(polars.concat(columns).to_list())


def assert_every_row_was_published_once(world: World, run_id: UUID, run: dict[str, Any]) -> None:
    assert run["status"] == "succeeded", run
    progress = run["progress"]
    assert (
        progress["read"]
        == progress["written"] + progress["rejected"] + progress["skipped"]
        == ROW_COUNT
    )
    assert published_ids(world, run_id) == list(range(1, ROW_COUNT + 1))


def test_after_a_worker_is_killed_the_next_worker_continues_its_run_at_once(
    acme: World, api: PausedApi
) -> None:
    run_id = start_run(acme, api.create_pipeline(acme))
    # The test would fail if the next worker waited for the lease.
    long_lease = {"DROVER_RUN_LEASE_SECONDS": "60"}

    killed_worker = start_worker(**long_lease)
    wait_for_run(acme, run_id, has_written_rows)
    killed_worker.send_signal(signal.SIGKILL)
    assert killed_worker.wait() == -signal.SIGKILL
    api.release()
    with running_worker(**long_lease):
        run = wait_for_run(acme, run_id, has_ended)

    assert_every_row_was_published_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "succeeded"]
    failure = run["attempts"][0]["failure"]
    assert (failure["class"], failure["retryable"]) == ("crashed", True)


@pytest.mark.long
def test_another_worker_takes_over_a_run_when_its_lease_expires(
    acme: World, api: PausedApi
) -> None:
    with start_worker() as first_worker, start_worker() as second_worker:
        try:
            wait_for_workers(2)
            run_id = start_run(acme, api.create_pipeline(acme))
            worker_name = wait_for_run(acme, run_id, has_written_rows)["attempts"][0]["worker"]
            killed_worker = (
                first_worker if f"/{first_worker.pid}/" in worker_name else second_worker
            )
            killed_worker.send_signal(signal.SIGKILL)
            assert killed_worker.wait() == -signal.SIGKILL
            api.release()
            run = wait_for_run(acme, run_id, has_ended)
        finally:
            first_worker.terminate()
            second_worker.terminate()

    assert_every_row_was_published_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "succeeded"]
    assert worker_name != run["attempts"][1]["worker"]


@pytest.mark.long
def test_a_frozen_worker_writes_nothing_after_it_resumes(
    acme: World, api: PausedApi, this_worker: Worker
) -> None:
    run_id = start_run(acme, api.create_pipeline(acme))

    frozen_worker = start_worker()
    try:
        wait_for_run(acme, run_id, has_written_rows)
        frozen_worker.send_signal(signal.SIGSTOP)  # its child continues, but the lease expires
        recover_after_the_lease_expires()
        with working_in_background(this_worker):
            wait_for_run(acme, run_id, lambda run: run["attempt"] == 2)
            frozen_worker.send_signal(signal.SIGCONT)
            api.release()
            run = wait_for_run(acme, run_id, has_ended)
        frozen_worker.terminate()  # the worker exits only after it has released everything
        assert frozen_worker.wait(40) == 0
    finally:
        frozen_worker.kill()
        frozen_worker.wait()

    assert_every_row_was_published_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "succeeded"]
    with acme.scope():
        row = Run.objects.for_org(acme.org).get(pk=run_id)
    assert (row.status, row.attempt, row.lease) == ("succeeded", 2, None)


def recover_after_the_lease_expires() -> None:
    """Recover the run once its lease has expired, as a worker does every ten seconds."""
    deadline = time.monotonic() + 40
    while not reconciler.recover_expired_runs():
        assert time.monotonic() < deadline, "no lease expired"
        time.sleep(0.1)


@pytest.mark.long
def test_a_terminated_worker_releases_its_run_without_counting_a_crash(
    acme: World, api: PausedApi, this_worker: Worker
) -> None:
    run_id = start_run(acme, api.create_pipeline(acme))

    with start_worker() as terminated_worker:
        wait_for_run(acme, run_id, has_written_rows)
        terminated_worker.terminate()
        assert terminated_worker.wait(15) == 0
    api.release()
    assert execute.work_once(this_worker)
    run = read_run(acme, run_id)

    assert_every_row_was_published_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["released", "succeeded"]


def test_a_run_continues_after_its_child_is_killed(
    acme: World, api: PausedApi, this_worker: Worker
) -> None:
    run_id = start_run(acme, api.create_pipeline(acme))

    with working_in_background(this_worker):
        wait_for_run(acme, run_id, has_written_rows)
        (child,) = child_pids(this_worker)
        os.kill(child, signal.SIGKILL)
        api.release()
    assert execute.work_once(this_worker)
    run = read_run(acme, run_id)

    assert_every_row_was_published_once(acme, run_id, run)
    assert run["attempts"][0]["failure"]["class"] == "crashed"


@pytest.mark.long
def test_a_run_continues_after_postgresql_was_killed(
    own_postgres: OwnServer, api: PausedApi
) -> None:
    acme = make_world()
    run_id = start_run(acme, api.create_pipeline(acme))

    with running_worker() as worker_process:
        wait_for_run(acme, run_id, has_written_rows)
        own_postgres.kill()
        api.release()  # the next checkpoint of the child fails
        own_postgres.restart()
        run = wait_for_run(acme, run_id, has_ended)
        second_run_id = start_run(acme, make_pipeline(acme, source={"rows": 10}))
        second_run = wait_for_run(acme, second_run_id, has_ended)  # the worker still gets new runs
        assert worker_process.poll() is None

    assert own_postgres.has_recovered
    assert_every_row_was_published_once(acme, run_id, run)
    assert second_run["status"] == "succeeded"


@pytest.mark.long
def test_a_worker_claims_new_runs_after_a_database_outage_while_its_long_run_continues(
    own_postgres: OwnServer,
) -> None:
    """The worker's role cannot log in for a while, and its sessions are ended. The session of the engine stays open."""
    acme = make_world()
    long_run = start_run(
        acme, make_pipeline(acme, source={"rows": 4000, "page_size": 20, "delay": 0.5})
    )
    with running_worker(DROVER_RUN_LEASE_SECONDS="60") as worker_process:
        wait_for_run(acme, long_run, lambda run: run["progress"]["read"] >= 100)
        close_connections()
        with psycopg.connect(own_postgres.url, autocommit=True) as admin:
            admin.execute("ALTER ROLE app_user NOLOGIN")
            ended_sessions = admin.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app_user'"
            ).fetchone()
            wait_for_rejected_logins(own_postgres, 10)
            time.sleep(15)  # a connection pool with a long back-off would now reconnect too late
            admin.execute("ALTER ROLE app_user LOGIN")
        short_run = start_run(acme, make_pipeline(acme, source={"rows": 10}))
        run = wait_for_run(acme, short_run, has_ended)
        long_run_now = read_run(acme, long_run)
        assert worker_process.poll() is None

    assert ended_sessions is not None
    assert ended_sessions[0] > 0
    assert run["status"] == "succeeded"
    assert (long_run_now["status"], long_run_now["attempt"]) == ("running", 1)


def wait_for_rejected_logins(server: OwnServer, count: int) -> None:
    """Wait until the server has rejected this number of logins."""
    deadline = time.monotonic() + 60
    while server.log.count("is not permitted to log in") < count:
        assert time.monotonic() < deadline, "the worker did not try to log in"
        time.sleep(0.1)
