"""Another session locks and changes tables of runs. The runs wait or are retried, and publish every row once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.runs.conftest import make_pipeline
from tests.storms.api import ROWS
from tests.storms.stage import STORM_TIMEOUT, Stage

pytestmark = pytest.mark.long
CHANGES: Sequence[str] = (
    "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS noted text",
    "ALTER TABLE {table} ALTER COLUMN name TYPE varchar(400)",
    "CREATE INDEX ON {table} (name)",
    "COMMENT ON TABLE {table} IS 'ours'",
)


class Locker:
    """Lock a table, wait until another session waits for it, change it, and release it.

    `change_count` is the number of changes that succeeded.
    """

    def __init__(self, stage: Stage, table: sql.Identifier) -> None:
        self.change_count = 0
        self.errors: list[Exception] = []
        self.ended = threading.Event()
        self._stage, self._table = stage, table

    def lock(self, change: str, hold_seconds: float) -> None:
        """Take the lock now. Wait for another session, change the table and release it in a separate thread."""
        connection = psycopg.connect(self._stage.warehouse_url)
        connection.execute(sql.SQL("LOCK TABLE {}").format(self._table))
        threading.Thread(
            target=self._change_and_release, args=(connection, change, hold_seconds), daemon=True
        ).start()

    def _change_and_release(
        self, connection: psycopg.Connection[Any], change: str, hold_seconds: float
    ) -> None:
        try:
            with connection:
                self._wait_for_other_session(connection)
                time.sleep(hold_seconds)
                connection.execute(sql.SQL(change).format(table=self._table))
        except Exception as error:  # `check_changes` raises it in the thread of the test
            self.errors.append(error)
        else:
            self.change_count += 1
        finally:
            self.ended.set()

    def _wait_for_other_session(self, connection: psycopg.Connection[Any]) -> None:
        own_pid = connection.info.backend_pid
        query = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid))"
        )
        deadline = time.monotonic() + STORM_TIMEOUT
        while connection.execute(query, [own_pid]).fetchone() == (0,):
            assert time.monotonic() < deadline, "no other session waited for the table"
            time.sleep(0.05)

    def check_changes(self, expected_count: int) -> None:
        assert self.ended.wait(STORM_TIMEOUT)
        if self.errors:
            raise self.errors[0]
        assert self.change_count == expected_count


def test_runs_succeed_although_their_destination_tables_are_locked_and_changed(
    stage: Stage, rounds: range
) -> None:
    pipelines = [
        stage.create_pipeline(destination_mode=("postgres", mode), lock_timeout=2)
        for mode in ("merge", "replace")
    ]
    for pipeline in pipelines:
        stage.start_run(pipeline)
    stage.wait_and_check_runs(expects_actions=False)  # creates the tables
    for _ in rounds:
        lockers = []
        for pipeline in pipelines:
            locker = Locker(stage, sql.Identifier("arrivals", pipeline.name))
            change = stage.rng.choice(CHANGES)
            # Shorter or longer than the lock timeout of the run, which is two seconds.
            hold_seconds = stage.rng.choice((0, 4))
            action = partial(locker.lock, change, hold_seconds)
            stage.api.call_at_request(stage.random_request_number(), action, reader=pipeline.name)
            stage.start_run(pipeline)
            lockers.append(locker)
        assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}
        for locker in lockers:
            locker.check_changes(1)


def test_runs_succeed_although_their_source_table_is_locked_and_changed(
    stage: Stage, rounds: range
) -> None:
    table_name = f"source_{stage.rng.randrange(10**9)}"
    table = sql.Identifier("public", table_name)
    with psycopg.connect(stage.warehouse_url, autocommit=True) as admin:
        create_table = (
            "CREATE TABLE {} AS SELECT n AS id, 'row ' || n AS name FROM generate_series(1, {}) n"
        )
        admin.execute(sql.SQL(create_table).format(table, sql.Literal(ROWS)))
        admin.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (id)").format(table))
    for _ in rounds:
        locker = Locker(stage, table)
        locker.lock(stage.rng.choice(CHANGES), hold_seconds=stage.rng.choice((0, 2)))
        stage.start_run(make_table_pipeline(stage, table_name))
        assert {run["status"] for run in stage.wait_and_check_runs(expects_actions=False)} == {
            "succeeded"
        }
        locker.check_changes(1)


def make_table_pipeline(stage: Stage, table: str) -> Any:
    """Create a pipeline that reads the table in small pages."""
    name = f"p{stage.rng.randrange(16**12):012x}"
    settings = stage.postgres_settings()
    del settings["schema"]
    return make_pipeline(
        stage.world,
        name=name,
        source={**settings, "page_size": 20},
        source_kind="postgres",
        stream=table,
        destination={"kind": "postgres", "config": stage.postgres_settings()},
        table=name,
        max_attempts=10,
    )
