"""Numbers and times are exact, and their types and texts do not depend on how the records are split into pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import duckdb
import orjson
import polars as pl
import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import sql

from apps.engine.destinations.duckdb import types as duckdb_types
from apps.engine.destinations.postgres import types as postgres_types
from apps.engine.frames.columns import Column, ColumnType, as_text
from apps.engine.frames.decoding import StreamSchema
from apps.engine.frames.json_numbers import JsonNumber, have_inexact_numbers, parse_json
from apps.engine.frames.left_out import record_text
from apps.engine.frames.texts import exact_text, json_text
from apps.engine.frames.values import to_column_type
from local.database.postgres import EmbeddedPostgres
from tests.engine.conftest import engine_postgres

__all__ = ["engine_postgres"]

DIGITS = st.text("0123456789", min_size=1, max_size=25)


@st.composite
def number_texts(draw: st.DrawFn) -> str:
    """Return the text of a JSON number."""
    whole = draw(DIGITS).lstrip("0") or "0"
    fraction = f".{draw(DIGITS)}" if draw(st.booleans()) else ""
    exponent = draw(st.sampled_from(["", "", "", "e5", "E+3", "e-7", "e400", "e99999"]))
    return f"{draw(st.sampled_from(['', '-']))}{whole}{fraction}{exponent}"


NUMBERS = st.one_of(
    number_texts(),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str),
).filter(lambda text: text != "-0")  # It is the integer 0.


@given(NUMBERS)
@example("9007199254740993")
@example("1234567890123456.78")
@example("7e99999")
@example("1e-400")
@example("1e99999999999999999999")
@example("1e5")
@example("1.50")
@example("0.1")
@example("18446744073709551616")
def test_a_number_of_json_arrives_with_its_value_and_nested_with_its_text(text: str) -> None:
    record = parse_json(f'{{"v":{text},"n":{{"v":[{text}]}}}}'.encode())
    schema = StreamSchema()
    frame = schema.decode([record]).frame
    assert frame["n"].item() == f'{{"v":[{text}]}}'
    column = schema.columns["v"]
    if column.type is ColumnType.STRING:
        assert frame["v"].item() == text
    elif column.type is ColumnType.NUMBER:
        assert Decimal(repr(frame["v"].item())) == Decimal(text)
    else:
        assert column.type in (ColumnType.INTEGER, ColumnType.DECIMAL)
        assert frame["v"].item() == Decimal(text)
    text_schema = StreamSchema({"v": Column(ColumnType.STRING)})
    assert text_schema.decode([record]).frame["v"].item() == text


@given(st.lists(NUMBERS, max_size=3))
def test_the_fast_parser_is_only_used_if_it_gives_the_same_numbers(texts: list[str]) -> None:
    document = f'{{"v": [{", ".join(texts)}]}}'.encode()
    if have_inexact_numbers([document]) == [False]:
        fast, slow = orjson.loads(document), parse_json(document, exactly=True)
        assert json_text(fast) == json_text(slow)
        assert [exact_text(v) for v in fast["v"]] == [exact_text(v) for v in slow["v"]]


def test_times_and_ids_in_texts_do_not_need_the_slow_parser() -> None:
    record = {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "at": "2024-01-02T03:04:05.123456789Z",
        "amount": 12.5,
        "count": 9007199254740,
        "nested": [1.0, 0.001, -3],
    }
    assert have_inexact_numbers([json.dumps([record]).encode()]) == [False]


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS.map(lambda text: parse_json(text.encode())),
    st.text(max_size=3).filter(lambda text: "\0" not in text),
    st.lists(st.integers(0, 3), max_size=2),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-99, max_value=99),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.datetimes(),
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])),
    st.binary(max_size=3),
)
KINDS = st.one_of(
    st.just(SCALARS),
    st.sampled_from([st.one_of(st.none(), branch) for branch in SCALARS.branches]),
)


@given(
    KINDS.flatmap(lambda values: st.lists(values, min_size=1, max_size=8)),
    st.sets(st.integers(1, 7), max_size=4),
)
@example([JsonNumber("10000000.000000001"), Decimal("0.00")], {1})
@example([JsonNumber("10000000.000000001"), 7, Decimal("0.00")], {1, 2})
@example([JsonNumber("1.50"), Decimal("0.00")], {1})
@example([JsonNumber("7e99999"), Decimal("0.00")], {1})
def test_the_type_and_the_text_of_a_value_do_not_depend_on_the_pages(
    values: list[Any], cuts: set[int]
) -> None:
    rows = [{"row": row, "v": value} for row, value in enumerate(values)]
    whole = StreamSchema()
    expected = whole.decode(rows).frame
    starts = [0, *sorted(cut for cut in cuts if cut < len(rows))]
    pages = [rows[a:b] for a, b in zip(starts, [*starts[1:], len(rows)], strict=True)]
    schema, frames = read_pages(StreamSchema(), pages)
    if schema.respelled:
        schema, frames = read_pages(schema.complete(), pages)
    assert schema.columns["v"].type is whole.columns["v"].type
    arrived = pl.concat([schema.conform(frame) for frame in frames])
    assert arrived["v"].to_list() == expected["v"].to_list()


def read_pages(
    schema: StreamSchema, pages: Sequence[Sequence[Any]]
) -> tuple[StreamSchema, list[pl.DataFrame]]:
    return schema, [schema.decode(page).frame for page in pages]


TYPED = st.one_of(
    st.lists(st.floats(), min_size=1),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.dates(), min_size=1),
    st.lists(st.times(), min_size=1),
    st.lists(st.datetimes(), min_size=1),
    st.lists(st.datetimes(timezones=st.just(UTC)), min_size=1),
    st.lists(st.booleans(), min_size=1),
    st.lists(st.binary(max_size=4), min_size=1),
    st.lists(st.timedeltas(timedelta(-9999), timedelta(9999)), min_size=1),
)


@given(TYPED)
def test_a_typed_value_has_the_same_text_as_the_value_of_python(values: list[Any]) -> None:
    assert as_text(pl.Series(values)).to_list() == [exact_text(value) for value in values]


@given(st.lists(st.datetimes(), min_size=1), st.sampled_from(["ms", "us", "ns"]))
def test_the_text_of_a_timestamp_does_not_depend_on_the_unit_of_its_column(
    values: list[datetime], unit: Any
) -> None:
    whole = [value.replace(microsecond=0, year=2000 + value.year % 100) for value in values]
    texts = as_text(pl.Series(whole, dtype=pl.Datetime(unit, "UTC"))).to_list()
    assert texts == [exact_text(value.replace(tzinfo=UTC)) for value in whole]


def test_a_time_that_python_cannot_represent_keeps_its_digits_in_nested_values() -> None:
    far = pl.Series([datetime.fromisoformat("2024-01-02")]).dt.offset_by("18000y")
    fine = pl.Series([1704164645123456789]).cast(pl.Datetime("ns", "UTC"))
    near = pl.Series([datetime(2024, 1, 2, tzinfo=UTC)])
    nested = pl.DataFrame({"far": far, "fine": fine, "near": near}).to_struct("v")
    texts = to_column_type(nested)[0]
    assert orjson.loads(texts.item()) == {
        "far": "+20024-01-02T00:00:00.000000",
        "fine": "2024-01-02T03:04:05.123456789+00:00",
        "near": "2024-01-02T00:00:00+00:00",
    }
    lists = to_column_type(pl.Series("v", [[date(2024, 1, 2), None], None]))[0]
    assert lists.to_list() == ['["2024-01-02",null]', None]


def test_times_of_mixed_kinds_have_one_spelling() -> None:
    values = [
        datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        datetime.fromisoformat("2024-01-02T03:04:05.5"),
        date(2024, 1, 2),
        time(3, 4, 5, tzinfo=UTC),
        "2016-12-31T23:59:60Z",
        timedelta(days=1, hours=2),
    ]
    assert StreamSchema().decode([{"v": value} for value in values]).frame["v"].to_list() == [
        "2024-01-02T01:04:05.000000+00:00",
        "2024-01-02T03:04:05.500000",
        "2024-01-02",
        "03:04:05+00:00",
        "2016-12-31T23:59:60Z",
        "P1DT2H",
    ]


def test_a_record_that_was_left_out_spells_its_values_as_they_arrive() -> None:
    values = {
        "at": datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        "day": date(2024, 1, 2),
        "span": timedelta(days=1, hours=2),
        "raw": b"\x00\xff",
    }
    text, is_complete = record_text({**values, "odd": object})
    assert is_complete
    kept = json.loads(text)
    assert kept.pop("odd") == "<class 'object'>"
    assert kept == {name: exact_text(value) for name, value in values.items()}


# Pinned types.


def decode_pinned(
    before: Sequence[Any], values: Sequence[Any]
) -> tuple[Column, list[Any], list[str]]:
    """Decode values for a column that was pinned for the values before. Rows and frames of one type must agree."""
    schemas = []
    for _ in range(2):
        earlier = StreamSchema()
        earlier.decode([{"v": value} for value in before])
        schemas.append(StreamSchema.from_json(json.loads(json.dumps(earlier.pin().to_json()))))
    page = schemas[0].decode([{"row": n, "v": value} for n, value in enumerate(values)])
    typed = StreamSchema().decode([{"row": n, "v": value} for n, value in enumerate(values)])
    of_frame = schemas[1].decode_frame(typed.frame)
    if len(set(map(type, values))) == 1:
        assert of_frame.frame["v"].to_list() == page.frame["v"].to_list()
        assert schemas[1].columns["v"] == schemas[0].columns["v"]
    assert page.frame.height + len(page.rejected) == len(values)
    return (
        schemas[0].columns["v"],
        page.frame["v"].to_list(),
        [item.reason for item in page.rejected],
    )


@pytest.mark.parametrize(
    ("before", "values", "expected"),
    [
        ([1], [2, 3], [2, 3]),
        ([1], [2.5, None], [2.5, None]),
        ([1], [Decimal("2.50")], [Decimal("2.50")]),
        ([2**60], [1.5, 2], [2]),
        ([1.5], [2, Decimal("2.50"), Decimal("1234567890123456.78")], [2.0, 2.5]),
        ([1.5], [2**53 + 1, 2], [2.0]),
        ([1.5], [Decimal("NaN"), Decimal("Infinity"), 2], [2.0]),
        ([Decimal("1.50")], [2.5, 3, Decimal("1.234")], [Decimal("2.5"), 3, Decimal("1.234")]),
        ([True], [1, False], [False]),
        ([date(2024, 1, 2)], [datetime(2024, 1, 2, tzinfo=UTC)], []),
        (["a"], [1, 1.5, True, None], ["1", "1.5", "true", None]),
        ([[1]], [[2], "x"], ["[2]", "x"]),
        ([None], [1, "x"], ["1", "x"]),
    ],
)
def test_a_value_fits_a_pinned_type_or_its_record_is_rejected(
    before: list[Any], values: list[Any], expected: list[Any]
) -> None:
    _, arrived, reasons = decode_pinned(before, values)
    assert arrived == expected
    assert len(reasons) == len(values) - len(expected)
    assert all("is pinned as" in reason and "reset the stream" in reason for reason in reasons)


def test_a_text_of_a_typed_source_fits_a_pinned_type_if_its_spelling_is_canonical() -> None:
    schema = StreamSchema({"v": Column(ColumnType.INTEGER)}, pinned=["v"])
    page = schema.decode_frame(pl.DataFrame({"v": ["7", "007", None, "n/a", "-8"]}))
    assert page.frame["v"].to_list() == [7, None, -8]
    assert [item.index for item in page.rejected] == [1, 3]
    assert "the value '007'" in page.rejected[0].reason
    assert [item.record for item in page.rejected] == [{"v": "007"}, {"v": "n/a"}]


def test_the_reason_of_a_rejected_record_shows_only_the_beginning_of_a_long_value() -> None:
    _, _, (reason,) = decode_pinned([1], ["x" * 500])
    assert f"'{'x' * 60}…'" in reason


# The expressions with which databases convert a column of an existing table to text.

FLOATS = [
    *(1.0, -1.0, 0.0, -0.0, 0.1, 123456.789, 1e14, 1e15, 1.5e15, 1e16, 123456789012345680.0, 1e22),
    *(1e-4, 1e-5, 1.5e-5, 1.2345678901234567e-05, 1e-6, 1.5e-7, 1e-10, 5e-324, 1.7976931348623157e308),
    *(float("nan"), float("inf"), float("-inf")),
]  # fmt: skip
TIMES = [time(10), time(10, 0, 0, 500_000), time(0, 0, 0, 5), time(23, 59, 59, 999_999)]
STAMPS = [
    datetime.fromisoformat(text)
    for text in ("0001-01-01", "2024-01-02T03:04:05.000600", "9999-12-31T23:59:00")
]
CONVERTED = [
    pytest.param(ColumnType.NUMBER, FLOATS, id="numbers"),
    pytest.param(ColumnType.TIME, TIMES, id="times"),
    pytest.param(ColumnType.TIMESTAMP, STAMPS, id="timestamps"),
    pytest.param(ColumnType.INSTANT, [s.replace(tzinfo=UTC) for s in STAMPS[1:2]], id="instants"),
    pytest.param(ColumnType.BOOLEAN, [True, False], id="booleans"),
    pytest.param(ColumnType.INTEGER, [-(2**63), 0, 2**63 - 1], id="integers"),
    pytest.param(ColumnType.BINARY, [b"", bytes(range(100))], id="bytes"),
]


@pytest.mark.parametrize(("kind", "values"), CONVERTED)
def test_duckdb_writes_the_same_texts(kind: ColumnType, values: list[Any]) -> None:
    column, text = Column(kind), Column(ColumnType.STRING)
    expression = duckdb_types.widen_expression("v", column, text)
    query = f"select {expression} from (select unnest(?::{duckdb_types.sql_type(column)}[]) as v)"
    with duckdb.connect() as database:
        rows = database.execute(query, [values]).fetchall()
    assert [row[0] for row in rows] == as_text(pl.Series(values)).to_list()


@pytest.mark.parametrize(("kind", "values"), CONVERTED)
def test_postgresql_writes_the_same_texts(
    engine_postgres: EmbeddedPostgres, kind: ColumnType, values: list[Any]
) -> None:
    expression = postgres_types.widen_expression(sql.Identifier("v"), kind, ColumnType.STRING)
    query = sql.SQL("select {} from unnest(%s::{}[]) as t (v)").format(
        expression, sql.SQL(postgres_types.SQL_TYPES[kind])
    )
    with psycopg.connect(engine_postgres.url()) as connection:
        rows = connection.execute(query, [values]).fetchall()
    assert [row[0] for row in rows] == as_text(pl.Series(values)).to_list()
