"""Workers, children and PostgreSQL that die or freeze during a run: the destination equals the source, row by row."""

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
from tests.runs.claiming.test_attempts import children_of, in_background, quick_retries
from tests.runs.conftest import make_pipeline
from tests.runs.held_api import ROWS, HeldApi, held_api
from tests.runs.own_server import OwnServer
from tests.runs.processes import (
    ended,
    shown,
    start,
    start_worker,
    wait_for,
    wait_for_workers,
    worker,
)
from tests.world import World, make_world

__all__ = ["quick_retries"]  # a fixture

SLOW = {"rows": ROWS, "page_size": 100, "delay": 0.1}  # two seconds of reading, twenty pages


@pytest.fixture
def api() -> Iterator[HeldApi]:
    with held_api() as made:
        yield made


def is_under_way(run: dict[str, Any]) -> bool:
    """Rows were written, and the source waits for the test before it returns the rest."""
    return bool(run["progress"]["written"])


def published_ids(world: World, run_id: UUID) -> list[int]:
    """Return the primary keys of every published row, sorted, from the files themselves."""
    with world.scope():
        keys = list(
            Output.objects.for_org(world.org).filter(run_id=run_id).values_list("key", flat=True)
        )
    root = Path(settings.DROVER_HOME) / "storage"
    found = [polars.read_parquet(root / key)["id"] for key in keys]
    return sorted(polars.concat(found).to_list())


def assert_everything_arrived_once(world: World, run_id: UUID, run: dict[str, Any]) -> None:
    assert run["status"] == "succeeded", run
    progress = run["progress"]
    assert progress["read"] == progress["written"] + progress["rejected"] == ROWS
    assert published_ids(world, run_id) == list(range(1, ROWS + 1))


def test_a_killed_worker_loses_nothing_and_its_successor_frees_the_run_at_once(
    acme: World, api: HeldApi
) -> None:
    run_id = start(acme, api.pipeline(acme))
    patient = {"DROVER_RUN_LEASE_SECONDS": "60"}  # waiting for the lease would fail this test

    victim = start_worker(**patient)
    wait_for(acme, run_id, is_under_way)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    api.release()
    with worker(**patient):
        run = wait_for(acme, run_id, ended)

    assert_everything_arrived_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "succeeded"]
    failure = run["attempts"][0]["failure"]
    assert (failure["class"], failure["retryable"]) == ("crashed", True)


def test_another_worker_takes_over_when_the_lease_runs_out(acme: World, api: HeldApi) -> None:
    with start_worker() as one, start_worker() as other:
        try:
            wait_for_workers(2)
            run_id = start(acme, api.pipeline(acme))
            name = wait_for(acme, run_id, is_under_way)["attempts"][0]["worker"]
            victim = one if f"/{one.pid}/" in name else other
            victim.send_signal(signal.SIGKILL)
            assert victim.wait() == -signal.SIGKILL
            api.release()
            run = wait_for(acme, run_id, ended)
        finally:
            one.terminate()
            other.terminate()

    assert_everything_arrived_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "succeeded"]
    assert name != run["attempts"][1]["worker"]


def test_a_frozen_worker_that_thaws_writes_nothing_more(
    acme: World, api: HeldApi, this_worker: Worker
) -> None:
    run_id = start(acme, api.pipeline(acme))

    frozen = start_worker()
    try:
        wait_for(acme, run_id, is_under_way)
        frozen.send_signal(signal.SIGSTOP)  # its child continues and loses its lease
        recover_when_the_lease_is_over()
        with in_background(this_worker):
            wait_for(acme, run_id, lambda run: run["attempt"] == 2)
            frozen.send_signal(signal.SIGCONT)
            api.release()
            run = wait_for(acme, run_id, ended)
        frozen.terminate()  # it exits only after it has released everything
        assert frozen.wait(40) == 0
    finally:
        frozen.kill()
        frozen.wait()

    assert_everything_arrived_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "succeeded"]
    with acme.scope():
        row = Run.objects.for_org(acme.org).get(pk=run_id)
    assert (row.status, row.attempt, row.lease) == ("succeeded", 2, None)


def recover_when_the_lease_is_over() -> None:
    """What a worker does every ten seconds."""
    deadline = time.monotonic() + 40
    while not reconciler.recover_expired():
        assert time.monotonic() < deadline, "no lease runs out"
        time.sleep(0.1)


def test_a_terminated_worker_gives_back_its_run_without_counting_a_crash(
    acme: World, api: HeldApi, this_worker: Worker
) -> None:
    run_id = start(acme, api.pipeline(acme))

    with start_worker() as leaving:
        wait_for(acme, run_id, is_under_way)
        leaving.terminate()
        assert leaving.wait(15) == 0
    api.release()
    assert execute.work_once(this_worker)
    run = shown(acme, run_id)

    assert_everything_arrived_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["released", "succeeded"]


def test_a_killed_child_is_replaced(acme: World, api: HeldApi, this_worker: Worker) -> None:
    run_id = start(acme, api.pipeline(acme))

    with in_background(this_worker):
        wait_for(acme, run_id, is_under_way)
        (child,) = children_of(this_worker)
        os.kill(child, signal.SIGKILL)
        api.release()
    assert execute.work_once(this_worker)
    run = shown(acme, run_id)

    assert_everything_arrived_once(acme, run_id, run)
    assert run["attempts"][0]["failure"]["class"] == "crashed"


def test_a_run_continues_after_postgresql_was_killed(own_postgres: OwnServer, api: HeldApi) -> None:
    acme = make_world()
    run_id = start(acme, api.pipeline(acme))

    with worker() as process:
        wait_for(acme, run_id, is_under_way)
        own_postgres.kill()
        api.release()  # the child finds the server dead at its next checkpoint
        own_postgres.start_again()
        run = wait_for(acme, run_id, ended)
        second = start(acme, make_pipeline(acme, source={"rows": 10}))
        afterwards = wait_for(acme, second, ended)  # the worker still gets new runs
        assert process.poll() is None

    assert own_postgres.recovered
    assert_everything_arrived_once(acme, run_id, run)
    assert afterwards["status"] == "succeeded"


@pytest.mark.long
def test_a_worker_claims_new_runs_when_the_database_is_back_while_its_long_run_continues(
    own_postgres: OwnServer,
) -> None:
    """Its role may not log in for a while and its sessions are ended; the run's long session stays."""
    acme = make_world()
    long = start(acme, make_pipeline(acme, source={"rows": 4000, "page_size": 20, "delay": 0.5}))
    with worker(DROVER_RUN_LEASE_SECONDS="60") as process:
        wait_for(acme, long, lambda run: run["progress"]["read"] >= 100)
        close_connections()
        with psycopg.connect(own_postgres.url, autocommit=True) as admin:
            admin.execute("ALTER ROLE app_user NOLOGIN")
            ended_sessions = admin.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app_user'"
            ).fetchone()
            wait_for_refusals(own_postgres, 10)
            time.sleep(15)  # the database is unavailable: pools with back-off would miss its return
            admin.execute("ALTER ROLE app_user LOGIN")
        short = start(acme, make_pipeline(acme, source={"rows": 10}))
        run = wait_for(acme, short, ended)
        still = shown(acme, long)
        assert process.poll() is None

    assert ended_sessions is not None
    assert ended_sessions[0] > 0
    assert run["status"] == "succeeded"
    assert (still["status"], still["attempt"]) == ("running", 1)


def wait_for_refusals(server: OwnServer, count: int) -> None:
    """Wait until the server has refused the role so often."""
    deadline = time.monotonic() + 60
    while server.log.count("is not permitted to log in") < count:
        assert time.monotonic() < deadline, "nobody tried to come back"
        time.sleep(0.1)
