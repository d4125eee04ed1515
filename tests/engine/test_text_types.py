"""The type of a column of texts is decided over all values, and every text can be written back."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.engine.frames.columns import Column, ColumnType
from apps.engine.frames.text_types import TextColumn, fit_texts


def series(*texts: str | None) -> pl.Series:
    return pl.Series("c", texts, dtype=pl.String)


def decide(*texts: str | None, pieces: int = 1) -> Column:
    column = TextColumn()
    for start in range(pieces):
        column.add(series(*texts[start::pieces]))
    return column.column


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "-2", None, "0"], "integer"),
        (["9223372036854775807", "-9223372036854775808"], "integer"),
        (["9223372036854775807", "9223372036854775808"], "decimal 0"),
        (["1" * 38], "decimal 0"),
        (["1" * 39], "string"),
        (["1", "007"], "string"),
        (["+1"], "string"),
        (["-0"], "string"),
        (["1 "], "string"),
        (["1_000"], "string"),
        (["0x10"], "string"),
        (["\u0661"], "string"),
        (["39", "39.02"], "number"),
        (["39.0", "39.02"], "number"),
        (["39", "39.0"], "string"),
        (["0.1", "-12.25"], "number"),
        (["1.0", "2.0"], "number"),
        (["1.50", "2.25"], "decimal 2"),
        (["1.50", "2"], "string"),
        (["1.50", "1.5"], "string"),
        (["-0.00", "1.25"], "string"),
        (["-0.0"], "string"),
        (["-0.5"], "number"),
        ([".5"], "string"),
        (["1."], "string"),
        (["1e5"], "string"),
        (["1.5", "1E5"], "string"),
        (["7e99999"], "string"),
        (["1.5", "inf"], "string"),
        (["1.5", "nan"], "string"),
        (["NaN"], "string"),
        (["0.1234567890123456"], "number"),
        (["0.12345678901234567"], "decimal 17"),
        (["90071992547409.93", "1234567890123456.7", "9007199254740993.0"], "string"),
        (["90071992547409.93"], "decimal 2"),
        (["9007199254740993", "1.5"], "string"),
        (["9007199254740992", "1.5"], "number"),
        (["1" + "0" * 30, "1.5"], "string"),
        (["0.000001", "0.5"], "number"),
        (["true", "false", None], "boolean"),
        (["true", "TRUE"], "string"),
        (["t"], "string"),
        (["2024-02-28", "0001-01-01", "9999-12-31"], "date"),
        (["2024-02-30"], "string"),
        (["0000-01-01"], "string"),
        (["2024-2-3"], "string"),
        (["2024-02-28 00:00:00", "2024-02-28 23:59:59"], "timestamp"),
        (["2024-02-28T00:00:00.120", "2024-02-28T00:00:00.003"], "timestamp"),
        (["2024-02-28T00:00:00", "2024-02-28 00:00:00"], "string"),
        (["2024-02-28T00:00:00.1", "2024-02-28T00:00:00.12"], "string"),
        (["2024-02-28T00:00:00.1234567"], "string"),
        (["2016-12-31 23:59:60"], "string"),
        (["2024-01-01 24:00:00"], "string"),
        (["2024-02-28T00:00:00Z", "2024-02-28T00:00:00+02:00"], "instant"),
        (["2024-02-28T00:00:00Z", "2024-02-28T00:00:00"], "string"),
        (["0001-01-01T00:00:00+02:00"], "string"),
        (["2024-02-28T00:00:00+25:00"], "string"),
        (["2024-02-28", "2024-02-28 00:00:00"], "string"),
        (["", "1"], "string"),
        (["1", ""], "string"),
        ([None], "null"),
        ([], "null"),
    ],
)
def test_a_column_has_a_type_only_if_every_text_is_written_as_the_type_is_written(
    texts: list[str | None], expected: str
) -> None:
    kind, _, scale = expected.partition(" ")
    for pieces in (1, 2, 3):
        column = decide(*texts, pieces=pieces)
        assert (column.type, column.scale) == (ColumnType(kind), int(scale or 0))


CELLS = st.one_of(
    st.none(),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.decimals(places=2, allow_nan=False).map(str),
    st.text("0123456789.-+eTZ: ", max_size=20),
    st.datetimes().map(str),
    st.dates().map(str),
)


def written(series: pl.Series, column: Column, texts: list[str]) -> list[str]:
    """Write typed values as texts. For numbers, whole numbers get `.0` if the column has it."""
    if column.type is ColumnType.NUMBER:
        has_point_zero = any(text.endswith(".0") for text in texts)
        plain = [format(Decimal(repr(value)), "f") for value in series.to_list()]
        return [text if has_point_zero else text.removesuffix(".0") for text in plain]
    if column.type is ColumnType.BOOLEAN:
        return ["true" if value else "false" for value in series.to_list()]
    if column.type in (ColumnType.TIMESTAMP, ColumnType.INSTANT):
        return texts  # Their spelling is one of several; the value is compared by the caller.
    return series.cast(pl.String).to_list()


@settings(deadline=None, max_examples=300)
@given(st.lists(CELLS, max_size=5))
def test_a_decided_type_writes_every_text_back_whatever_the_pieces(texts: list[str | None]) -> None:
    column = decide(*texts)
    assert all(decide(*texts, pieces=pieces) == column for pieces in (2, 3))
    fitted = fit_texts(series(*texts), column)
    assert not fitted.misfits.any()
    assert fitted.values.is_null().to_list() == [text is None for text in texts]
    values = [text for text in texts if text is not None]
    assert written(fitted.values.drop_nulls(), column, values) == values


@pytest.mark.parametrize(
    ("column", "texts", "misfits"),
    [
        (Column(ColumnType.INTEGER), ["1", None, "1.5", "007", "x", "9" * 19], [2, 3, 4, 5]),
        (Column(ColumnType.NUMBER), ["1", "1.5", "1.0", "1.50", "1e5", "nan"], [3, 4, 5]),
        (
            Column(ColumnType.DECIMAL, scale=2),
            ["1.50", "1.5", "-0.00", "9" * 37 + ".00"],
            [1, 2, 3],
        ),
        (Column(ColumnType.BOOLEAN), ["true", "TRUE", None], [1]),
        (Column(ColumnType.DATE), ["2024-02-29", "2023-02-29", "0000-01-01"], [1, 2]),
        (Column(ColumnType.TIMESTAMP), ["2024-02-29 10:00:00", "2024-02-29T10:00:00Z"], [1]),
        (Column(ColumnType.INSTANT), ["2024-02-29 10:00:00Z", "2024-02-29 10:00:00"], [1]),
        (Column(ColumnType.STRING), ["1", "", None], []),
        (Column(ColumnType.NULL), [None, "1"], [1]),
        (Column(ColumnType.BINARY), [None, "1"], [1]),
    ],
)
def test_texts_that_do_not_fit_a_type_are_reported_and_the_others_are_converted(
    column: Column, texts: list[str | None], misfits: list[int]
) -> None:
    fitted = fit_texts(series(*texts), column)
    assert [n for n, misfit in enumerate(fitted.misfits) if misfit] == misfits
    assert fitted.values.dtype == column.dtype
    assert fitted.values.is_null().to_list() == [
        text is None or n in misfits for n, text in enumerate(texts)
    ]
