"""A table of PostgreSQL that changes while it is read: all rows of one committed state arrive, or the read says so.

The state before a change has the value 1 in every row, and the state after it has the value 2.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from apps.engine.contract import Failed, Succeeded
from apps.engine.failures import ConfigurationError, FailureClass, PositionGone, SourceError
from apps.engine.sources.postgres import source as postgres_source
from apps.engine.sources.postgres import whole as postgres_whole
from tests.engine.conftest import Rehearsal
from tests.engine.sources.conftest import SourceDatabase
from tests.engine.sources.reading import ReadResult, make_source, read_stream

ROWS = 200
PAGE_SIZE = 20
FILL = f"SELECT n, 1 FROM generate_series(1, {ROWS}) n"
REFILL = f"SELECT n, 2 FROM generate_series(1, {ROWS}) n"
WAIT_SECONDS = 20.0
INCREMENTAL: dict[str, Any] = {"sync_mode": "incremental", "cursor_field": "id"}


@dataclass(frozen=True)
class Subject:
    """A relation to read, and the statements that create it and replace its rows."""

    creation: str
    truncate: str = f"TRUNCATE base; INSERT INTO base {REFILL}"
    rewrite: str = "UPDATE base SET v = 2; ALTER TABLE base SET UNLOGGED"
    recreate: str = ""
    snapshot: str = "auto"


TABLE = f"CREATE TABLE base (id int PRIMARY KEY, v int); INSERT INTO base {FILL}"
PARTITIONS = (
    "CREATE TABLE base (id int, v int) PARTITION BY RANGE (id);"
    "CREATE TABLE part_1 PARTITION OF base FOR VALUES FROM (0) TO (100);"
    f"CREATE TABLE part_2 PARTITION OF base FOR VALUES FROM (100) TO (1000); INSERT INTO base {FILL}"
)
RELOAD_PARTITIONS = (
    "UPDATE base SET v = 2 WHERE id < 100; ALTER TABLE base DETACH PARTITION part_2; DROP TABLE part_2;"
    "CREATE TABLE part_2 PARTITION OF base FOR VALUES FROM (100) TO (1000);"
    f"INSERT INTO base SELECT n, 2 FROM generate_series(100, {ROWS}) n"
)
REFRESH = "UPDATE base SET v = 2; REFRESH MATERIALIZED VIEW stored"
SUBJECTS = {
    "a table in one snapshot": Subject(
        f"{TABLE}; ALTER TABLE base RENAME TO subject; CREATE VIEW base AS SELECT * FROM subject",
        f"TRUNCATE subject; INSERT INTO subject {REFILL}",
        "UPDATE subject SET v = 2; ALTER TABLE subject SET UNLOGGED",
        f"DROP VIEW base; DROP TABLE subject; CREATE TABLE subject AS {REFILL.replace('n, 2', 'n AS id, 2 AS v')}",
    ),
    "a table page by page": Subject(
        f"{TABLE}; ALTER TABLE base RENAME TO subject",
        f"TRUNCATE subject; INSERT INTO subject {REFILL}",
        "ALTER TABLE subject ALTER v TYPE bigint USING 2",
        "ALTER TABLE subject RENAME TO old; CREATE TABLE subject (id int PRIMARY KEY, v int);"
        f" INSERT INTO subject {REFILL}",
        snapshot="paged",
    ),
    "a table without a key": Subject(
        f"CREATE TABLE subject AS {FILL.replace('n, 1', 'n AS id, 1 AS v')}",
        f"TRUNCATE subject; INSERT INTO subject {REFILL}",
        "ALTER TABLE subject ALTER v TYPE bigint USING 2",
        f"DROP TABLE subject; CREATE TABLE subject AS {REFILL.replace('n, 2', 'n AS id, 2 AS v')}",
    ),
    "a view": Subject(
        f"{TABLE}; CREATE VIEW subject AS SELECT * FROM base",
        recreate=f"DROP TABLE base CASCADE; {TABLE}; UPDATE base SET v = 2;"
        " CREATE VIEW subject AS SELECT * FROM base",
    ),
    "a view of a view": Subject(
        f"{TABLE}; CREATE VIEW middle AS SELECT * FROM base; CREATE VIEW subject AS SELECT * FROM middle"
    ),
    "a view of a table that the user may not read": Subject(
        f"{TABLE}; REVOKE ALL ON base FROM source_reader; CREATE VIEW subject AS SELECT * FROM base"
    ),
    "a table of which the user may read some columns": Subject(
        f"{TABLE}; ALTER TABLE base ADD secret int; REVOKE ALL ON base FROM source_reader;"
        "GRANT SELECT (id, v) ON base TO source_reader; ALTER TABLE base RENAME TO subject",
        f"TRUNCATE subject; INSERT INTO subject {REFILL}",
        "ALTER TABLE subject ALTER v TYPE bigint USING 2",
    ),
    "partitions": Subject(
        f"{PARTITIONS}; ALTER TABLE base RENAME TO subject",
        f"TRUNCATE subject; INSERT INTO subject {REFILL}",
        RELOAD_PARTITIONS.replace("base", "subject"),
    ),
    "partitions page by page": Subject(
        f"{PARTITIONS}; ALTER TABLE base ADD PRIMARY KEY (id); ALTER TABLE base RENAME TO subject",
        f"TRUNCATE subject; INSERT INTO subject {REFILL}",
        RELOAD_PARTITIONS.replace("base", "subject"),
        snapshot="paged",
    ),
    "a view of partitions": Subject(
        f"{PARTITIONS}; CREATE VIEW subject AS SELECT * FROM base", rewrite=RELOAD_PARTITIONS
    ),
    "child tables": Subject(
        "CREATE TABLE subject (id int, v int); CREATE TABLE base () INHERITS (subject);"
        f"INSERT INTO base {FILL}"
    ),
    "a materialized view": Subject(
        f"{TABLE}; CREATE MATERIALIZED VIEW stored AS SELECT * FROM base;"
        "ALTER MATERIALIZED VIEW stored RENAME TO subject",
        REFRESH.replace("stored", "subject"),
        "",
    ),
    "a view of a materialized view": Subject(
        f"{TABLE}; CREATE MATERIALIZED VIEW stored AS SELECT * FROM base; CREATE VIEW subject AS SELECT * FROM stored",
        REFRESH,
        "",
    ),
}
CASES = [
    pytest.param(subject, getattr(subject, change), id=f"{name}-{change}")
    for name, subject in SUBJECTS.items()
    for change in ("truncate", "rewrite", "recreate")
    if getattr(subject, change)
]


@contextmanager
def open_source(database: SourceDatabase, **settings: Any) -> Iterator[Any]:
    config = {**database.config, "page_size": PAGE_SIZE, **settings}
    source = make_source("postgres", config, "subject")
    try:
        yield source
    finally:
        source.close()


@contextmanager
def open_writer(database: SourceDatabase) -> Iterator[psycopg.Connection[Any]]:
    info = database.admin.info
    with psycopg.connect(info.dsn, password=info.password) as writer:
        yield writer


@pytest.fixture(autouse=True)
def empty_schema(database: SourceDatabase) -> None:
    database.execute(
        "SET client_min_messages = warning",
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "GRANT USAGE ON SCHEMA public TO PUBLIC",
    )


def wait_until_blocked(database: SourceDatabase, user: str) -> None:
    """Wait until a session of the user waits for a lock. So a test is sure that its fault has happened."""
    query = (
        f"SELECT 1 FROM pg_stat_activity WHERE usename = '{user}' AND wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )
    deadline = time.monotonic() + WAIT_SECONDS
    while not database.rows(query):
        assert time.monotonic() < deadline, f"no session of {user} waits for a lock"
        time.sleep(0.01)


def assert_one_state(result: ReadResult, value: int) -> None:
    assert sorted(result.column("id")) == list(range(1, ROWS + 1))
    assert set(result.column("v")) == {value}


@pytest.mark.sample(3)
@pytest.mark.parametrize(("subject", "change"), CASES)
def test_a_read_that_waits_for_a_change_sees_the_changed_rows(
    database: SourceDatabase, subject: Subject, change: str
) -> None:
    database.execute(subject.creation)
    with (
        open_source(database, snapshot=subject.snapshot) as source,
        open_writer(database) as writer,
        ThreadPoolExecutor(1) as pool,
    ):
        writer.execute(change.encode())
        read = pool.submit(read_stream, source)
        wait_until_blocked(database, database.config["user"])
        writer.commit()
        assert_one_state(read.result(WAIT_SECONDS), 2)


@pytest.mark.sample(3)
@pytest.mark.parametrize(("subject", "change"), CASES)
def test_a_change_half_way_waits_or_ends_the_read(
    database: SourceDatabase, subject: Subject, change: str
) -> None:
    database.execute(subject.creation)
    with (
        open_source(database, snapshot=subject.snapshot) as source,
        open_writer(database) as writer,
        ThreadPoolExecutor(1) as pool,
    ):
        result = ReadResult()
        token = read_next(source, {}, result)
        changed: Future[None] = pool.submit(change_and_commit, writer, change)
        if subject.snapshot == "paged":
            changed.result(WAIT_SECONDS)
            with pytest.raises(PositionGone, match="replaced while it was read"):
                source.get(token)
            return
        wait_until_blocked(database, writer.info.user)
        while token:
            token = read_next(source, token, result)
        assert_one_state(result, 1)
        changed.result(WAIT_SECONDS)


def change_and_commit(writer: psycopg.Connection[Any], change: str) -> None:
    writer.execute(change.encode())
    writer.commit()


def read_with_changes(database: SourceDatabase, source: Any, *changes: str) -> ReadResult:
    """Read the stream, and execute the changes after its first page."""
    first = ReadResult()
    token = read_next(source, {}, first)
    database.execute(*changes)
    rest = read_stream(source, token=token)
    return replace(rest, pages=first.pages + rest.pages)


def read_next(source: Any, token: dict[str, Any], result: ReadResult) -> dict[str, Any]:
    page = source.get(token)
    result.pages.append(page.frame.to_dicts())
    next_token: dict[str, Any] = json.loads(json.dumps(page.next_pagination))
    return next_token


@pytest.mark.parametrize("name", ["a view", "a table without a key", "partitions", "child tables"])
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM {} WHERE id <= 50",
        "UPDATE {} SET v = 2, id = id + 500 WHERE id % 2 = 0",
        "INSERT INTO {} SELECT 0, 1 FROM generate_series(1, 90)",
    ],
)
def test_rows_that_change_half_way_are_read_as_they_were(
    database: SourceDatabase, name: str, change: str
) -> None:
    change = change.replace(
        "0, 1 FROM generate_series(1, 90)", "n, 1 FROM generate_series(500, 590) n"
    )
    database.execute(SUBJECTS[name].creation)
    table = "base" if name == "a view" else "subject"
    with open_source(database) as source:
        assert_one_state(read_with_changes(database, source, change.format(table)), 1)


def test_a_table_is_read_page_by_page_with_each_remaining_row_once(
    database: SourceDatabase,
) -> None:
    database.execute(SUBJECTS["a table page by page"].creation)
    with open_source(database, snapshot="paged") as source:
        result = read_with_changes(
            database,
            source,
            "DELETE FROM subject WHERE id <= 50",
            "UPDATE subject SET v = 2 WHERE id % 2 = 0",
        )
    assert sorted(result.column("id")) == [*range(1, PAGE_SIZE + 1), *range(51, ROWS + 1)]


def test_a_row_that_changes_is_read_once_by_its_cursor_field(database: SourceDatabase) -> None:
    database.execute(
        "CREATE TABLE subject (id int PRIMARY KEY, at timestamptz NOT NULL)",
        f"INSERT INTO subject SELECT n, timestamptz '2024-01-01' + n * interval '1s' FROM generate_series(1, {ROWS}) n",
    )
    settings = {**database.config, "page_size": PAGE_SIZE, "snapshot": "paged"}
    spec: dict[str, Any] = {"sync_mode": "incremental", "cursor_field": "at"}
    source = make_source("postgres", settings, "subject", **spec)
    change = "UPDATE subject SET at = now() WHERE id IN (1, 150)"
    result = read_with_changes(database, source, change)
    source.close()
    assert sorted(result.column("id")) == [n for n in range(1, ROWS + 1) if n != 150]
    later = read_stream(make_source("postgres", settings, "subject", **spec), result.state)
    assert sorted(later.column("id")) == [1, 150]


def test_a_row_that_loses_its_cursor_value_half_way_is_read_once_by_each_sync(
    database: SourceDatabase,
) -> None:
    database.execute(
        "CREATE TABLE subject (id int PRIMARY KEY, at timestamptz)",
        f"INSERT INTO subject SELECT n, timestamptz '2024-01-01' + n * interval '1s' FROM generate_series(1, {ROWS}) n",
        "INSERT INTO subject VALUES (0, NULL)",
    )
    settings = {**database.config, "page_size": PAGE_SIZE, "snapshot": "paged"}
    spec: dict[str, Any] = {"sync_mode": "incremental", "cursor_field": "at"}
    source = make_source("postgres", settings, "subject", **spec)
    change = "UPDATE subject SET at = 'infinity' WHERE id IN (1, 150)"
    result = read_with_changes(database, source, change)
    source.close()
    assert sorted(result.column("id")) == [n for n in range(ROWS + 1) if n != 150]
    later = read_stream(make_source("postgres", settings, "subject", **spec), result.state)
    assert sorted(later.column("id")) == [1, 150]


def test_a_new_partition_does_not_end_the_read(database: SourceDatabase) -> None:
    database.execute(SUBJECTS["partitions page by page"].creation)
    change = "CREATE TABLE part_3 PARTITION OF subject FOR VALUES FROM (1000) TO (2000)"
    with open_source(database, snapshot="paged") as source:
        assert_one_state(read_with_changes(database, source, change), 1)


def test_pages_continue_in_another_attempt_unless_the_table_was_replaced(
    database: SourceDatabase,
) -> None:
    database.execute(SUBJECTS["a table page by page"].creation)
    with open_source(database, snapshot="paged") as source:
        token = source.get().next_pagination
    with open_source(database, snapshot="paged") as source:
        assert len(read_stream(source, token=token).rows) == ROWS - PAGE_SIZE
    database.execute("VACUUM FULL subject")
    with (
        open_source(database, snapshot="paged") as source,
        pytest.raises(PositionGone, match="replaced while it was read"),
    ):
        source.get(token)


def test_pages_do_not_continue_by_another_key(database: SourceDatabase) -> None:
    """The new key has as many columns, and its index is no new file of the table."""
    database.execute(
        "DROP TABLE IF EXISTS subject",
        "CREATE TABLE subject (id int PRIMARY KEY, v int NOT NULL)",
        "INSERT INTO subject SELECT n, -n FROM generate_series(1, 200) n",
    )
    with open_source(database, snapshot="paged") as source:
        token = source.get().next_pagination
    database.execute("ALTER TABLE subject DROP CONSTRAINT subject_pkey, ADD PRIMARY KEY (v)")
    with (
        open_source(database, snapshot="paged") as source,
        pytest.raises(PositionGone, match="key of the table changed"),
    ):
        source.get(token)


def test_a_snapshot_does_not_continue_in_another_attempt(database: SourceDatabase) -> None:
    database.execute(SUBJECTS["a view"].creation)
    with open_source(database) as source:
        token = source.get().next_pagination
    with open_source(database) as source, pytest.raises(PositionGone, match="one snapshot"):
        source.get(token)


def test_a_lost_connection_ends_a_snapshot(database: SourceDatabase) -> None:
    """The rows are so many that the server has to wait for the reader, and notices its end."""
    database.execute(
        "CREATE VIEW subject AS SELECT n AS id, repeat('x', 1000) AS v FROM generate_series(1, 50000) n"
    )
    with open_source(database, page_size=100) as source:
        token = source.get().next_pagination
        pid = source._connection.info.backend_pid
        assert database.rows(f"SELECT pg_terminate_backend({pid}, 5000)") == [(True,)]
        with pytest.raises(SourceError):
            read_stream(source, token=token)
        with pytest.raises(PositionGone):
            source.get(token)


def test_a_table_without_a_key_cannot_be_read_page_by_page(database: SourceDatabase) -> None:
    database.execute(SUBJECTS["a table without a key"].creation)
    with (
        open_source(database, snapshot="paged") as source,
        pytest.raises(ConfigurationError, match="has no key"),
    ):
        source.get()


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("a table page by page", {}, "file"),
        ("a table page by page", INCREMENTAL, "file"),
        ("partitions page by page", {}, "file"),
        ("a table without a key", {}, "snapshot"),
        ("a table without a key", INCREMENTAL, "file"),
        ("child tables", {}, "snapshot"),
        ("a view", {}, "snapshot"),
        ("a view", INCREMENTAL, "snapshot"),
        ("a materialized view", {}, "snapshot"),
    ],
)
def test_large_tables_are_read_page_by_page_if_their_rows_have_an_order(
    database: SourceDatabase,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    spec: dict[str, Any],
    expected: str,
) -> None:
    database.execute(SUBJECTS[name].creation)
    config = {**database.config, "page_size": PAGE_SIZE}
    small: Any = make_source("postgres", config, "subject", **spec)
    assert "snapshot" in small.get().next_pagination
    small.close()
    for module in (postgres_source, postgres_whole):
        monkeypatch.setattr(module, "SHORT_READ", 0)
    large: Any = make_source("postgres", config, "subject", **spec)
    assert expected in large.get().next_pagination
    large.close()


def test_a_preview_leaves_no_query_behind(database: SourceDatabase) -> None:
    database.execute("CREATE VIEW subject AS SELECT n AS id FROM generate_series(1, 3000000) n")
    with open_source(database) as source:
        source.page_limit = 5
        assert source.get().frame["id"].to_list() == [1, 2, 3, 4, 5]
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'"
    )
    deadline = time.monotonic() + WAIT_SECONDS
    while database.rows(query):
        assert time.monotonic() < deadline, "the query of the preview still runs"
        time.sleep(0.01)


@pytest.fixture
def pipeline(
    database: SourceDatabase, make_rehearsal: Callable[..., Rehearsal]
) -> Callable[..., Rehearsal]:
    def build(**settings: Any) -> Rehearsal:
        config = {**database.config, "page_size": PAGE_SIZE, **settings}
        run = make_rehearsal(config, source_kind="postgres", stream="subject")
        run.spec = replace(run.spec, allow_private_networks=True)
        return run

    return build


def published_rows(run: Rehearsal) -> list[dict[str, Any]]:
    lines = (run.folder / "published.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_starts_anew_after_a_table_was_rewritten(
    database: SourceDatabase, pipeline: Callable[..., Rehearsal]
) -> None:
    subject = SUBJECTS["a table page by page"]
    database.execute(subject.creation)
    run = pipeline(snapshot="paged")
    outcome = run.attempt_with_hold("page done 4", lambda: database.execute(subject.rewrite))
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.read == ROWS
    assert {row["v"] for row in published_rows(run)} == {2}
    messages = [line.message for line in run.log]
    assert any("page by page" in message for message in messages)
    assert any(
        message.startswith("Reading from the beginning, since subject was") for message in messages
    )


def test_a_run_fails_and_keeps_the_published_rows_if_a_table_is_replaced_again_and_again(
    database: SourceDatabase, pipeline: Callable[..., Rehearsal]
) -> None:
    subject = SUBJECTS["a table page by page"]
    database.execute(subject.creation)
    run = pipeline(snapshot="paged", page_size=1)
    assert isinstance(run.attempt(), Succeeded)
    published = published_rows(run)
    run.start_new_run()
    ended = threading.Event()
    with open_writer(database) as writer, ThreadPoolExecutor(1) as pool:
        changes = pool.submit(change_again_and_again, writer, subject.truncate, ended)
        outcome = run.attempt()
        ended.set()
        assert changes.result(WAIT_SECONDS) > 1
    assert isinstance(outcome, Failed), outcome
    assert outcome.failure_class is FailureClass.SOURCE
    assert "subject was truncated, rewritten or replaced while it was read" in outcome.message
    assert published_rows(run) == published


def change_again_and_again(
    writer: psycopg.Connection[Any], change: str, ended: threading.Event
) -> int:
    count = 0
    while not ended.wait(0.05):
        change_and_commit(writer, change)
        count += 1
    return count


def test_a_run_in_one_snapshot_reads_all_rows_of_a_table_that_is_being_replaced(
    database: SourceDatabase, pipeline: Callable[..., Rehearsal]
) -> None:
    subject = SUBJECTS["a view"]
    database.execute(subject.creation)
    run = pipeline()
    with open_writer(database) as writer, ThreadPoolExecutor(1) as pool:
        writer.execute(subject.truncate.encode())
        attempt = pool.submit(run.attempt)
        wait_until_blocked(database, database.config["user"])
        writer.commit()
        outcome = attempt.result(WAIT_SECONDS)
    assert isinstance(outcome, Succeeded), outcome
    assert sorted(row["id"] for row in published_rows(run)) == list(range(1, ROWS + 1))
    assert any(line.fields.get("snapshot") == "whole" for line in run.log)
