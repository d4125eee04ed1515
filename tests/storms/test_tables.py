"""Tables that another session locks and changes: the runs wait or are retried, and every row is delivered once."""

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
from tests.storms.stage import PATIENCE, Stage

pytestmark = pytest.mark.long
CHANGES: Sequence[str] = (
    "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS noted text",
    "ALTER TABLE {table} ALTER COLUMN name TYPE varchar(400)",
    "CREATE INDEX ON {table} (name)",
    "COMMENT ON TABLE {table} IS 'ours'",
)


class Locker:
    """Holds a table until another session waits for it, changes it, and releases it; `met` counts how often."""

    def __init__(self, stage: Stage, table: sql.Identifier) -> None:
        self.met = 0
        self.failed: list[Exception] = []
        self.ended = threading.Event()
        self._stage, self._table = stage, table

    def lock(self, change: str, held: float) -> None:
        """Take the lock at once, and wait for the others in a separate thread."""
        connection = psycopg.connect(self._stage.warehouse)
        connection.execute(sql.SQL("LOCK TABLE {}").format(self._table))
        threading.Thread(target=self._let_go, args=(connection, change, held), daemon=True).start()

    def _let_go(self, connection: psycopg.Connection[Any], change: str, held: float) -> None:
        try:
            with connection:
                self._wait_for_others(connection)
                time.sleep(held)
                connection.execute(sql.SQL(change).format(table=self._table))
        except Exception as error:  # the test raises it
            self.failed.append(error)
        else:
            self.met += 1
        finally:
            self.ended.set()

    def _wait_for_others(self, connection: psycopg.Connection[Any]) -> None:
        mine = connection.info.backend_pid
        query = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid))"
        )
        deadline = time.monotonic() + PATIENCE
        while connection.execute(query, [mine]).fetchone() == (0,):
            assert time.monotonic() < deadline, "nobody wanted the table"
            time.sleep(0.05)

    def check(self, times: int) -> None:
        assert self.ended.wait(PATIENCE)
        if self.failed:
            raise self.failed[0]
        assert self.met == times


def test_a_destination_s_table_is_locked_and_changed(stage: Stage, rounds: range) -> None:
    pipelines = [
        stage.pipeline(place=("postgres", mode), lock_timeout=2) for mode in ("merge", "replace")
    ]
    for pipeline in pipelines:
        stage.start(pipeline)
    stage.settle(faults=False)  # the tables exist
    for _ in rounds:
        lockers = []
        for pipeline in pipelines:
            locker = Locker(stage, sql.Identifier("arrivals", pipeline.name))
            change = stage.chance.choice(CHANGES)
            held = stage.chance.choice((0, 4))  # shorter or longer than the run waits for a lock
            act = partial(locker.lock, change, held)
            stage.api.at(stage.moment(), act, reader=pipeline.name)
            stage.start(pipeline)
            lockers.append(locker)
        assert {run["status"] for run in stage.settle()} == {"succeeded"}
        for locker in lockers:
            locker.check(1)


def test_a_source_s_table_is_locked_and_changed(stage: Stage, rounds: range) -> None:
    table = sql.Identifier("public", f"source_{stage.chance.randrange(10**9)}")
    with psycopg.connect(stage.warehouse, autocommit=True) as admin:
        make = (
            "CREATE TABLE {} AS SELECT n AS id, 'row ' || n AS name FROM generate_series(1, {}) n"
        )
        admin.execute(sql.SQL(make).format(table, sql.Literal(ROWS)))
        admin.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (id)").format(table))
    for _ in rounds:
        locker = Locker(stage, table)
        locker.lock(stage.chance.choice(CHANGES), held=stage.chance.choice((0, 2)))
        stage.start(reader_of(stage, table.as_string().split('"')[3]))
        assert {run["status"] for run in stage.settle(faults=False)} == {"succeeded"}
        locker.check(1)


def reader_of(stage: Stage, table: str) -> Any:
    """A pipeline that reads the table in small pages."""
    name = f"p{stage.chance.randrange(16**12):012x}"
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
