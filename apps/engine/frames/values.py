"""Convert a column of Python values to one typed series, without losing a value."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
import polars as pl

from apps.engine.frames.columns import (
    DECIMAL_DIGITS,
    MAX_EXACT_INTEGER,
    NULL,
    STRING,
    Column,
    ColumnType,
    as_text,
)

TypedSeries = tuple[pl.Series, Column]

_NESTED_TYPES = {list, dict, tuple}
_BUILTIN_TYPES = {
    bool,
    int,
    float,
    str,
    Decimal,
    date,
    datetime,
    time,
    timedelta,
    bytes,
    UUID,
} | _NESTED_TYPES
_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS
# The first and the last value of dates (True) and of timestamps (False). Most databases cannot store other years.
_CALENDAR_RANGES = {
    True: (date(1, 1, 1), date(9999, 12, 31)),
    False: (
        datetime.fromisoformat("0001-01-01"),
        datetime.fromisoformat("9999-12-31T23:59:59.999999"),
    ),
}


class Unrepresentable(ValueError):
    """No column type, not even text, can represent this value."""


def series_of(name: str, values: Sequence[Any]) -> TypedSeries:
    """Convert the values to a series of the narrowest column type. Raises Unrepresentable or UnicodeError."""
    python_types = set(map(type, values))
    python_types.discard(type(None))
    if not python_types <= _BUILTIN_TYPES:
        values = [to_builtin(value) for value in values]
        python_types = set(map(type, values)) - {type(None)}
    if not python_types:
        return pl.Series(name, values, dtype=pl.Null), NULL
    if python_types <= _NESTED_TYPES:
        return _text_series(name, values, json_text), Column(ColumnType.JSON)
    build = _BUILDERS.get(frozenset(python_types))
    typed_series = build(name, values) if build else None
    return typed_series or (_text_series(name, values, exact_text), STRING)


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
    return max(value.adjusted() + 1, 1), fraction_digits


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
    local_times = series.dt.replace_time_zone(None) if series.dtype != pl.Date() else series
    first, last = _CALENDAR_RANGES[series.dtype == pl.Date()]
    return bool(local_times.is_between(first, last).all())


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
    if dtype.is_nested() or dtype == pl.Object():
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
    digits = max(largest.adjusted() + 1, 1)
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


def _has_whole_microseconds(series: pl.Series) -> bool:
    return bool((series.to_physical() % 1000 == 0).all())


def to_builtin(value: Any) -> Any:
    """Convert an instance of a subclass or of a similar type to the built-in type. Raises Unrepresentable."""
    if value is None or type(value) in _BUILTIN_TYPES:
        return value
    if isinstance(value, Enum):
        return to_builtin(value.value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Set, list, tuple)):
        return list(value)
    if isinstance(value, datetime):  # Test this before date, because every datetime is also a date.
        return datetime.fromisoformat(value.isoformat())
    for base in (int, float, str, bytes, Decimal, date, time, timedelta, UUID):
        if isinstance(value, base):
            return _to_base_type(base, value)
    raise Unrepresentable(f"a value of type {type(value).__name__} has no column type")


def _to_base_type(base: type, value: Any) -> Any:
    if base in (date, time):
        return base.fromisoformat(value.isoformat())
    if base is timedelta:
        return timedelta(value.days, value.seconds, value.microseconds)
    if base is str:
        return str.__str__(value)
    return base(str(value)) if base is UUID else base(value)


def exact_text(value: Any) -> str:
    """Return the exact text of a value, for a column of mixed types. Raises Unrepresentable."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if not math.isnan(value) else "NaN"
    if isinstance(value, int):
        return _integer_text(value)
    if isinstance(value, (list, dict, tuple)):
        return json_text(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(as_text(pl.Series([value], dtype=pl.Duration("us"))).item())
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    return exact_text(to_builtin(value))


def _integer_text(value: int) -> str:
    try:
        return str(value)
    except ValueError as error:  # Python cannot convert integers of more than 4,300 digits.
        raise Unrepresentable("an integer has too many digits") from error


def json_text(value: Any) -> str:
    """Return the JSON text of a nested value. NaN and infinities become the strings NaN, inf and -inf."""
    try:
        encoded = orjson.dumps(value, default=exact_text, option=_JSON_OPTIONS)
    except orjson.JSONEncodeError:  # integers beyond 64 bits, deep nesting, lone surrogates
        return _standard_json_text(value)
    if b"null" in encoded and _has_non_finite(value):
        return _standard_json_text(value)
    return encoded.decode()


def _standard_json_text(value: Any) -> str:
    """Use the `json` module, which is slower, for a value that orjson cannot encode."""
    try:
        encoded = json.dumps(
            _replace_non_finite_floats(value),
            default=exact_text,
            ensure_ascii=False,
            separators=(",", ":"),
            allow_nan=False,
        )
        encoded.encode()
    except UnicodeEncodeError:
        raise
    except RecursionError as error:
        raise Unrepresentable("nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise Unrepresentable(str(error)) from error
    return encoded


def _has_non_finite(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_non_finite, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_non_finite, value))


def _replace_non_finite_floats(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return exact_text(value)
    if isinstance(value, dict):
        return {key: _replace_non_finite_floats(inner) for key, inner in value.items()}
    return (
        [_replace_non_finite_floats(inner) for inner in value]
        if isinstance(value, (list, tuple))
        else value
    )
