"""Tables are dropped, added, renamed and retyped between runs and during a run: exact rows arrive, or the stream is red with the reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest

from apps.connectors.storage import files_root
from apps.engine import RunSpec
from apps.engine.stream_keys import stream_key
from apps.pipelines.models import Pipeline
from apps.runs.attempts import children
from tests.databases.comparing import require_equal_tables
from tests.databases.moving import KINDS, PIPELINES, Arrived, Mover
from tests.databases.source_tables import SourceReader, Table
from tests.engine import faults
from tests.runs.stream_actions import call_before_streams
from tests.storms.stage import STORM_TIMEOUT

# What is done to the table of this name.
ALTERATIONS = {
    "dropped": "DROP TABLE {t}",
    "renamed": "ALTER TABLE {t} RENAME TO another_name",
    "moved": "ALTER TABLE {t} SET SCHEMA elsewhere",
    "widened": "ALTER TABLE {t} ALTER amount TYPE bigint",
    "made_text": "ALTER TABLE {t} ALTER amount TYPE text USING 'no ' || amount",
    "made_decimal": "ALTER TABLE {t} ALTER amount TYPE numeric(12, 4) USING amount + 0.25",
    "made_integer": "ALTER TABLE {t} ALTER label TYPE integer USING label::integer",
    "made_date": "ALTER TABLE {t} ALTER amount TYPE date USING date '2024-01-01' + amount",
    "column_added": "ALTER TABLE {t} ADD extra text; UPDATE {t} SET extra = 'x' WHERE id % 2 = 0",
    "column_dropped": "ALTER TABLE {t} DROP label",
    "column_renamed": "ALTER TABLE {t} RENAME label TO name",
    "key_changed": "ALTER TABLE {t} DROP CONSTRAINT {n}_pkey, ADD PRIMARY KEY (id, amount)",
    "key_dropped": "ALTER TABLE {t} DROP CONSTRAINT {n}_pkey",
    "refilled": "TRUNCATE {t}; INSERT INTO {t} SELECT n, -n, n FROM generate_series(1, 300) n",
    "replaced": "DROP TABLE {t}; CREATE TABLE {t} (id integer PRIMARY KEY, other text); GRANT SELECT ON {t} TO source_reader;"
    " INSERT INTO {t} SELECT n, 'other ' || n FROM generate_series(1, 200) n",
    "swapped": "ALTER TABLE {t} RENAME TO for_a_moment; ALTER TABLE altered.twin RENAME TO swapped;"
    " ALTER TABLE altered.for_a_moment RENAME TO twin",
    "untouched": "SELECT 1",
}
GONE = {"altered.dropped", "altered.renamed", "altered.moved"}
# What is listed as a change at the source: the kind and the column.
DRIFT = {
    ("altered.widened", "type_changed", "amount"),
    ("altered.made_text", "type_changed", "amount"),
    ("altered.made_decimal", "type_changed", "amount"),
    ("altered.made_integer", "type_changed", "label"),
    ("altered.made_date", "type_changed", "amount"),
    ("altered.column_added", "column_added", "extra"),
    ("altered.column_dropped", "column_removed", "label"),
    ("altered.column_renamed", "column_removed", "label"),
    ("altered.column_renamed", "column_added", "name"),
    ("altered.key_changed", "key_changed", ""),
    ("altered.key_dropped", "key_changed", ""),
    ("altered.replaced", "column_added", "other"),
    ("altered.replaced", "column_removed", "amount"),
    ("altered.replaced", "column_removed", "label"),
}
ROWS = 250
# Files cannot be merged.
WRITES = [
    (kind, mode)
    for kind in KINDS
    for mode in ("append", "merge")
    if (kind, mode) != ("parquet", "merge")
]
INCREMENTAL: dict[str, dict[str, str]] = {
    "full_refresh": {},
    "incremental": {"cursor_field": "id", "write_mode": "append"},
}


def create_tables(mover: Mover) -> None:
    user = mover.source.config["user"]
    mover.source.execute(
        "DROP SCHEMA IF EXISTS altered, elsewhere CASCADE",
        f"CREATE SCHEMA altered; CREATE SCHEMA elsewhere; GRANT USAGE ON SCHEMA altered, elsewhere TO {user}",
    )
    for name in ALTERATIONS:
        create_table(mover, name)
    create_table(mover, "twin")
    mover.source.execute("UPDATE altered.twin SET amount = -id")


def create_table(mover: Mover, name: str) -> None:
    mover.source.execute(
        f"CREATE TABLE altered.{name} (id integer PRIMARY KEY, amount integer, label text)",
        f"INSERT INTO altered.{name} SELECT n, n * 2, n * 3 FROM generate_series(1, {ROWS}) n",
    )


def statement(name: str) -> bytes:
    return ALTERATIONS[name].format(t=f"altered.{name}", n=name).encode()


def alter(mover: Mover, name: str, *, lock_timeout: str = "0") -> None:
    """Alter the table with a connection of its own, in one transaction."""
    url = mover.server.url(mover.source.config["database"])
    with psycopg.connect(url) as connection:
        connection.execute(f"SET lock_timeout = '{lock_timeout}'".encode())
        connection.execute(statement(name))


def source_tables(mover: Mover) -> dict[str, Table]:
    return SourceReader(mover.source.admin, ["altered"]).tables(arrays_as_json=False)


def drift_of(mover: Mover, pipeline: Pipeline) -> set[tuple[str, str, str]]:
    url = f"{PIPELINES}/{pipeline.pk}/drift?limit=100"
    rows = mover.world.client("viewer").get(url).json()["results"]
    return {(row["stream"], row["kind"], row["column"]) for row in rows}


def require_red_with_reason(mover: Mover, run_id: UUID, red: set[str]) -> None:
    """Fail unless exactly these streams failed, each with its reason."""
    state = mover.state(run_id)
    failures = mover.failures(run_id)
    assert set(failures) == red, failures
    assert (state["status"], state["streams_failed"]) == ("failed", len(red))
    assert all(len(message) > 20 for message in failures.values())


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_tables_that_were_altered_between_two_runs_arrive_as_they_are_now(
    mover: Mover, kind: str
) -> None:
    create_tables(mover)
    pipeline = mover.create(kind, "altered.*")
    before = mover.arrived(pipeline, mover.run_to_success(pipeline))
    for name in ALTERATIONS:
        alter(mover, name)
    create_table(mover, "added")

    run_id = mover.run(pipeline)
    require_red_with_reason(mover, run_id, GONE)
    arrived = mover.arrived(pipeline, run_id)
    assert {name: arrived.pop(name) for name in GONE} == {name: before[name] for name in GONE}
    require_equal_tables(kind, source_tables(mover), arrived)
    assert "New in the source: altered.another_name, altered.added." in mover.log(run_id) or (
        "New in the source: altered.added, altered.another_name." in mover.log(run_id)
    )
    assert drift_of(mover, pipeline) == DRIFT

    body = {"decision": "ignore", "streams": sorted(GONE)}
    decide = f"{PIPELINES}/{pipeline.pk}/streams/decide"
    assert mover.world.client().post(decide, body).status_code == 200
    run_id = mover.run_to_success(pipeline)
    require_equal_tables(kind, source_tables(mover), mover.arrived(pipeline, run_id))


@pytest.mark.long
@pytest.mark.parametrize(("kind", "write_mode"), WRITES)
def test_tables_of_incremental_streams_get_the_exact_new_rows_or_are_red(
    mover: Mover, kind: str, write_mode: str
) -> None:
    create_tables(mover)
    defaults = {"sync_mode": "incremental", "cursor_field": "id", "write_mode": write_mode}
    pipeline = mover.create(kind, "altered.*", defaults=defaults)
    first_run = mover.run_to_success(pipeline)
    before, old_rows = mover.arrived(pipeline, first_run), source_tables(mover)
    for name in ALTERATIONS:
        alter(mover, name)
    insert_new_rows(mover)
    run_id = mover.run(pipeline)
    failures, arrived = mover.failures(run_id), mover.arrived(pipeline, run_id)
    print(kind, write_mode, failures)
    assert set(failures) >= GONE
    assert "altered.untouched" not in failures
    for name in failures:
        assert arrived[name] == before[name], name
    now = source_tables(mover)
    for name in set(now) - set(failures) - {"altered.another_name"}:
        new = {key: row for key, row in by_id(now[name]).items() if int(key) > ROWS}
        expected = {**by_id(old_rows[name]), **new}
        assert arrived_by_id(arrived[name]) == expected, name
    assert drift_of(mover, pipeline) == DRIFT


def insert_new_rows(mover: Mover) -> None:
    """Insert rows with greater ids, in the columns that a table has now."""
    for name, table in source_tables(mover).items():
        values = {
            "integer": "n",
            "bigint": "n",
            "text": "'text ' || n",
            "date": "date '2025-01-01' + n",
        }
        expressions = ", ".join(values.get(column.type, "n + 0.5") for column in table.columns)
        mover.source.execute(
            f"INSERT INTO {name} SELECT {expressions} FROM generate_series({ROWS + 101}, {ROWS + 120}) n"
        )


def by_id(table: Table) -> dict[str, dict[str, Any]]:
    names = [column.name for column in table.columns]
    return {row[0]: _values(names, row) for row in table.rows}


def arrived_by_id(table: Arrived) -> dict[str, dict[str, Any]]:
    names = list(table.types)
    found = {str(row[0]): _values(names, row) for row in table.rows}
    assert len(found) == len(table.rows), "a row arrived twice"
    return found


def _values(names: list[str], row: tuple[Any, ...]) -> dict[str, Any]:
    """Return the values of a row without nulls. Numbers are equal to their texts."""
    return {
        name: _plain(value) for name, value in zip(names, row, strict=True) if value is not None
    }


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return str(value)


def call_before_first_stream(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """Call `action` when the streams of the run are chosen and none of them has begun."""
    actions = [action]

    def act_once(_spec: RunSpec) -> None:
        while actions:
            actions.pop()()

    monkeypatch.setattr(children, "STREAMS_AT_ONCE", 1)
    call_before_streams(monkeypatch, act_once)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_tables_that_are_altered_before_their_streams_begin_arrive_as_they_are_then(
    mover: Mover, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    create_tables(mover)
    pipeline = mover.create(kind, "altered.*", snapshot={"scope": "stream"})
    mover.run_to_success(pipeline)

    def alter_all() -> None:
        for name in ALTERATIONS:
            alter(mover, name)
        create_table(mover, "added")

    call_before_first_stream(monkeypatch, alter_all)
    run_id = mover.run(pipeline)
    require_red_with_reason(mover, run_id, GONE)
    arrived = mover.arrived(pipeline, run_id)
    new = {"altered.another_name", "altered.added"}
    expected = {name: table for name, table in source_tables(mover).items() if name not in new}
    require_equal_tables(kind, expected, {name: arrived[name] for name in set(arrived) - GONE})
    assert drift_of(mover, pipeline) == DRIFT
    mover.run(pipeline)
    assert drift_of(mover, pipeline) == DRIFT


@pytest.mark.long
def test_tables_cannot_be_altered_while_their_snapshot_exists(
    mover: Mover, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_tables(mover)
    pipeline = mover.create("postgres", "altered.*")
    refused: list[str] = []

    def alter_all() -> None:
        for name in ALTERATIONS:
            try:
                alter(mover, name, lock_timeout="100ms")
            except psycopg.errors.LockNotAvailable:
                refused.append(name)

    call_before_first_stream(monkeypatch, alter_all)
    run_id = mover.run_to_success(pipeline)
    assert refused == [name for name in ALTERATIONS if name != "untouched"]
    require_equal_tables("postgres", source_tables(mover), mover.arrived(pipeline, run_id))


@pytest.mark.long
@pytest.mark.parametrize("sync_mode", ["full_refresh", "incremental"])
@pytest.mark.parametrize("kind", KINDS)
def test_tables_that_are_altered_while_they_are_read_arrive_before_or_after_it(
    faulty_mover: Mover, kind: str, sync_mode: str
) -> None:
    mover = faulty_mover
    create_tables(mover)
    pipeline = mover.create(
        kind,
        "altered.*",
        source={"snapshot": "paged", "page_size": 50},
        snapshot={"scope": "stream"},
        defaults={"sync_mode": sync_mode, **INCREMENTAL[sync_mode]},
    )
    before = source_tables(mover)
    run_id = run_with_alterations(mover, pipeline)
    after, failures = source_tables(mover), mover.failures(run_id)
    print(kind, failures)
    assert set(failures) == GONE
    arrived = mover.arrived(pipeline, run_id)
    assert set(arrived) == set(before) - GONE
    for name, table in arrived.items():
        try:
            require_equal_tables(kind, {name: after[name]}, {name: table})
        except AssertionError:
            require_equal_tables(kind, {name: before[name]}, {name: table})


def run_with_alterations(mover: Mover, pipeline: Pipeline) -> UUID:
    """Make a run in which each table is altered after its first page was read."""
    url = files_root(mover.world.org.pk).url
    files = {
        name: faults.fault_file(url, stream_key(mover.world.org.pk, pipeline.pk, f"altered.{name}"))
        for name in ALTERATIONS
    }
    for file in files.values():
        faults.place_fault(file, "hold page 2")
    ended = threading.Event()
    with ThreadPoolExecutor(len(files)) as pool:
        actions = [
            pool.submit(
                faults.call_when_held,
                file,
                partial(alter, mover, name),
                lambda: None,
                ended.is_set,
            )
            for name, file in files.items()
        ]
        run_id = mover.run(pipeline)
        ended.set()
        for action in actions:
            action.result()
    assert all(map(faults.remove_fault, files.values())), "a table was not altered"
    return run_id


@pytest.mark.long
def test_streams_that_wait_behind_an_alteration_are_read_by_the_next_attempt(
    mover: Mover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alteration waits for the snapshot, and the streams that have not begun wait behind the alteration."""
    create_tables(mover)
    pipeline = mover.create("postgres", "altered.*")
    with ThreadPoolExecutor(1) as pool:
        waiting: list[Any] = []

        def begin_alteration() -> None:
            waiting.append(pool.submit(alter, mover, "made_decimal"))
            query = (
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
            )
            wait_until(lambda: mover.source.rows(query) == [(1,)])

        call_before_first_stream(monkeypatch, begin_alteration)
        run_id = mover.run(pipeline)
        waiting[0].result()
    assert mover.state(run_id)["status"] == "pending"
    assert list(mover.failures(run_id)) == ["altered.made_decimal"]
    mover.continue_run()
    assert mover.state(run_id)["status"] == "succeeded"
    require_equal_tables("postgres", source_tables(mover), mover.arrived(pipeline, run_id))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STORM_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


PARTITIONS = """
CREATE TABLE altered.parts (id integer PRIMARY KEY, text text) PARTITION BY RANGE (id);
CREATE TABLE altered.first PARTITION OF altered.parts FOR VALUES FROM (1) TO (101);
CREATE TABLE altered.second PARTITION OF altered.parts FOR VALUES FROM (101) TO (251);
INSERT INTO altered.parts SELECT n, 'row ' || n FROM generate_series(1, 250) n
"""
ALTER_PARTITIONS = """
ALTER TABLE altered.parts DETACH PARTITION altered.first;
CREATE TABLE altered.third PARTITION OF altered.parts FOR VALUES FROM (251) TO (500);
INSERT INTO altered.parts SELECT n, 'new ' || n FROM generate_series(251, 300) n
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_partitions_that_are_detached_and_added_arrive_where_they_belong(
    faulty_mover: Mover, kind: str
) -> None:
    """The first time while the table is read after its first page, and then with another run."""
    mover = faulty_mover
    user = mover.source.config["user"]
    mover.source.execute(
        "DROP SCHEMA IF EXISTS altered, elsewhere CASCADE",
        f"CREATE SCHEMA altered; GRANT USAGE ON SCHEMA altered TO {user}",
        PARTITIONS,
    )
    pipeline = mover.create(
        kind,
        "altered.*",
        source={"snapshot": "paged", "page_size": 50},
        snapshot={"scope": "stream"},
    )
    key = stream_key(mover.world.org.pk, pipeline.pk, "altered.parts")
    file = faults.fault_file(files_root(mover.world.org.pk).url, key)
    faults.place_fault(file, "hold page 2")
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        alteration = partial(mover.source.execute, ALTER_PARTITIONS)
        action = pool.submit(faults.call_when_held, file, alteration, lambda: None, ended.is_set)
        run_id = mover.run_to_success(pipeline)
        ended.set()
        action.result()
    assert faults.remove_fault(file), "the table was not altered"
    after = source_tables(mover)
    arrived = mover.arrived(pipeline, run_id)
    require_equal_tables(kind, {"altered.parts": after["altered.parts"]}, arrived)
    run_id = mover.run_to_success(pipeline)
    assert "New in the source: altered.first." in mover.log(run_id)
    require_equal_tables(kind, after, mover.arrived(pipeline, run_id))
