"""Decoding keeps every value of every record, for any split into batches."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.engine.failures import ContractError
from apps.engine.frames import decoding
from apps.engine.frames.columns import Column, ColumnType
from apps.engine.frames.decoding import StreamSchema

NAIVE_DATETIME = datetime.fromisoformat("2024-01-01")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**70), max_value=2**200),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.text(st.characters(codec="utf-8"), max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
ROWS = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from(["a", "b", "c", ""]), VALUES, max_size=4),
        st.dictionaries(st.sampled_from(["a", "b"]), st.integers() | st.floats(), min_size=1),
        VALUES,
    ),
    max_size=24,
)


def normalize(value: Any) -> str:
    """Return the same text for equal values of different column types."""
    if isinstance(value, (dict, list)):
        value = normalize_json(value)
    if isinstance(value, bool):
        return str(value).lower()
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError:
        return str(value)
    is_short = number.is_finite() and abs(number.adjusted()) < 20
    return str(number.normalize() if is_short else number).lower()


def normalize_json(value: Any) -> str:
    return json.dumps(_normalize_floats(value), ensure_ascii=False, separators=(",", ":"))


def _normalize_floats(value: Any) -> Any:
    if isinstance(value, float):
        return normalize(value)
    if isinstance(value, dict):
        return {key: _normalize_floats(inner) for key, inner in value.items()}
    return [_normalize_floats(inner) for inner in value] if isinstance(value, list) else value


def split_rows(rows: list[Any], cuts: list[int]) -> list[list[Any]]:
    edges = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    return [rows[start:end] for start, end in pairwise(edges)]


def count_rows(
    decoded: list[decoding.DecodedPage], schema: StreamSchema
) -> Counter[tuple[Any, ...]]:
    """Count the rows of all batches, with their values in the form of the final schema."""
    rows: Counter[tuple[Any, ...]] = Counter()
    for page in decoded:
        for row in schema.conform(page.frame).to_dicts():
            cells = ((name, normalize(v)) for name, v in row.items() if v is not None)
            rows[tuple(sorted(cells))] += 1
    return rows


@settings(max_examples=300, deadline=None)
@given(ROWS, st.lists(st.integers(0, 1000), max_size=4))
def test_every_row_is_written_or_rejected_for_any_split_into_batches(
    rows: list[Any], cuts: list[int]
) -> None:
    schema, single_schema = StreamSchema(), StreamSchema()
    pages = []
    for batch in split_rows(rows, cuts):
        page = schema.decode(batch)
        assert page.frame.height + len(page.rejected) == len(batch)
        pages.append(page)
        schema = StreamSchema.from_json(json.loads(json.dumps(schema.to_json())))
    single_page = single_schema.decode(rows)

    assert sum(len(page.rejected) for page in pages) == len(single_page.rejected)
    types = {name: column.type for name, column in schema.columns.items()}
    assert types == {name: column.type for name, column in single_schema.columns.items()}
    if ColumnType.JSON in types.values() or ColumnType.STRING in types.values():
        return  # the next test compares these values
    assert count_rows(pages, schema) == count_rows([single_page], single_schema)


@settings(max_examples=300, deadline=None)
@given(st.lists(SCALARS, min_size=1, max_size=20), st.lists(st.integers(0, 1000), max_size=4))
def test_scalars_keep_their_value_when_the_column_widens(
    values: list[Any], cuts: list[int]
) -> None:
    schema, pages = StreamSchema(), []
    for batch in split_rows([{"row": i, "x": v} for i, v in enumerate(values)], cuts):
        pages.append(schema.decode(batch))
    rejected = [item for page in pages for item in page.rejected]
    values_by_row = {
        row["row"]: row["x"] for page in pages for row in schema.conform(page.frame).to_dicts()
    }

    assert len(values_by_row) + sum(len(page.rejected) for page in pages) == len(values)
    for index, value in values_by_row.items():
        if value is None:
            assert values[index] is None
            continue
        assert normalize(value) == normalize(values[index])
    assert all(sample.reason == "text that is not valid Unicode" for sample in rejected)


@pytest.mark.parametrize(
    ("first", "second", "column_type", "expected"),
    [
        (1, 2.5, ColumnType.NUMBER, [1.0, 2.5]),
        (2**53 + 1, 2.5, ColumnType.STRING, ["9007199254740993", "2.5"]),
        (1, 2**63, ColumnType.DECIMAL, [Decimal(1), Decimal(2**63)]),
        (1, 10**40, ColumnType.STRING, ["1", "1" + "0" * 40]),
        (Decimal("1.50"), Decimal("0.12345"), ColumnType.DECIMAL, None),
        (Decimal("9" * 30), Decimal("0." + "1" * 20), ColumnType.STRING, None),
        (True, 1, ColumnType.STRING, ["true", "1"]),
        (1, "x", ColumnType.STRING, ["1", "x"]),
        (None, 7, ColumnType.INTEGER, [None, 7]),
        (date(2024, 2, 29), datetime.fromisoformat("2024-03-01T05:00"), ColumnType.TIMESTAMP, None),
        (
            datetime(2024, 1, 1, 5, tzinfo=timezone(timedelta(hours=5))),
            datetime(2024, 1, 1, tzinfo=UTC),
            ColumnType.INSTANT,
            [datetime(2024, 1, 1, tzinfo=UTC)] * 2,
        ),
        (datetime(2024, 1, 1, tzinfo=UTC), NAIVE_DATETIME, ColumnType.STRING, None),
        ([1, {"a": None}], {"b": math.nan}, ColumnType.JSON, ['[1,{"a":null}]', '{"b":"NaN"}']),
        ([1], "x", ColumnType.STRING, ["[1]", "x"]),
        (b"\x00\xff", b"", ColumnType.BINARY, [b"\x00\xff", b""]),
        (b"\x00\xff", "x", ColumnType.STRING, ["AP8=", "x"]),
        (time(1, 2, 3), time(4), ColumnType.TIME, [time(1, 2, 3), time(4)]),
        (timedelta(days=1), timedelta(seconds=1), ColumnType.STRING, ["P1D", "PT1S"]),
        (UUID(int=5), UUID(int=6), ColumnType.STRING, [str(UUID(int=5)), str(UUID(int=6))]),
    ],
)
@pytest.mark.parametrize("is_split", [False, True])
def test_two_values_get_the_narrowest_column_type_that_holds_both(
    first: Any, second: Any, column_type: ColumnType, expected: list[Any] | None, is_split: bool
) -> None:
    schema = StreamSchema()
    batches_of_values = [[first], [second]] if is_split else [[first, second]]
    pages = [schema.decode([{"x": value} for value in batch]) for batch in batches_of_values]

    assert schema.columns["x"].type is column_type
    if expected is not None:
        joined = pl.concat([schema.conform(page.frame) for page in pages])
        assert joined["x"].to_list() == expected


def test_an_invalid_row_is_rejected_with_a_reason() -> None:
    rows = [
        {"a": 1},
        "text",
        None,
        {},
        {"a": "\ud800"},
        {"a": ["\udfff"]},
        {"\ud800": 1},
        {7: 1},
        {"a\0": 1},
        {"a": object()},
        {"n" * 2000: 1},
        {"a": 2},
    ]
    page = StreamSchema().decode(rows)

    assert page.frame["a"].to_list() == [1, 2]
    assert [item.reason for item in page.rejected] == [
        "not an object",
        "not an object",
        "the record has no fields",
        "text that is not valid Unicode",
        "text that is not valid Unicode",
        "a field's name cannot be a column name",
        "a field's name cannot be a column name",
        "a field's name cannot be a column name",
        "a value of type object has no column type",
        "a field's name cannot be a column name",
    ]
    assert [item.index for item in page.rejected] == sorted(item.index for item in page.rejected)


def test_only_rows_that_would_add_too_many_columns_are_rejected() -> None:
    rows: list[dict[str, int]] = [{f"c{i}": i} for i in range(decoding.MAX_COLUMNS + 5)]
    schema = StreamSchema()
    page = schema.decode(rows)
    assert (page.frame.shape, len(page.rejected)) == ((1500, 1500), 5)
    with pytest.raises(ContractError):
        schema.conform(pl.DataFrame({"one more": [1]}))


@dataclass
class CountingRecord(Mapping[str, int]):
    """A record that counts how many of its values are read."""

    names: Sequence[str]
    read_count: int = 0

    def __getitem__(self, name: str) -> int:
        self.read_count += 1
        return 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def test_values_of_a_record_with_too_many_columns_are_not_read() -> None:
    """The number of fields is known without reading values. Reading them all would take seconds."""
    wide_record = CountingRecord([f"c{i}" for i in range(decoding.MAX_COLUMNS + 1)])
    narrow_record = CountingRecord(["a", "b"])
    page = StreamSchema().decode([wide_record, narrow_record])
    assert (page.frame.shape, len(page.rejected)) == ((1, 2), 1)
    assert "more than 1,500 columns" in page.rejected[0].reason
    assert wide_record.read_count == 0
    assert narrow_record.read_count > 0, "the reads were not counted"


def test_a_source_record_becomes_a_row_of_its_data() -> None:
    page = StreamSchema().decode([SimpleNamespace(id="1", data={"a": 1}), {"a": 2}])
    assert page.frame["a"].to_list() == [1, 2]


def test_missing_columns_of_a_batch_are_null() -> None:
    schema = StreamSchema()
    schema.decode([{"a": 1}])
    page = schema.decode([{"b": "x"}, {"b": "y", "a": 3}])
    assert page.frame.to_dict(as_series=False) == {"a": [None, 3], "b": ["x", "y"]}
    assert schema.decode([]).frame.schema == page.frame.schema


def test_frames_are_converted_to_the_types_of_the_stream() -> None:
    frame = pl.DataFrame(
        {
            "small": pl.Series([1, 2], dtype=pl.UInt8),
            "huge": pl.Series([2**64 - 1, 0], dtype=pl.UInt64),
            "single": pl.Series([0.5, None], dtype=pl.Float32),
            "kind": pl.Series(["a", "b"], dtype=pl.Categorical),
            "at": pl.Series([NAIVE_DATETIME] * 2, dtype=pl.Datetime("ms", "Europe/Paris")),
            "fine": pl.Series([1, 1000], dtype=pl.Datetime("ns")),
            "far": pl.Series([4_000_000, 0], dtype=pl.Date),
            "price": pl.Series([Decimal("1.5"), None], dtype=pl.Decimal(10, 2)),
            "tags": [[1, 2], None],
            "who": [{"a": 1}, None],
        }
    )
    schema = StreamSchema()
    rows = schema.conform(frame).to_dicts()

    assert {name: column.type.value for name, column in schema.columns.items()} == {
        "small": "integer",
        "huge": "decimal",
        "single": "number",
        "kind": "string",
        "at": "instant",
        "fine": "string",
        "far": "string",
        "price": "decimal",
        "tags": "json",
        "who": "json",
    }
    assert rows[0]["huge"] == Decimal(2**64 - 1)
    assert rows[0]["fine"] == "1970-01-01T00:00:00.000000001"
    assert (rows[0]["tags"], rows[0]["who"]) == ("[1,2]", '{"a":1}')
    assert schema.conform(schema.conform(frame)).to_dicts() == rows


COLUMNS = st.builds(
    Column,
    st.sampled_from(ColumnType),
    scale=st.integers(0, 30),
    digits=st.integers(0, 30),
    exact=st.booleans(),
)


@given(COLUMNS, COLUMNS)
def test_widening_two_columns_gives_the_same_type_in_either_order(
    first: Column, second: Column
) -> None:
    assert first.widen(second).type is second.widen(first).type
    assert Column.from_json(first.to_json()) == first
