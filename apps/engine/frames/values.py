"""Convert a column of Python values to one typed series, without losing a value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

import polars as pl

from apps.engine.frames.columns import (
    CALENDAR,
    DECIMAL_DIGITS,
    MAX_EXACT_INTEGER,
    NULL,
    STRING,
    Column,
    ColumnType,
    as_text,
)
from apps.engine.frames.json_numbers import JsonNumber, exact_value
from apps.engine.frames.texts import (
    BUILTIN_TYPES,
    NESTED_TYPES,
    exact_text,
    json_text,
    to_builtin,
)

TypedSeries = tuple[pl.Series, Column]

_NUMBER_TYPES = {int, float, Decimal, JsonNumber}


def series_of(name: str, values: Sequence[Any]) -> TypedSeries:
    """Convert the values to a series of the narrowest column type. Raises Unrepresentable or UnicodeError."""
    values, python_types = _to_builtins(values)
    if not python_types:
        return pl.Series(name, values, dtype=pl.Null), NULL
    if python_types <= NESTED_TYPES:
        return _text_series(name, values, json_text), Column(ColumnType.JSON)
    if JsonNumber in python_types:
        return _json_number_series(name, values, python_types)
    build = _BUILDERS.get(frozenset(python_types))
    typed_series = build(name, values) if build else None
    return typed_series or (_text_series(name, values, exact_text), STRING)


def text_series_of(name: str, values: Sequence[Any]) -> TypedSeries:
    """Convert the values of a text column to their exact text. Raises Unrepresentable or UnicodeError."""
    values, python_types = _to_builtins(values)
    if not python_types:
        return pl.Series(name, values, dtype=pl.Null), NULL
    if python_types <= NESTED_TYPES:
        return _text_series(name, values, json_text), Column(ColumnType.JSON)
    to_text = exact_text if python_types != {str} else str
    return _text_series(name, values, to_text), STRING


def decimal_series_of(name: str, values: Sequence[Any]) -> TypedSeries:
    """Convert the values of a decimal column, in which a float has the digits of its shortest text."""
    values, python_types = _to_builtins(values)
    if not python_types & {float, JsonNumber}:
        return series_of(name, values)
    return series_of(name, [_as_decimal(value) for value in values])


def number_series_of(name: str, values: Sequence[Any]) -> TypedSeries:
    """Convert the values of a column of floats, in which a decimal is a float if the float has the same value."""
    values, python_types = _to_builtins(values)
    if Decimal not in python_types:
        return series_of(name, values)
    return series_of(name, [_as_float(value) for value in values])


def _as_float(value: Any) -> Any:
    is_finite_decimal = type(value) is Decimal and value.is_finite()
    return exact_value(JsonNumber(str(value))) if is_finite_decimal else value


def _as_decimal(value: Any) -> Any:
    if type(value) is JsonNumber:
        value = exact_value(value)
    return Decimal(repr(value)) if type(value) is float and math.isfinite(value) else value


def _to_builtins(values: Sequence[Any]) -> tuple[Sequence[Any], set[type]]:
    """Return the values with built-in types, and these types without that of None."""
    python_types = set(map(type, values))
    python_types.discard(type(None))
    if not python_types <= BUILTIN_TYPES:
        values = [to_builtin(value) for value in values]
        python_types = set(map(type, values)) - {type(None)}
    return values, python_types


def _json_number_series(name: str, values: Sequence[Any], python_types: set[type]) -> TypedSeries:
    if python_types <= _NUMBER_TYPES:
        numbers = [exact_value(value) if type(value) is JsonNumber else value for value in values]
        build = _BUILDERS.get(frozenset(set(map(type, numbers)) - {type(None), str}))
        typed_series = build(name, numbers) if build and str not in map(type, numbers) else None
        if typed_series is not None:
            return typed_series
    return _text_series(name, values, exact_text), STRING


def _text_series(name: str, values: Sequence[Any], to_text: Callable[[Any], str]) -> pl.Series:
    texts = [None if value is None else to_text(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)


def _build_booleans(name: str, values: Sequence[Any]) -> TypedSeries:
    return pl.Series(name, values, dtype=pl.Boolean), Column(ColumnType.BOOLEAN)


def _build_texts(name: str, values: Sequence[Any]) -> TypedSeries:
    return pl.Series(name, values, dtype=pl.String), STRING


def _build_floats(name: str, values: Sequence[Any]) -> TypedSeries:
    return pl.Series(name, values, dtype=pl.Float64), Column(ColumnType.NUMBER)


def _build_binary(name: str, values: Sequence[Any]) -> TypedSeries:
    return pl.Series(name, values, dtype=pl.Binary), Column(ColumnType.BINARY)


def _build_dates(name: str, values: Sequence[Any]) -> TypedSeries:
    return pl.Series(name, values, dtype=pl.Date), Column(ColumnType.DATE)


def _build_integers(name: str, values: Sequence[Any]) -> TypedSeries | None:
    try:
        series = pl.Series(name, values, dtype=pl.Int64, strict=True)
    except (TypeError, OverflowError):
        return _build_decimals(name, values)
    return series, integer_column(series)


def integer_column(series: pl.Series) -> Column:
    low, high = series.min(), series.max()
    largest = max(abs(low), abs(high)) if isinstance(low, int) and isinstance(high, int) else 0
    return Column(ColumnType.INTEGER, digits=len(str(largest)), exact=largest <= MAX_EXACT_INTEGER)


def _build_numbers(name: str, values: Sequence[Any]) -> TypedSeries | None:
    limit = MAX_EXACT_INTEGER
    if not all(-limit <= value <= limit for value in values if type(value) is int):
        return None
    return pl.Series(name, values, dtype=pl.Float64, strict=True), Column(ColumnType.NUMBER)


def _build_decimals(name: str, values: Sequence[Any]) -> TypedSeries | None:
    scale = digits = 0
    for value in values:
        if value is None:
            continue
        whole_digits, fraction_digits = _count_digits(value)
        digits, scale = max(digits, whole_digits), max(scale, fraction_digits)
        if digits + scale > DECIMAL_DIGITS:
            return None
    decimals = [value if value is None else Decimal(value) for value in values]
    series = pl.Series(name, decimals, dtype=pl.Decimal(DECIMAL_DIGITS, scale), strict=True)
    return series, Column(ColumnType.DECIMAL, scale=scale, digits=digits)


def _count_digits(value: int | Decimal) -> tuple[int, int]:
    """Return the numbers of digits before and after the decimal point.

    NaN, infinities and very large integers count as 99 digits, which is more than a column accepts.
    """
    if isinstance(value, int):
        return (len(str(abs(value))), 0) if abs(value) < 10**DECIMAL_DIGITS else (99, 0)
    if not value.is_finite():
        return 99, 99
    exponent = value.as_tuple().exponent
    fraction_digits = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return _count_whole_digits(value), fraction_digits


def _count_whole_digits(value: Decimal) -> int:
    """Return the number of digits before the decimal point; 0 for 0.5, so that 38 decimals fit."""
    return max(value.adjusted() + 1, 0) if value else 0


def _build_timestamps(name: str, values: Sequence[Any]) -> TypedSeries | None:
    time_zone_flags = {value.tzinfo is not None for value in values if value is not None}
    if len(time_zone_flags) > 1:
        return None
    column_type = ColumnType.INSTANT if time_zone_flags == {True} else ColumnType.TIMESTAMP
    series = pl.Series(name, values, dtype=Column(column_type).dtype)
    return (series, Column(column_type)) if is_in_calendar(series) else None


def _build_dates_and_timestamps(name: str, values: Sequence[Any]) -> TypedSeries | None:
    timestamps = [
        datetime.combine(value, time()) if type(value) is date else value for value in values
    ]
    typed_series = _build_timestamps(name, timestamps)
    if typed_series is None or typed_series[1].type is ColumnType.INSTANT:
        return None
    return typed_series


def _build_times(name: str, values: Sequence[Any]) -> TypedSeries | None:
    if any(value.tzinfo is not None for value in values if value is not None):
        return None
    return pl.Series(name, values, dtype=pl.Time), Column(ColumnType.TIME)


_BUILDERS: dict[Set[type], Callable[[str, Sequence[Any]], TypedSeries | None]] = {
    frozenset({bool}): _build_booleans,
    frozenset({str}): _build_texts,
    frozenset({int}): _build_integers,
    frozenset({float}): _build_floats,
    frozenset({int, float}): _build_numbers,
    frozenset({Decimal}): _build_decimals,
    frozenset({int, Decimal}): _build_decimals,
    frozenset({bytes}): _build_binary,
    frozenset({date}): _build_dates,
    frozenset({datetime}): _build_timestamps,
    frozenset({date, datetime}): _build_dates_and_timestamps,
    frozenset({time}): _build_times,
}


def is_in_calendar(series: pl.Series) -> bool:
    """Whether every date or timestamp is in the years 1 to 9999."""
    values = series.to_physical()  # numbers, because Python cannot represent other years
    low, high = values.min(), values.max()
    if not isinstance(low, int) or not isinstance(high, int):
        return True  # There are only nulls.
    dtype = series.dtype
    bounds = pl.Series(CALENDAR).cast(
        pl.Datetime(dtype.time_unit) if isinstance(dtype, pl.Datetime) else dtype
    )
    first, last = bounds.to_physical().to_list()
    return bool(first <= low and high <= last)


def to_column_type(series: pl.Series) -> TypedSeries:
    """Convert a series of any polars dtype to one of Drover's column types."""
    dtype = series.dtype
    if dtype.is_integer():
        return _to_integer_column(series)
    if dtype.is_float():
        return series.cast(pl.Float64), Column(ColumnType.NUMBER)
    if dtype.is_decimal():
        return _to_decimal_column(series)
    if dtype.is_temporal():
        return _to_temporal_column(series)
    if dtype.is_nested():
        return series_of(series.name, _nested_values(series))
    if dtype == pl.Object():
        return series_of(series.name, series.to_list())
    if dtype in (pl.Categorical, pl.Enum):
        return series.cast(pl.String), STRING
    if dtype == pl.Boolean():
        return series, Column(ColumnType.BOOLEAN)
    if dtype == pl.Binary():
        return series, Column(ColumnType.BINARY)
    return series, NULL if dtype == pl.Null() else STRING


def _to_integer_column(series: pl.Series) -> TypedSeries:
    integers = series.cast(pl.Int64, strict=False)
    if integers.null_count() == series.null_count():
        return integers, integer_column(integers)
    return series_of(series.name, series.to_list())


def _to_decimal_column(series: pl.Series) -> TypedSeries:
    dtype = series.dtype
    scale = dtype.scale if isinstance(dtype, pl.Decimal) else 0
    largest = max(
        (Decimal(str(v)).copy_abs() for v in (series.min(), series.max()) if v is not None),
        default=Decimal(0),
    )
    digits = _count_whole_digits(largest)
    if digits + scale > DECIMAL_DIGITS:
        return series.cast(pl.String), STRING
    column = Column(ColumnType.DECIMAL, scale=scale, digits=digits)
    return series.cast(column.dtype), column


def _to_temporal_column(series: pl.Series) -> TypedSeries:
    dtype = series.dtype
    if dtype == pl.Duration or (dtype == pl.Time() and not _has_whole_microseconds(series)):
        return as_text(series), STRING
    if dtype == pl.Time():
        return series, Column(ColumnType.TIME)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_unit == "ns" and not _has_whole_microseconds(series):
            return as_text(series), STRING
        column_type = ColumnType.INSTANT if dtype.time_zone else ColumnType.TIMESTAMP
        series = series.cast(Column(column_type).dtype)
    else:
        column_type = ColumnType.DATE
    return (series, Column(column_type)) if is_in_calendar(series) else (as_text(series), STRING)


def _nested_values(series: pl.Series) -> list[Any]:
    """Return the values of a nested series. A time that Python cannot represent exactly becomes text."""
    physical = _without_times(series.dtype)
    if physical == series.dtype:
        return series.to_list()
    convert = partial(_with_times, dtype=series.dtype)
    return [convert(value) for value in series.cast(physical).to_list()]


def _without_times(dtype: Any) -> Any:
    """Return the nested dtype with integers instead of times."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct([pl.Field(f.name, _without_times(f.dtype)) for f in dtype.fields])
    if isinstance(dtype, pl.Array):
        return pl.Array(_without_times(dtype.inner), dtype.size)
    if isinstance(dtype, pl.List):
        return pl.List(_without_times(dtype.inner))
    return pl.Int64() if dtype.is_temporal() else dtype


def _with_times(value: Any, dtype: Any) -> Any:
    if value is None:
        return None
    if isinstance(dtype, pl.Struct):
        return {f.name: _with_times(value[f.name], f.dtype) for f in dtype.fields}
    if isinstance(dtype, (pl.List, pl.Array)):
        return [_with_times(inner, dtype.inner) for inner in value]
    return _nested_time(value, dtype) if dtype.is_temporal() else value


def _nested_time(value: int, dtype: pl.DataType) -> Any:
    typed = pl.Series([value], dtype=pl.Int64)
    physical = typed.cast(pl.Int32) if dtype == pl.Date() else typed
    return to_column_type(physical.cast(dtype))[0].item()


def _has_whole_microseconds(series: pl.Series) -> bool:
    return bool((series.to_physical() % 1000 == 0).all())
