"""If a worker or a child is killed in the middle of a chunk, each row of the window still arrives exactly once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from pytest_django import Settings

from apps.runs.backfills import chunks
from apps.runs.execute import Worker
from apps.runs.models import Run
from local.database.postgres import EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.backfills.events import ROW_COUNT, Events
from tests.runs.claiming.test_attempts import (
    child_pids,
    work_until_idle,
    working_in_background,
)
from tests.runs.processes import running_worker, start_worker
from tests.world import World

STREAMS: dict[str, dict[str, Any]] = {
    "merge": {"write_mode": "merge", "primary_key": ["id"]},
    "append": {"write_mode": "append"},
}
IN_WINDOW = f"id NOT IN ({ROW_COUNT}, 77)"
WAITING = """
SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'arrived.shop_events'::regclass
"""


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True
    settings.RUN_RETRY_WAIT = timedelta(0)


@pytest.fixture
def events(acme: World, database: SourceDatabase, engine_postgres: EmbeddedPostgres) -> Events:
    return Events(acme, database, engine_postgres)


@contextmanager
def locked_target(events: Events) -> Iterator[Callable[[], None]]:
    """Lock the table of the destination, so that nothing is published. Yields a function that waits for a publication."""
    with psycopg.connect(events.target_url) as connection:
        connection.execute("LOCK TABLE arrived.shop_events IN ACCESS EXCLUSIVE MODE")

        def wait_for_publication() -> None:
            deadline = time.monotonic() + 60
            while connection.execute(WAITING).fetchone() == (0,):
                assert time.monotonic() < deadline, "no publication waits for the lock"
                time.sleep(0.05)

        yield wait_for_publication


def prepare(events: Events, worker: Worker, mode: str) -> tuple[Any, dict[str, Any], Any]:
    """Load the table, change it, and load the first of three chunks. Returns the pipeline, the backfill and the position."""
    pipeline = events.create_pipeline(**STREAMS[mode])
    events.run(worker, pipeline)
    position = events.position(pipeline)
    events.change_behind_the_position()
    backfill = events.backfill(pipeline, rows_per_chunk=2_000)
    assert backfill["chunks"] == 3
    assert chunks.start_due() == 1
    work_until_idle(worker)
    return pipeline, backfill, position


def attempts_of(events: Events, chunk: int) -> tuple[str, int, int]:
    with events.world.scope():
        run = Run.objects.for_org(events.world.org).get(chunk=chunk)
    return run.status, run.attempt, run.crashes


def assert_each_row_arrived_once(events: Events, pipeline: Any, position: Any) -> None:
    assert events.arrived(IN_WINDOW) == events.expected(IN_WINDOW)
    assert len(events.arrived(f"id = {ROW_COUNT}")) == 1
    assert events.position(pipeline) == position


@pytest.mark.sample(2)
@pytest.mark.parametrize("mode", list(STREAMS))
def test_a_chunk_whose_child_is_killed_before_it_publishes_arrives_once(
    events: Events, this_worker: Worker, mode: str
) -> None:
    pipeline, backfill, position = prepare(events, this_worker, mode)
    before = events.arrived()
    assert chunks.start_due() == 1
    with locked_target(events) as wait_for_publication, working_in_background(this_worker):
        wait_for_publication()
        (child,) = child_pids(this_worker)
        os.kill(child, signal.SIGKILL)
    assert attempts_of(events, 1) == ("pending", 1, 1), "the child was not killed"
    assert events.arrived() == before

    work_until_idle(this_worker)
    assert attempts_of(events, 1) == ("succeeded", 2, 1)
    ended = events.finish(this_worker, pipeline, backfill)

    assert (ended["status"], ended["chunks_done"]) == ("succeeded", 3), ended
    assert_each_row_arrived_once(events, pipeline, position)


@pytest.mark.long
@pytest.mark.parametrize("mode", list(STREAMS))
def test_a_chunk_whose_worker_is_killed_before_it_publishes_arrives_once(
    events: Events, this_worker: Worker, mode: str
) -> None:
    pipeline, backfill, position = prepare(events, this_worker, mode)
    environment = {"DROVER_ALLOW_PRIVATE_NETWORKS": "true"}
    with locked_target(events) as wait_for_publication:
        killed_worker = start_worker(**environment)
        wait_for_publication()
        killed_worker.send_signal(signal.SIGKILL)
        assert killed_worker.wait() == -signal.SIGKILL
    with running_worker(**environment):
        ended = wait_until_ended(events, pipeline, backfill)

    assert (ended["status"], ended["chunks_done"]) == ("succeeded", 3), ended
    assert attempts_of(events, 1) == ("succeeded", 2, 1)
    assert_each_row_arrived_once(events, pipeline, position)


def wait_until_ended(events: Events, pipeline: Any, backfill: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while (shown := events.show(pipeline, backfill))["status"] == "running":
        assert time.monotonic() < deadline, shown
        time.sleep(0.2)
    return shown
