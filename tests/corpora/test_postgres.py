"""What arrives from a PostgreSQL table: values, names, and the position of an incremental stream."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from apps.engine.failures import ConfigurationError, ContractError, SourceError
from apps.engine.frames.columns import as_text, column_of
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sources.postgres import watermarks
from local.database.postgres import EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.engine.sources.reading import ReadResult, make_source, read_stream

ROOT = Path(__file__).parents[2]
INCREMENTAL: dict[str, Any] = {"sync_mode": "incremental", "cursor_field": "at"}


def source_of(database: SourceDatabase, stream: str, *, spec: Any = (), **settings: Any) -> Any:
    return make_source("postgres", {**database.config, **settings}, stream, **dict(spec))


def read_texts(source: Any) -> dict[str, list[str | None]]:
    """Read a stream, and return each column as its text after all pages have got the same type."""
    schema = StreamSchema()
    frames: list[pl.DataFrame] = []
    token: dict[str, Any] = {}
    while True:
        page = source.get(token)
        frames.append(schema.conform(page.frame))
        token = page.next_pagination
        if not token:
            break
    frame = pl.concat([schema.conform(frame) for frame in frames])
    return {series.name: as_text(series).to_list() for series in frame}


# Types: in the first group all values have the type of the column, in the second one does not.
VALUES: list[tuple[str, list[str], list[Any]]] = [
    ("inet", ["10.0.0.1", "10.0.0.1/24", "::1"], ["10.0.0.1", "10.0.0.1/24", "::1"]),
    ("cidr", ["10.0.0.0/24"], ["10.0.0.0/24"]),
    ("char(5)", ["x", ""], ["x    ", "     "]),
    ('"char"', ["x"], ["x"]),
    ("varchar(5)", ["x ", ""], ["x ", ""]),
    ("boolean", ["t", "f"], [True, False]),
    ("date", ["2024-02-29", "9999-12-31"], [date(2024, 2, 29), date(9999, 12, 31)]),
    ("time", ["10:00", "10:00:00.5"], [time(10), time(10, 0, 0, 500_000)]),
    ("timetz", ["10:00+02"], ["10:00:00+02"]),
    ("timestamptz", ["2024-01-01 10:00+02"], [datetime(2024, 1, 1, 8, tzinfo=UTC)]),
    ("float8", ["1", "0.1", "5e-324"], [1.0, 0.1, 5e-324]),
    ("numeric(10,2)", ["1.5", "-0.01"], [Decimal("1.50"), Decimal("-0.01")]),
    ("numeric", ["1.5", "2.25"], [Decimal("1.50"), Decimal("2.25")]),
    ("numeric(5,-2)", ["12345", "149"], [Decimal(12300), Decimal(100)]),
    ("interval", ["1 day 2 hours"], ["P1DT2H"]),
    ("bit(3)", ["101"], ["101"]),
    ("bytea", [r"\x00ff"], ["AP8="]),
    ("int[]", ["{1,NULL}"], ["[1,null]"]),
    ("inet[]", ["{10.0.0.1}"], ['["10.0.0.1"]']),
    ("numeric[]", ["{1.10,NaN}"], ['[1.10,"NaN"]']),
    (
        "timestamptz[]",
        ["{2024-01-01 10:00+02,infinity}"],
        ['["2024-01-01T08:00:00+00:00","infinity"]'],
    ),
    (
        "jsonb",
        ['{"n": 1.10, "big": 123456789012345678901}'],
        ['{"n": 1.10, "big": 123456789012345678901}'],
    ),
    ("tstzrange", ["[2024-01-01 10:00+02,)"], ['["2024-01-01 08:00:00+00",)']),
]
MIXED_VALUES: list[tuple[str, list[str], list[str]]] = [
    (
        "timestamptz",
        [
            "2024-01-01 10:00+02",
            "2024-01-02 03:04:05.6Z",
            "infinity",
            "20000-01-01Z",
            "0044-03-15 01:02Z BC",
        ],
        [
            "2024-01-01T08:00:00.000000+00:00",
            "2024-01-02T03:04:05.600000+00:00",
            "infinity",
            "20000-01-01T00:00:00.000000+00:00",
            "0044-03-15T01:02:00.000000+00:00 BC",
        ],
    ),
    (
        "timestamp",
        ["2024-01-01 10:00", "-infinity", "0001-01-01 BC"],
        ["2024-01-01T10:00:00.000000", "-infinity", "0001-01-01T00:00:00.000000 BC"],
    ),
    ("date", ["2024-01-01", "infinity", "20000-01-01"], ["2024-01-01", "infinity", "20000-01-01"]),
    ("time", ["10:00", "24:00"], ["10:00:00", "24:00:00"]),
    ("numeric", ["1.5", "1.25", "NaN"], ["1.5", "1.25", "NaN"]),
    ("numeric", ["1.5", "1" + "0" * 50], ["1.5", "1" + "0" * 50]),
    ("numeric(10,2)", ["1.5", "NaN"], ["1.50", "NaN"]),
    (
        "numeric(50,20)",
        ["1.5", "1" + "0" * 29],
        ["1.50000000000000000000", "1" + "0" * 29 + "." + "0" * 20],
    ),
]


def create_values(database: SourceDatabase, type_name: str, values: list[str]) -> None:
    database.execute("DROP TABLE IF EXISTS subject")
    database.execute(f"CREATE TABLE subject (id serial PRIMARY KEY, v {type_name})")
    for value in values:
        database.execute("INSERT INTO subject (v) VALUES ('{}')".format(value.replace("'", "''")))


@pytest.mark.parametrize(("type_name", "values", "expected"), VALUES)
def test_a_value_arrives_as_it_is(
    database: SourceDatabase, type_name: str, values: list[str], expected: list[Any]
) -> None:
    create_values(database, type_name, values)
    assert read_stream(source_of(database, "subject")).column("v") == expected


@pytest.mark.sample(4)
@pytest.mark.parametrize("page_size", [1, 2, 100])
@pytest.mark.parametrize(("type_name", "values", "expected"), MIXED_VALUES)
@pytest.mark.parametrize("snapshot", ["whole", "paged"])
def test_a_column_has_one_spelling_in_all_pages(
    database: SourceDatabase,
    type_name: str,
    values: list[str],
    expected: list[str],
    page_size: int,
    snapshot: str,
) -> None:
    create_values(database, type_name, values)
    source = source_of(database, "subject", page_size=page_size, snapshot=snapshot)
    assert read_texts(source)["v"] == expected


def test_a_number_with_more_digits_than_all_pages_before_is_not_rounded(
    database: SourceDatabase,
) -> None:
    create_values(database, "numeric", ["1.5", "2.5", "3.5"])
    source = source_of(database, "subject", page_size=2, snapshot="paged")
    token = source.get().next_pagination
    database.execute("UPDATE subject SET v = 3.456 WHERE id = 3")
    assert read_stream(source, token=token).column("v") == [Decimal("3.456")]


@pytest.mark.parametrize("snapshot", ["auto", "whole", "paged"])
def test_an_empty_table_keeps_its_columns(database: SourceDatabase, snapshot: str) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject",
        "CREATE TABLE subject (id int PRIMARY KEY, amount numeric(10,2), at timestamptz)",
    )
    frame = source_of(database, "subject", snapshot=snapshot).get().frame
    assert frame.schema == {
        "id": pl.Int64(),
        "amount": pl.Decimal(10, 2),
        "at": pl.Datetime("us", "UTC"),
    }


NAMES = [
    ("public", "a.b", '"a.b"'),
    ("a", "b", "a.b"),
    ("public", "Orders", "Orders"),
    ("public", "orders", "orders"),
    ("Sales", "orders", "Sales.orders"),
    ("sales", "orders", "sales.orders"),
    ("a.b", "c", '"a.b".c'),
    ("a", "b.c", 'a."b.c"'),
    ("public", '"a"."b"', '"""a"".""b"""'),
    ("public", 'quo"te', 'quo"te'),
]


@pytest.fixture
def named_tables(database: SourceDatabase) -> None:
    for schema, name, stream in NAMES:
        table = '"{}"."{}"'.format(schema.replace('"', '""'), name.replace('"', '""'))
        text = stream.replace("'", "''")
        database.execute(
            f'CREATE SCHEMA IF NOT EXISTS "{schema}"',
            f'GRANT USAGE ON SCHEMA "{schema}" TO source_reader',
            f"CREATE TABLE IF NOT EXISTS {table} AS SELECT '{text}' AS own_name",
        )


@pytest.mark.usefixtures("named_tables")
def test_two_tables_are_two_streams(database: SourceDatabase) -> None:
    streams = [stream.name for stream in source_of(database, "").discover()]
    assert len(streams) == len(set(streams))
    names = [stream for _, _, stream in NAMES]
    assert set(names) <= set(streams)
    for name in names:
        assert read_stream(source_of(database, name)).rows == [{"own_name": name}]


@pytest.mark.usefixtures("named_tables")
@pytest.mark.parametrize(
    ("old_name", "stream"),
    [("a.b.c", 'a."b.c"'), ("public.orders", "orders"), ("a.b", "a.b"), ('quo"te', 'quo"te')],
)
def test_a_pipeline_with_an_earlier_name_still_reads_its_table(
    database: SourceDatabase, old_name: str, stream: str
) -> None:
    assert read_stream(source_of(database, old_name)).rows == [{"own_name": stream}]


# The position of an incremental stream

IMPLAUSIBLE = {
    "timestamptz": [
        "infinity",
        "-infinity",
        "9999-12-31",
        "20000-01-01",
        "now() + interval '2 days'",
    ],
    "timestamp": ["infinity", "-infinity", "9999-12-31"],
    "date": ["infinity", "-infinity", "9999-12-31"],
    "float8": ["NaN", "Infinity", "-Infinity"],
    "numeric": ["NaN", "Infinity", "-Infinity"],
    "int4": ["2147483647"],
    "int8": ["253402300799", "9223372036854775807", "2147483647", "4102444800", "253402293600"],
    # Dates and times that are written as numbers.
    "integer": ["99991231", "99999999", "20991231"],
    "bigint": ["99991231235959", "20991231000000"],
}
PLAUSIBLE = {
    **{name: ["1", "2", "3"] for name in ("float8", "numeric", "int4")},
    "int8": ["1700000000", "1700000001", "1700000002"],
    "integer": ["20240101", "20240102", "20240103"],
    "bigint": [f"{day}120000" for day in (20240101, 20240102, 20240103)],
}
TIMES = ["2024-01-01", "2024-01-02", "2024-01-03"]
KINDS = [
    (type_name, key, snapshot)
    for type_name in IMPLAUSIBLE
    for key in ("PRIMARY KEY", "")
    for snapshot in ("whole", "paged")
]


def insert(database: SourceDatabase, number: int, value: str) -> None:
    literal = value if value.startswith("now()") else f"'{value}'"
    database.execute(f"INSERT INTO subject VALUES ({number}, {literal})")


class Syncs:
    """Incremental syncs of the table `subject`, one after the other."""

    def __init__(self, database: SourceDatabase, **settings: Any) -> None:
        self.database, self.settings = database, settings
        self.spec = INCREMENTAL
        self.page_size = 2
        self.state: dict[str, Any] | None = None

    def run(self) -> list[int]:
        """Return the numbers of the rows that the next sync reads."""
        settings = {"page_size": self.page_size, **self.settings}
        source = source_of(self.database, "subject", spec=self.spec, **settings)
        result: ReadResult = read_stream(source, self.state)
        source.close()
        self.state = result.state or self.state
        return sorted(result.column("n"))


@pytest.mark.sample(3)
@pytest.mark.parametrize(("type_name", "key", "snapshot"), KINDS)
def test_implausible_values_are_loaded_once_and_hide_no_later_rows(
    database: SourceDatabase, type_name: str, key: str, snapshot: str
) -> None:
    first, second, third = PLAUSIBLE.get(type_name, TIMES)
    database.execute(
        "DROP TABLE IF EXISTS subject", f"CREATE TABLE subject (n int {key}, at {type_name})"
    )
    syncs = Syncs(database, snapshot=snapshot)
    insert(database, 1, first)
    odd_numbers = list(range(100, 100 + len(IMPLAUSIBLE[type_name])))
    for number, value in zip(odd_numbers, IMPLAUSIBLE[type_name], strict=True):
        insert(database, number, value)
    database.execute("INSERT INTO subject VALUES (99, NULL)")
    assert syncs.run() == [1, 99, *odd_numbers]
    assert syncs.run() == []
    insert(database, 2, second)
    insert(database, 200, IMPLAUSIBLE[type_name][0])
    database.execute("INSERT INTO subject VALUES (201, NULL)")
    assert syncs.run() == [2, 200, 201]
    insert(database, 3, third)
    assert syncs.run() == [3]
    assert syncs.run() == []


@pytest.mark.sample(3)
@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize("first", ["1", "1600000000", "1600000000000", "2147483640"])
def test_ordinary_numbers_move_the_position(database: SourceDatabase, first: str, key: str) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject", f"CREATE TABLE subject (n int {key}, place int8)"
    )
    syncs = Syncs(database)
    syncs.spec = {**INCREMENTAL, "cursor_field": "place"}
    for number, value in enumerate([int(first), int(first) * 3, int(first) * 5 + 1]):
        insert(database, number, str(value))
        assert syncs.run() == [number]
        assert syncs.run() == []
        assert syncs.state is not None
        assert syncs.state["after"][0] == str(value)


@pytest.mark.parametrize("snapshot", ["whole", "paged"])
def test_one_more_of_equal_rows_without_a_key_arrives(
    database: SourceDatabase, snapshot: str
) -> None:
    database.execute("DROP TABLE IF EXISTS subject", "CREATE TABLE subject (n int, at timestamp)")
    syncs = Syncs(database, snapshot=snapshot)
    for _ in range(2):
        insert(database, 1, "2024-01-01")
    assert syncs.run() == [1, 1]
    assert syncs.run() == []
    insert(database, 1, "2024-01-01")
    assert syncs.run() == [1]
    assert syncs.run() == []
    for number in (1, 2, 3):
        insert(database, number, "2024-01-01")
    insert(database, 4, "2024-01-02")
    assert syncs.run() == [1, 2, 3, 4]
    assert syncs.run() == []


CHANGED_COLUMNS = {
    "a new column": "ALTER TABLE subject ADD later text DEFAULT 'x'",
    "another type": "ALTER TABLE subject ALTER extra TYPE bigint",
    "another name": "ALTER TABLE subject RENAME extra TO other",
    "fewer columns": "ALTER TABLE subject DROP extra",
}


@pytest.mark.sample(3)
@pytest.mark.parametrize("change", CHANGED_COLUMNS)
@pytest.mark.parametrize("snapshot", ["whole", "paged"])
def test_rows_without_a_key_are_recognized_after_their_columns_have_changed(
    database: SourceDatabase, snapshot: str, change: str
) -> None:
    create_subject_without_key(database)
    syncs = Syncs(database, snapshot=snapshot)
    assert syncs.run() == [1, 1, 2, 3]
    database.execute(CHANGED_COLUMNS[change])
    assert syncs.run() == []
    database.execute("INSERT INTO subject (n, at) VALUES (4, '2024-01-01'), (5, NULL)")
    assert syncs.run() == [4, 5]
    database.execute("ALTER TABLE subject ADD last int")
    assert syncs.run() == []


def create_subject_without_key(database: SourceDatabase) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject",
        "CREATE TABLE subject (n int, at timestamp, extra int)",
        "INSERT INTO subject VALUES (1, '2024-01-01'), (1, '2024-01-01'), (2, NULL), (3, 'infinity')",
    )


@pytest.mark.parametrize("at", ["'2024-01-01'", "NULL"])
def test_rows_without_a_key_that_cannot_be_told_from_new_ones_ask_for_a_reset(
    database: SourceDatabase, at: str
) -> None:
    create_subject_without_key(database)
    syncs = Syncs(database)
    syncs.run()
    database.execute(
        "ALTER TABLE subject DROP extra", f"INSERT INTO subject (n, at) VALUES (4, {at})"
    )
    with pytest.raises(ConfigurationError, match="reset the stream"):
        syncs.run()


def test_another_key_with_as_many_columns_asks_for_a_reset(database: SourceDatabase) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject",
        "CREATE TABLE subject (n int PRIMARY KEY, at timestamp, other int NOT NULL UNIQUE)",
        "INSERT INTO subject VALUES (1, '2024-01-01', 10), (2, '2024-01-01', 20)",
    )
    syncs = Syncs(database)
    assert syncs.run() == [1, 2]
    database.execute("ALTER TABLE subject DROP CONSTRAINT subject_pkey, ADD PRIMARY KEY (other)")
    with pytest.raises(ConfigurationError, match="key of the table changed"):
        syncs.run()


def test_a_cursor_field_that_becomes_the_key_goes_on(database: SourceDatabase) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject",
        "CREATE TABLE subject (n int, at timestamp)",
        "INSERT INTO subject VALUES (1, '2024-01-01')",
    )
    syncs = Syncs(database)
    assert syncs.run() == [1]
    database.execute(
        "ALTER TABLE subject ADD PRIMARY KEY (at)", "INSERT INTO subject VALUES (2, '2024-01-02')"
    )
    assert syncs.run() == [2]


@pytest.mark.parametrize("type_name", ["numeric", "float8"])
@pytest.mark.parametrize("page_size", [1, 9])
def test_equal_numbers_of_different_spelling_are_read_once(
    database: SourceDatabase, type_name: str, page_size: int
) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject", f"CREATE TABLE subject (n int PRIMARY KEY, at {type_name})"
    )
    spellings = ["0", "0.00", "-0", "0.0"]
    syncs = Syncs(database)
    syncs.page_size = page_size
    for number, spelling in enumerate(spellings[:3]):
        insert(database, number, spelling)
    assert syncs.run() == [0, 1, 2]
    insert(database, 3, spellings[3])
    assert syncs.run() == [3]
    assert syncs.run() == []


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_a_row_of_the_future_is_not_read_again_after_its_time(
    database: SourceDatabase, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject", f"CREATE TABLE subject (n int {key}, at timestamptz)"
    )
    syncs = Syncs(database)
    insert(database, 1, "2024-01-01")
    insert(database, 2, "now() + interval '5 days'")
    assert syncs.run() == [1, 2]
    later = tuple(
        text.replace("'1 day'", "'9 days'") for text in watermarks.TIME_CONDITIONS["timestamptz"]
    )
    monkeypatch.setitem(watermarks.TIME_CONDITIONS, "timestamptz", later)
    assert syncs.run() == []
    insert(database, 3, "now() + interval '6 days'")
    assert syncs.run() == [3]
    assert syncs.run() == []
    assert syncs.state is not None
    assert "unplaced" not in syncs.state


def test_a_table_with_implausible_values_only_is_read_once(database: SourceDatabase) -> None:
    database.execute("DROP TABLE IF EXISTS subject", "CREATE TABLE subject (n int, at timestamptz)")
    syncs = Syncs(database)
    insert(database, 1, "infinity")
    assert syncs.run() == [1]
    assert syncs.run() == []
    insert(database, 2, "2024-01-01")
    assert syncs.run() == [2]


def test_too_many_implausible_values_are_refused(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermarks, "MAX_UNPLACED", 3)
    database.execute("DROP TABLE IF EXISTS subject", "CREATE TABLE subject (n int, at timestamptz)")
    database.execute("INSERT INTO subject SELECT n, NULL FROM generate_series(1, 4) n")
    with pytest.raises(ContractError, match="Choose a cursor field"):
        Syncs(database).run()


@pytest.mark.parametrize("position", ["infinity", "9999-12-31", "2999-01-01 00:00:00+00"])
def test_a_saved_position_that_hides_later_rows_is_refused(
    database: SourceDatabase, position: str
) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject", "CREATE TABLE subject (n int PRIMARY KEY, at timestamptz)"
    )
    syncs = Syncs(database)
    syncs.state = {"cursor_field": "at", "after": [position, "1"], "ties": []}
    with pytest.raises(ConfigurationError, match="reset the stream"):
        syncs.run()


FILL = "INSERT INTO subject (at) VALUES ('2026-01-01'), ('2026-01-02')"


@pytest.mark.parametrize(
    "change",
    [
        ["TRUNCATE subject RESTART IDENTITY", FILL],
        [
            "DROP TABLE subject CASCADE",
            "CREATE TABLE subject (n serial PRIMARY KEY, at timestamptz)",
            FILL,
        ],
        [
            "CREATE TABLE other (LIKE subject INCLUDING ALL)",
            "DROP TABLE subject CASCADE",
            "ALTER TABLE other RENAME TO subject",
            "INSERT INTO subject VALUES (1, now())",
        ],
    ],
    ids=["truncated", "created anew", "replaced"],
)
def test_a_table_that_begins_again_below_the_position_is_refused_until_it_is_reset(
    database: SourceDatabase, change: list[str]
) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject, other CASCADE",
        "CREATE TABLE subject (n serial PRIMARY KEY, at timestamptz)",
        *[FILL] * 3,
    )
    syncs = Syncs(database)
    syncs.spec = INCREMENTAL | {"cursor_field": "n"}
    assert syncs.run() == [1, 2, 3, 4, 5, 6]
    database.execute(*change)
    with pytest.raises(ConfigurationError, match=r"below the saved position '6'.*reset the stream"):
        syncs.run()
    syncs.state = None
    assert syncs.run() == ([1] if "LIKE" in change[0] else [1, 2])


def test_a_position_that_is_not_of_the_type_of_the_cursor_column_is_refused_with_a_repair(
    database: SourceDatabase,
) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject CASCADE",
        "CREATE TABLE subject (n serial PRIMARY KEY, at timestamptz)",
        FILL,
    )
    syncs = Syncs(database)
    syncs.spec = INCREMENTAL | {"cursor_field": "n"}
    assert syncs.run() == [1, 2]
    assert syncs.state is not None
    syncs.state = {**syncs.state, "after": ["abc"]}
    with pytest.raises(
        ConfigurationError, match=r"'abc' of n is not a value of the type integer.*reset"
    ):
        syncs.run()


def test_a_table_that_is_rewritten_emptied_or_shortened_keeps_its_position(
    database: SourceDatabase,
) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject CASCADE",
        "CREATE TABLE subject (n serial PRIMARY KEY, at timestamptz)",
        FILL,
    )
    syncs = Syncs(database)
    syncs.spec = INCREMENTAL | {"cursor_field": "n"}
    assert syncs.run() == [1, 2]
    for change, new in [
        ("DELETE FROM subject WHERE n = 2", []),  # The same table: its last row was deleted.
        ("TRUNCATE subject", []),
        (FILL, [3, 4]),
        ("ALTER TABLE subject ALTER n TYPE bigint", []),
        ("VACUUM FULL subject", []),
        (FILL, [5, 6]),
    ]:
        database.execute(change)
        assert syncs.run() == new


UUID_4 = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
UUIDS_7 = [f"0190a0c0-000{n}-7000-8000-000000000000" for n in range(1, 4)]
ULIDS = [f"01ARZ3NDEKTSV4RRFFQ69G5FA{n}" for n in range(1, 4)]


@pytest.mark.parametrize(
    ("type_name", "values"),
    [
        ("text", ["abc", "abd"]),
        ("text", ["01/31/2024", "02/01/2024"]),
        ("text", ["2024-01-01T00:00:00+01:00", "2024-01-01T00:00:00+02:00"]),
        ("text", ["2024-01-01", "2024-01-01T10:00"]),
        ("varchar(10)", ["9", "10"]),
        ("uuid", [UUID_4]),
        ("jsonb", []),
        ("boolean", []),
        ("char(3)", []),
        ("int[]", []),
    ],
)
def test_a_cursor_field_that_does_not_sort_by_time_is_refused_with_a_proposal(
    database: SourceDatabase, type_name: str, values: list[str]
) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject",
        f"CREATE TABLE subject (n int, at {type_name}, changed_at timestamptz)",
    )
    for value in values:
        database.execute(f"INSERT INTO subject VALUES (1, '{value}')")
    with pytest.raises(ConfigurationError, match="choose one of: changed_at"):
        Syncs(database).run()
    *_, last_step = source_of(database, "subject", spec=INCREMENTAL).check()
    assert not last_step.ok
    assert "choose one of: changed_at" in last_step.message


@pytest.mark.sample(4)
@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize("snapshot", ["whole", "paged"])
@pytest.mark.parametrize(
    ("type_name", "values", "others"),
    [
        (
            "text",
            [f"2024-01-0{n}T10:00:00Z" for n in range(1, 4)],
            ["", "N/A", "0000-00-00T00:00:00Z", "9999-12-31T00:00:00Z", "2024-01-02", "zzz"],
        ),
        ("varchar(30)", [f"2024-01-0{n} 10:00:00.5+02" for n in range(1, 4)], ["2024-01-09 10:00"]),
        ("text", ULIDS, ["zzz", UUID_4]),
        ("uuid", UUIDS_7, ["ffffffff-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ],
)
def test_text_that_sorts_by_time_is_a_cursor_field(
    database: SourceDatabase,
    type_name: str,
    values: list[str],
    others: list[str],
    snapshot: str,
    key: str,
) -> None:
    database.execute(
        "DROP TABLE IF EXISTS subject", f"CREATE TABLE subject (n int {key}, at {type_name})"
    )
    syncs = Syncs(database, snapshot=snapshot)
    assert syncs.run() == []
    for number in range(10, 10 + len(others) + 2):
        insert(database, number, values[0])
    assert len(syncs.run()) == len(others) + 2
    for number, value in enumerate(others, 100):
        insert(database, number, value)
    insert(database, 2, values[1])
    assert syncs.run() == [2, *range(100, 100 + len(others))]
    insert(database, 3, values[2])
    insert(database, 4, values[1])
    assert syncs.run() == [3, 4]
    assert syncs.run() == []


def test_text_that_is_not_valid_fails_once(
    database: SourceDatabase, engine_postgres: EmbeddedPostgres
) -> None:
    """The server checks the text of a database without an encoding only when it is read."""
    database.execute(
        "CREATE DATABASE raw ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    )
    with psycopg.connect(engine_postgres.url("raw"), autocommit=True) as admin:
        admin.execute(
            "CREATE TABLE subject AS SELECT convert_from('\\xff61'::bytea, 'SQL_ASCII') AS v"
        )
        admin.execute("GRANT SELECT ON subject TO source_reader")
    with pytest.raises(SourceError, match="could not compute or convert") as raised:
        make_source("postgres", {**database.config, "database": "raw"}, "subject").get()
    assert not raised.value.retryable
    assert "invalid byte sequence" in raised.value.evidence[0]


def test_a_view_that_divides_by_zero_fails_once(database: SourceDatabase) -> None:
    database.execute(
        "DROP VIEW IF EXISTS broken",
        "CREATE VIEW broken AS SELECT 1 / (n - 2) AS v FROM generate_series(1, 3) n",
    )
    with pytest.raises(SourceError, match="could not compute") as raised:
        read_stream(source_of(database, "broken", page_size=1))
    assert not raised.value.retryable
    assert "division by zero" in raised.value.evidence[0]


def test_a_materialized_view_without_data_fails_once(database: SourceDatabase) -> None:
    database.execute(
        "DROP MATERIALIZED VIEW IF EXISTS unfilled",
        "CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS v WITH NO DATA",
    )
    with pytest.raises(SourceError, match="in its present state") as raised:
        read_stream(source_of(database, "unfilled"))
    assert not raised.value.retryable
    assert "has not been populated" in raised.value.evidence[0]


DOCUMENTED = re.findall(
    r"^\| `(.+?)` \| `(.+?)` \| (\w+) \| `(.+?)` \|$",
    (ROOT / "docs/reference/what-arrives.md")
    .read_text()
    .partition("## PostgreSQL")[2]
    .partition("\n## ")[0],
    re.MULTILINE,
)


@pytest.mark.parametrize(("type_name", "value", "column_type", "text"), DOCUMENTED)
def test_a_value_arrives_as_documented(
    database: SourceDatabase, type_name: str, value: str, column_type: str, text: str
) -> None:
    create_values(database, type_name, [value])
    series = source_of(database, "subject").get().frame["v"]
    assert column_of(series.dtype).type == column_type
    assert as_text(series).to_list() == [text]


def test_the_documentation_has_examples() -> None:
    assert len(DOCUMENTED) > 25
