"""Workers, children and PostgreSQL that die or freeze in mid-run: what arrives equals the source, row by row."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import polars
from django.conf import settings

from apps.runs.models import Output, Run
from tests.runs.conftest import make_pipeline
from tests.runs.own_server import OwnServer
from tests.runs.processes import ended, start, start_worker, wait_for, wait_for_workers, worker
from tests.world import World, make_world

SLOW = {"rows": 2000, "page_size": 100, "delay": 0.1}  # two seconds of reading, twenty pages


def has_read(count: int) -> Any:
    return lambda run: run["progress"]["read"] >= count


def published_ids(world: World, run_id: UUID) -> list[int]:
    """The primary keys of every published row, sorted, from the files themselves."""
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
    assert progress["read"] == progress["written"] + progress["rejected"] == SLOW["rows"]
    assert published_ids(world, run_id) == list(range(1, int(SLOW["rows"]) + 1))


def test_a_killed_worker_loses_nothing_and_its_successor_frees_the_run_at_once(
    acme: World,
) -> None:
    run_id = start(acme, make_pipeline(acme, source=SLOW))
    patient = {"DROVER_RUN_LEASE_SECONDS": "60"}  # waiting for the lease would fail this test

    victim = start_worker(**patient)
    wait_for(acme, run_id, has_read(300))
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    with worker(**patient):
        run = wait_for(acme, run_id, ended)

    assert_everything_arrived_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "succeeded"]
    assert run["attempts"][0]["failure"]["class"] == "crashed"


def test_another_worker_takes_over_when_the_lease_runs_out(acme: World) -> None:
    with start_worker() as one, start_worker() as other:
        try:
            wait_for_workers(2)
            run_id = start(acme, make_pipeline(acme, source=SLOW))
            name = wait_for(acme, run_id, has_read(300))["attempts"][0]["worker"]
            victim = one if f"/{one.pid}/" in name else other
            victim.send_signal(signal.SIGKILL)
            assert victim.wait() == -signal.SIGKILL
            run = wait_for(acme, run_id, ended)
        finally:
            one.terminate()
            other.terminate()

    assert_everything_arrived_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "succeeded"]
    assert name != run["attempts"][1]["worker"]


def test_a_frozen_worker_that_thaws_writes_nothing_more(acme: World) -> None:
    run_id = start(acme, make_pipeline(acme, source=SLOW))

    frozen = start_worker()
    try:
        wait_for(acme, run_id, has_read(300))
        frozen.send_signal(signal.SIGSTOP)  # its child goes on and is fenced
        with worker():
            wait_for(acme, run_id, lambda run: run["attempt"] == 2)
            frozen.send_signal(signal.SIGCONT)
            run = wait_for(acme, run_id, ended)
            time.sleep(1.5)  # for the thawed one to try to write what it still holds
    finally:
        frozen.send_signal(signal.SIGCONT)
        frozen.terminate()
        frozen.wait(20)

    assert_everything_arrived_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "succeeded"]
    with acme.scope():
        row = Run.objects.for_org(acme.org).get(pk=run_id)
    assert (row.status, row.attempt, row.lease) == ("succeeded", 2, None)


def test_a_terminated_worker_gives_back_its_run_without_counting_a_crash(acme: World) -> None:
    run_id = start(acme, make_pipeline(acme, source=SLOW))

    with start_worker() as leaving:
        wait_for(acme, run_id, has_read(300))
        leaving.terminate()
        assert leaving.wait(15) == 0
    with worker():
        run = wait_for(acme, run_id, ended)

    assert_everything_arrived_once(acme, run_id, run)
    assert [attempt["status"] for attempt in run["attempts"]] == ["released", "succeeded"]


def test_a_killed_child_is_replaced(acme: World) -> None:
    run_id = start(acme, make_pipeline(acme, source=SLOW))

    with worker() as process:
        wait_for(acme, run_id, has_read(300))
        os.kill(run_child_of(process.pid), signal.SIGKILL)
        run = wait_for(acme, run_id, ended)

    assert_everything_arrived_once(acme, run_id, run)
    assert run["attempts"][0]["failure"]["class"] == "crashed"


def test_a_killed_postgresql_comes_back_and_the_run_goes_on(own_postgres: OwnServer) -> None:
    acme = make_world()
    run_id = start(acme, make_pipeline(acme, source=SLOW))

    with worker() as process:
        wait_for(acme, run_id, has_read(300))
        own_postgres.kill()
        time.sleep(1.5)  # long enough for every part of the worker to notice
        own_postgres.start_again()
        run = wait_for(acme, run_id, ended)
        second = start(acme, make_pipeline(acme, source={"rows": 10}))
        afterwards = wait_for(acme, second, ended)  # the worker still hears of new runs
        assert process.poll() is None

    assert own_postgres.recovered
    assert_everything_arrived_once(acme, run_id, run)
    assert afterwards["status"] == "succeeded"


def run_child_of(worker_pid: int) -> int:
    """The child process that moves the records: the fork server's child."""
    (server,) = children(worker_pid)
    (child,) = children(server)
    return child


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for found in tasks for child in found.read_text().split()]
