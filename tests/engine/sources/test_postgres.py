"""The PostgreSQL source with a real server: rows, types, tokens, cursors and failures."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.egress.exceptions import EgressError
from apps.engine.failures import (
    LACKS_PERMISSION,
    AuthenticationError,
    ConfigurationError,
    SourceError,
)
from apps.engine.sources.postgres import pages, reading
from apps.engine.sources.postgres import source as source_module
from tests.engine.sources.conftest import SourceDatabase
from tests.engine.sources.reading import make_source, read_stream

ODD_STREAM = 'odd % schema."od""d tab.le"'
FEW_EXAMPLES = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def make_postgres_source(
    database: SourceDatabase,
    stream: str,
    *,
    page_size: int = 50_000,
    lookback: int = 0,
    snapshot: str = "auto",
    **spec: Any,
) -> Any:
    settings = {"page_size": page_size, "lookback_seconds": lookback, "snapshot": snapshot}
    return make_source("postgres", {**database.config, **settings}, stream, **spec)


def make_incremental_source(
    database: SourceDatabase, stream: str, cursor: str, page_size: int = 3, **settings: Any
) -> Any:
    return make_postgres_source(
        database,
        stream,
        page_size=page_size,
        sync_mode="incremental",
        cursor_field=cursor,
        **settings,
    )


@pytest.fixture(scope="module", autouse=True)
def tables(database: SourceDatabase) -> None:
    database.execute(
        "CREATE TABLE numbers (id int PRIMARY KEY, name text)",
        "INSERT INTO numbers SELECT n, 'name ' || n FROM generate_series(1, 100) n",
        "CREATE TABLE pairs (a text, b numeric(10,2), n int, PRIMARY KEY (a, b))",
        "INSERT INTO pairs SELECT chr(97 + n % 5), n / 4.0, n FROM generate_series(1, 97) n",
        "CREATE TABLE keyless (n int, filler text)",
        "INSERT INTO keyless SELECT n, repeat('x', 900) FROM generate_series(1, 500) n",
        "CREATE VIEW small_view AS SELECT n % 7 AS kind, n FROM keyless WHERE n <= 60",
        "CREATE TABLE partitioned (n int, at date) PARTITION BY RANGE (at)",
        "CREATE TABLE partition_1 PARTITION OF partitioned FOR VALUES FROM ('2020-01-01') TO ('2020-07-01')",
        "CREATE TABLE partition_2 PARTITION OF partitioned FOR VALUES FROM ('2020-07-01') TO ('2021-01-01')",
        "INSERT INTO partitioned SELECT n, date '2020-01-01' + n FROM generate_series(0, 300) n",
        "CREATE TABLE parent (n int)",
        "CREATE TABLE child (extra text) INHERITS (parent)",
        "INSERT INTO parent SELECT generate_series(1, 20)",
        "INSERT INTO child SELECT generate_series(21, 40), 'x'",
        "CREATE TABLE keyed_parent (n int PRIMARY KEY)",
        "CREATE TABLE keyed_child () INHERITS (keyed_parent)",
        "INSERT INTO keyed_parent SELECT generate_series(1, 9)",
        "INSERT INTO keyed_child SELECT generate_series(5, 14)",
        "CREATE TABLE changes (id int PRIMARY KEY, at timestamptz, v text)",
        "CREATE TABLE keyless_changes (at date, n int)",
        "CREATE TABLE empty (id int PRIMARY KEY, at timestamptz)",
        'CREATE SCHEMA "odd % schema"',
        """CREATE TABLE "odd % schema"."od""d tab.le" ("sel ect" int PRIMARY KEY, "a%b" text, "C" int)""",
        """INSERT INTO "odd % schema"."od""d tab.le" VALUES (1, '100% "sure"', 7), (2, E'a\\nb', 8)""",
        f'GRANT USAGE ON SCHEMA "odd % schema" TO {database.config["user"]}',
    )


def test_every_type_arrives_with_its_value(database: SourceDatabase) -> None:
    database.execute(
        "CREATE TYPE mood AS ENUM ('calm', 'wild')",
        "CREATE TYPE point2 AS (x int, y int)",
        "CREATE DOMAIN price AS numeric(12,3)",
        """CREATE TABLE types (
            id bigint PRIMARY KEY, small int2, whole int4, single float4, double float8, exact numeric(38,10),
            free numeric, priced price, yes bool, words text, fixed char(5), moment timestamptz,
            local timestamp, day date, clock time, span interval, doc jsonb, raw json, many int[], tags text[],
            bytes bytea, key uuid, felt mood, spot point2, reach int4range, address inet, coins money)""",
        """INSERT INTO types VALUES (
            9223372036854775807, -32768, 2147483647, 1.1, 0.1, 1234567890123456789012345678.0123456789,
            12.50, 3.141, true, E'tab\\t"quoted", comma\\nline ☃', 'ab', '2024-03-31 02:30:00.123456+02',
            '2024-03-31 02:30:00.1', '2024-02-29', '23:59:59.999999', '1 day 2 hours', '{"b": [1, null], "a": "x"}',
            '{"kept":  1}', '{1,NULL,3}', ARRAY['a,b','"c"'], '\\x00ff10'::bytea,
            'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'wild', ROW(1,2)::point2, '[1,5)', '10.0.0.1/8', 12.3)""",
        "INSERT INTO types (id, words) VALUES (1, '')",
    )
    empty_row, full_row = read_stream(make_postgres_source(database, "types")).rows
    assert {name: value for name, value in empty_row.items() if value is not None} == {
        "id": 1,
        "words": "",
    }
    assert full_row == {
        "id": 9223372036854775807,
        "small": -32768,
        "whole": 2147483647,
        "single": 1.1,
        "double": 0.1,
        "exact": Decimal("1234567890123456789012345678.0123456789"),
        "free": Decimal("12.50"),
        "priced": Decimal("3.141"),
        "yes": True,
        "words": 'tab\t"quoted", comma\nline ☃',
        "fixed": "ab   ",
        "moment": datetime(2024, 3, 31, 0, 30, 0, 123456, tzinfo=UTC),
        "local": datetime(2024, 3, 31, 2, 30, 0, 100000, tzinfo=UTC).replace(tzinfo=None),
        "day": date(2024, 2, 29),
        "clock": time(23, 59, 59, 999999),
        "span": "P1DT2H",
        "doc": '{"a": "x", "b": [1, null]}',
        "raw": '{"kept":  1}',
        "many": "[1,null,3]",
        "tags": '["a,b","\\"c\\""]',
        "bytes": "AP8Q",
        "key": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "felt": "wild",
        "spot": '{"x":1,"y":2}',
        "reach": "[1,5)",
        "address": "10.0.0.1/8",
        "coins": full_row["coins"],
    }


def test_values_outside_the_range_of_a_type_become_their_exact_text(
    database: SourceDatabase,
) -> None:
    database.execute(
        "CREATE TABLE extremes (id int PRIMARY KEY, at timestamptz, day date, n numeric(10,2), huge numeric)",
        """INSERT INTO extremes VALUES (1, 'infinity', '-infinity', 'NaN', 1e60),
            (2, '0044-03-15 BC', '0044-03-15 BC', 1.5, 0.25), (3, NULL, NULL, NULL, NULL)""",
    )
    first, second, third = read_stream(make_postgres_source(database, "extremes")).rows
    assert (first["at"], first["day"], first["n"]) == ("infinity", "-infinity", "NaN")
    assert first["huge"] == "1" + "0" * 60
    assert second["day"] == "0044-03-15 BC"
    assert second["n"] == "1.50"
    assert set(third.values()) == {3, None}


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("stream", "column", "expected"),
    [
        ("numbers", "id", range(1, 101)),
        ("pairs", "n", range(1, 98)),
        ("keyless", "n", range(1, 501)),
        ("small_view", "n", range(1, 61)),
        ("partitioned", "n", range(301)),
        ("parent", "n", range(1, 41)),
    ],
)
@pytest.mark.parametrize("page_size", [1, 7, 100, 1000])
def test_every_row_is_read_once_with_any_page_size(
    database: SourceDatabase, stream: str, column: str, expected: range, page_size: int
) -> None:
    if page_size == 1 and len(expected) > 100:
        page_size = 2
    result = read_stream(make_postgres_source(database, stream, page_size=page_size))
    assert sorted(result.column(column)) == list(expected)
    if stream != "keyless":
        assert all(len(page) <= page_size for page in result.pages)


@FEW_EXAMPLES
@given(st.sampled_from(["numbers", "pairs"]), st.integers(2, 60))
def test_reading_in_pages_can_resume_at_any_token(
    database: SourceDatabase, stream: str, page_size: int
) -> None:
    def source() -> Any:
        return make_postgres_source(database, stream, page_size=page_size, snapshot="paged")

    full_read = read_stream(source())
    for position in {0, 1, len(full_read.tokens) // 2, len(full_read.tokens) - 1}:
        if position >= len(full_read.tokens):
            continue
        resumed_read = read_stream(source(), token=full_read.tokens[position])
        assert resumed_read.rows == [row for page in full_read.pages[position:] for row in page]


@pytest.mark.parametrize("page_size", [1, 2, 5])
def test_rows_of_child_tables_with_the_same_key_are_read(
    database: SourceDatabase, page_size: int
) -> None:
    result = read_stream(make_postgres_source(database, "keyed_parent", page_size=page_size))
    assert sorted(result.column("n")) == sorted([*range(1, 10), *range(5, 15)])


def test_the_primary_key_can_be_the_cursor(database: SourceDatabase) -> None:
    first = read_stream(make_incremental_source(database, "pairs", "b", 10))
    assert sorted(first.column("n")) == list(range(1, 98))
    numbers = read_stream(make_incremental_source(database, "numbers", "id", 7))
    assert numbers.column("id") == list(range(1, 101))
    database.execute("INSERT INTO numbers VALUES (101, 'new')")
    new_read = read_stream(make_incremental_source(database, "numbers", "id"), numbers.state)
    assert new_read.column("id") == [101]
    database.execute("DELETE FROM numbers WHERE id = 101")


@pytest.mark.parametrize("name", [ODD_STREAM, 'odd % schema.od"d tab.le'])
def test_unusual_names_of_schemas_tables_and_columns_work(
    database: SourceDatabase, name: str
) -> None:
    source = make_postgres_source(database, name, page_size=1)
    assert read_stream(source).rows == [
        {"sel ect": 1, "a%b": '100% "sure"', "C": 7},
        {"sel ect": 2, "a%b": "a\nb", "C": 8},
    ]


@pytest.mark.parametrize("smallest_large_table", [0, sys.maxsize])
def test_every_character_of_a_text_arrives(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch, smallest_large_table: int
) -> None:
    """COPY escapes some of them, and a byte order mark is a character of the text."""
    monkeypatch.setattr(source_module, "BULK_BYTES", smallest_large_table)
    monkeypatch.setattr(source_module, "BULK_PAGE_ROWS", 1)
    texts = [
        "\ufeff\ufeffa", "\ufeff", "", "\\", r"\N", r"\\N", r"C:\new\table", "\\\n", "\b\f\n\r\t\v", '"', r"\.",
    ]  # fmt: skip
    database.execute(
        "DROP TABLE IF EXISTS written, alone", "CREATE TABLE written (t text, n int PRIMARY KEY)"
    )
    for number, text in enumerate(texts):
        database.admin.execute("INSERT INTO written VALUES (%s, %s)", (text, number))
    database.execute("CREATE TABLE alone AS SELECT t FROM written ORDER BY n")
    for page_size in (1, 100):
        for stream, way in (("written", "whole"), ("written", "paged"), ("alone", "whole")):
            source = make_postgres_source(database, stream, page_size=page_size, snapshot=way)
            assert read_stream(source).column("t") == texts, (stream, way, page_size)


def test_an_empty_table_is_read_as_one_empty_page_with_its_columns(
    database: SourceDatabase,
) -> None:
    page = make_postgres_source(database, "empty").get()
    assert (page.frame.columns, page.frame.height, page.next_pagination) == (["id", "at"], 0, {})


def test_wide_rows_are_read_in_shorter_pages(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_PAGE_BYTES", 20_000)
    database.execute(
        "CREATE TABLE wide (id int PRIMARY KEY, doc text)",
        "INSERT INTO wide SELECT n, repeat(chr(65 + n % 26), 9000) FROM generate_series(1, 40) n",
        "CREATE TABLE wide_keyless AS TABLE wide",
    )
    for stream in ("wide", "wide_keyless"):
        result = read_stream(make_postgres_source(database, stream))
        assert result.column("id") == list(range(1, 41))
        assert len(result.pages) > 10, "the pages were not shorter"


def test_incremental_runs_read_each_change_once_even_with_equal_cursor_values(
    database: SourceDatabase,
) -> None:
    database.execute(
        "TRUNCATE changes",
        "INSERT INTO changes SELECT n, timestamptz '2024-01-01' + (n / 10) * interval '1 day', 'first' "
        "FROM generate_series(100, 134) n",
    )
    first = read_stream(make_incremental_source(database, "changes", "at"))
    assert sorted(first.column("id")) == list(range(100, 135))
    assert first.state is not None
    # Add rows with a cursor value that was read before, and with keys below and above those that were read.
    database.execute(
        "INSERT INTO changes VALUES (1, '2024-01-14', 'late'), (999, '2024-01-14', 'late')",
        "UPDATE changes SET at = '2024-01-20', v = 'changed' WHERE id = 105",
    )
    second = read_stream(make_incremental_source(database, "changes", "at"), first.state)
    assert sorted(second.column("id")) == [1, 105, 999]
    third = read_stream(make_incremental_source(database, "changes", "at"), second.state)
    assert third.rows == []
    assert third.state == second.state


@FEW_EXAMPLES
@given(
    st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=4), st.integers(1, 5)
)
def test_any_sequence_of_inserted_rows_is_read_once(
    database: SourceDatabase, batches: list[list[int]], page_size: int
) -> None:
    """Insert rows whose cursor values never decrease and may repeat. Their keys are in no order."""
    database.execute("TRUNCATE changes")
    state: dict[str, Any] | None = None
    read_ids: list[int] = []
    number = 0
    day = 0
    for batch in batches:
        for step in batch:
            day += step // 2
            number += 1
            key = number * 7919 % 10_007
            database.execute(f"INSERT INTO changes VALUES ({key}, date '2024-01-01' + {day}, '')")
        result = read_stream(make_incremental_source(database, "changes", "at", page_size), state)
        read_ids += result.column("id")
        state = result.state or state
    assert sorted(read_ids) == sorted(row[0] for row in database.rows("SELECT id FROM changes"))


def test_an_incremental_read_can_resume_at_any_token(database: SourceDatabase) -> None:
    database.execute(
        "TRUNCATE changes",
        "INSERT INTO changes SELECT n, date '2024-01-01' + n % 3, '' FROM generate_series(1, 40) n",
    )
    state = read_stream(make_incremental_source(database, "changes", "at")).state
    database.execute(
        "INSERT INTO changes SELECT n, date '2024-01-03' + n % 3, '' FROM generate_series(41, 80) n"
    )

    def source() -> Any:
        return make_incremental_source(database, "changes", "at", snapshot="paged")

    full_read = read_stream(source(), state)
    assert sorted(full_read.column("id")) == list(range(41, 81))
    for position, token in enumerate(full_read.tokens):
        resumed_read = read_stream(source(), state, token)
        assert resumed_read.rows == [row for page in full_read.pages[position:] for row in page]
        assert resumed_read.state == full_read.state


def test_many_rows_with_the_same_cursor_value_are_distinguished_by_key(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_TIES", 5)
    database.execute(
        "TRUNCATE changes",
        "INSERT INTO changes SELECT n, '2024-01-01', '' FROM generate_series(1, 20) n",
    )
    first = read_stream(make_incremental_source(database, "changes", "at"))
    assert first.state is not None
    assert first.state["ties"] is None
    database.execute("INSERT INTO changes VALUES (21, '2024-01-01', ''), (22, '2024-01-02', '')")
    second = read_stream(make_incremental_source(database, "changes", "at"), first.state)
    assert second.column("id") == [21, 22]


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_a_lookback_reads_rows_that_were_committed_late(database: SourceDatabase, key: str) -> None:
    database.execute(
        "DROP TABLE IF EXISTS late",
        f"CREATE TABLE late (id int {key}, at timestamptz)",
        "INSERT INTO late VALUES (1, '2024-01-01 10:00Z'), (3, '2024-01-01 10:05Z')",
    )
    state = read_stream(make_incremental_source(database, "late", "at")).state
    database.execute(
        "INSERT INTO late VALUES (2, '2024-01-01 10:04Z'), (4, '2024-01-01 10:06Z'),"
        " (5, '2024-01-01 09:00Z')"
    )
    without_lookback = read_stream(make_incremental_source(database, "late", "at"), state)
    assert without_lookback.column("id") == [4]
    source = make_incremental_source(database, "late", "at", 2, lookback=120)
    assert source.may_repeat_rows
    with_lookback = read_stream(source, state)
    assert with_lookback.column("id") == [2, 3, 4]
    assert with_lookback.state == without_lookback.state


def test_rows_deleted_before_the_last_page_do_not_move_the_position_back(
    database: SourceDatabase,
) -> None:
    database.execute(
        "TRUNCATE changes",
        "INSERT INTO changes SELECT n, date '2024-01-01' + n, '' FROM generate_series(1, 20) n",
    )
    source = make_incremental_source(database, "changes", "at", 10, snapshot="paged")
    first = source.get()
    database.execute("DELETE FROM changes WHERE id > 10")
    last_page = source.get(first.next_pagination)
    assert last_page.records == []
    position = {name: first.next_pagination[name] for name in ("after", "ties")}
    expected = {"cursor_field": "at", **position, "key": ["id"]}
    assert last_page.next_state is not None
    assert {name: last_page.next_state[name] for name in expected} == expected
    next_source = make_incremental_source(database, "changes", "at")
    assert read_stream(next_source, last_page.next_state).rows == []


def test_a_table_without_a_key_is_read_by_its_cursor(
    database: SourceDatabase,
) -> None:
    database.execute(
        "TRUNCATE keyless_changes",
        "INSERT INTO keyless_changes SELECT date '2024-01-01' + n / 10, n FROM generate_series(0, 54) n",
    )
    first = read_stream(make_incremental_source(database, "keyless_changes", "at"))
    assert sorted(first.column("n")) == list(range(55))
    database.execute("INSERT INTO keyless_changes VALUES ('2024-02-01', 55), ('2024-02-01', 56)")
    second = read_stream(make_incremental_source(database, "keyless_changes", "at"), first.state)
    assert sorted(second.column("n")) == [55, 56]
    assert (
        read_stream(make_incremental_source(database, "keyless_changes", "at"), second.state).rows
        == []
    )
    # Add rows with the newest cursor value. The next read returns only these.
    database.execute("INSERT INTO keyless_changes VALUES ('2024-02-01', 57), ('2024-02-02', 58)")
    third = read_stream(make_incremental_source(database, "keyless_changes", "at", 1), second.state)
    assert third.column("n") == [57, 58]
    database.execute("INSERT INTO keyless_changes VALUES ('2024-02-02', 59)")
    fourth = read_stream(make_incremental_source(database, "keyless_changes", "at", 1), third.state)
    assert fourth.column("n") == [59]


def test_an_empty_table_keeps_an_empty_state(database: SourceDatabase) -> None:
    first = read_stream(make_incremental_source(database, "empty", "at"))
    assert first.state == {}
    assert read_stream(make_incremental_source(database, "empty", "at"), first.state).rows == []


def test_a_changed_cursor_field_needs_a_reset(database: SourceDatabase) -> None:
    state = read_stream(make_incremental_source(database, "changes", "at")).state
    with pytest.raises(ConfigurationError, match="reset the stream"):
        read_stream(make_incremental_source(database, "changes", "id"), state)


def test_a_changed_primary_key_needs_a_reset(database: SourceDatabase) -> None:
    database.execute("CREATE TABLE rekeyed AS SELECT n, now() AS at FROM generate_series(1, 9) n")
    state = read_stream(make_incremental_source(database, "rekeyed", "at")).state
    database.execute("ALTER TABLE rekeyed ADD PRIMARY KEY (n)")
    with pytest.raises(ConfigurationError, match="key of the table changed"):
        read_stream(make_incremental_source(database, "rekeyed", "at"), state)


def test_discovery_returns_fields_keys_and_cursor_fields(database: SourceDatabase) -> None:
    streams = {stream.name: stream for stream in make_postgres_source(database, "").discover()}
    assert {"numbers", "small_view", "partitioned", ODD_STREAM} <= streams.keys()
    assert "partition_1" not in streams
    changes = streams["changes"]
    assert changes.primary_key == ("id",)
    assert changes.cursor_fields == ("at", "id")
    assert changes.sync_modes == ("full_refresh", "incremental")
    assert [(f.name, f.type, f.nullable) for f in changes.fields] == [
        ("id", "integer", False),
        ("at", "timestamp", True),
        ("v", "string", True),
    ]
    assert streams["pairs"].primary_key == ("a", "b")


def test_discovery_returns_only_the_configured_schemas(database: SourceDatabase) -> None:
    source = make_source("postgres", {**database.config, "schemas": ["odd % schema"]}, "")
    assert [stream.name for stream in source.discover()] == [ODD_STREAM]


def test_the_total_is_the_number_of_rows_of_a_table_and_unknown_if_the_table_is_empty(
    database: SourceDatabase,
) -> None:
    assert make_postgres_source(database, "numbers").get_total_records_count() == 100
    assert make_postgres_source(database, "empty").get_total_records_count() is None
    assert make_postgres_source(database, "numbers", page_size=30).estimate_size().requests == 4


def test_columns_that_the_user_may_not_read_are_left_out(database: SourceDatabase) -> None:
    database.execute(
        "CREATE TABLE guarded (id int PRIMARY KEY, open text, closed text)",
        "INSERT INTO guarded VALUES (1, 'a', 'b')",
        f"REVOKE ALL ON guarded FROM {database.config['user']}",
        f"GRANT SELECT (id, open) ON guarded TO {database.config['user']}",
    )
    assert read_stream(make_postgres_source(database, "guarded")).rows == [{"id": 1, "open": "a"}]


def test_a_stream_that_the_user_may_not_read_fails_with_a_message_about_the_missing_permission(
    database: SourceDatabase,
) -> None:
    database.execute(
        "CREATE FUNCTION barred_value() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
        "REVOKE ALL ON FUNCTION barred_value() FROM PUBLIC",
        "CREATE VIEW barred AS SELECT barred_value() AS id",
        f"GRANT SELECT ON barred TO {database.config['user']}",
    )
    error = read_error(database, AuthenticationError, "barred")
    assert "42501" in error.evidence[0]
    assert LACKS_PERMISSION in error.message


def test_a_check_returns_its_steps(database: SourceDatabase) -> None:
    steps = list(make_postgres_source(database, "").check())
    assert [step.step for step in steps] == ["resolve", "connect", "authenticate", "read"]
    assert all(step.ok for step in steps)


def test_reading_in_pages_leaves_no_transaction_open(database: SourceDatabase) -> None:
    source = make_postgres_source(database, "numbers", page_size=10, snapshot="paged")
    source.get()
    pid = source._connection.info.backend_pid
    assert database.rows(f"SELECT state FROM pg_stat_activity WHERE pid = {pid}") == [("idle",)]


def read_error(
    source_database: SourceDatabase,
    error_type: Any,
    stream: str = "numbers",
    **changes: Any,
) -> Any:
    source = make_source("postgres", {**source_database.config, **changes}, stream)
    with pytest.raises(error_type) as raised:
        source.get()
    return raised.value


def test_a_wrong_password_is_an_authentication_failure(database: SourceDatabase) -> None:
    error = read_error(database, AuthenticationError, password="wrong-one")
    assert any("password authentication failed" in line for line in error.evidence)
    assert not error.retryable
    steps = list(make_source("postgres", {**database.config, "password": "wrong-one"}, "").check())
    assert [(step.step, step.ok) for step in steps] == [
        ("resolve", True),
        ("connect", True),
        ("authenticate", False),
    ]
    assert "wrong-one" not in str(error.evidence) + str(steps)


def test_an_unknown_database_is_a_configuration_failure(database: SourceDatabase) -> None:
    error = read_error(database, ConfigurationError, database="nowhere")
    assert any("does not exist" in line for line in error.evidence)


def test_a_server_without_tls_is_a_configuration_failure(
    database: SourceDatabase,
) -> None:
    error = read_error(database, ConfigurationError, sslmode="require")
    assert any("SSL" in line for line in error.evidence)


def test_a_missing_table_is_a_configuration_failure(database: SourceDatabase) -> None:
    error = read_error(database, ConfigurationError, "no_such_table")
    assert "no_such_table" in error.message


def test_a_missing_cursor_field_is_a_configuration_failure(database: SourceDatabase) -> None:
    with pytest.raises(ConfigurationError, match="no column 'gone'"):
        make_incremental_source(database, "changes", "gone").get()


def test_a_closed_port_is_a_source_failure(database: SourceDatabase) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = read_error(database, SourceError, port=port)
        steps = list(make_source("postgres", {**database.config, "port": port}, "").check())
    assert any("refused" in line.lower() for line in error.evidence)
    assert error.retryable
    assert [(step.step, step.ok) for step in steps] == [("resolve", True), ("connect", False)]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Yield the port of a server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for client in connections:
            client.close()


def test_an_unresponsive_server_is_a_source_failure_after_a_timeout(
    database: SourceDatabase, silent_port: int
) -> None:
    error = read_error(database, SourceError, port=silent_port, connect_timeout=1)
    assert "did not respond within 1 s" in error.message


def test_a_query_that_takes_too_long_is_cancelled(database: SourceDatabase) -> None:
    database.execute("CREATE VIEW slow AS SELECT 1 AS id, pg_sleep(60)::text AS nap")
    error = read_error(database, SourceError, "slow", statement_timeout=1)
    assert any("57014" in line for line in error.evidence)


def test_the_next_page_is_read_after_a_lost_connection(
    database: SourceDatabase,
) -> None:
    source = make_postgres_source(database, "numbers", page_size=30, snapshot="paged")
    token = source.get().next_pagination
    pid = source._connection.info.backend_pid
    assert database.rows(f"SELECT pg_terminate_backend({pid}, 5000)") == [(True,)]
    with pytest.raises(SourceError) as raised:
        source.get(token)
    assert raised.value.retryable
    assert raised.value.evidence
    assert read_stream(source, token=token).column("id") == list(range(31, 101))


def test_a_private_address_is_refused_without_connecting(database: SourceDatabase) -> None:
    source = make_source("postgres", database.config, "numbers", allow_private=False)
    with pytest.raises(EgressError, match=r"127\.0\.0\.1 is refused"):
        source.get()


def test_a_socket_path_as_the_host_is_refused(database: SourceDatabase) -> None:
    read_error(database, EgressError, host="/var/run/postgresql")
