"""Convert Arrow batches to frames. Every value is exact, or the error names the column that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
from pyarrow import compute

from apps.engine.frames.columns import DECIMAL_DIGITS
from apps.engine.frames.texts import Unrepresentable
from apps.engine.frames.values import series_of
from apps.engine.sources.files.names import column_names
from apps.engine.sources.http.responses import PermanentSourceError

Panic: type[BaseException] = pl.exceptions.PanicException  # It is no Exception.


def to_frame(batch: pa.RecordBatch, label: str) -> pl.DataFrame:
    """Convert a batch to a frame with the same rows. Raises PermanentSourceError for a column that cannot be read."""
    names = column_names(batch.schema.names)
    columns = [
        _to_series(name, array, label) for name, array in zip(names, batch.columns, strict=True)
    ]
    return pl.DataFrame(columns)


def _to_series(name: str, array: pa.Array, label: str) -> pl.Series:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise PermanentSourceError(
            f"{label}: the column {name!r} has a value that is not valid {array.type}",
            evidence=(str(error)[:300],),
        ) from error
    try:
        simple = _simplify(array)
        if simple is None:
            return series_of(name, [_exact_value(value) for value in array.to_pylist()])[0]
        series = pl.from_arrow(simple)
        assert isinstance(series, pl.Series)  # noqa: S101 - an array becomes a series
        return series.alias(name)
    except (
        pa.ArrowException,
        pl.exceptions.PolarsError,
        Panic,
        Unrepresentable,
        ValueError,
    ) as error:
        raise PermanentSourceError(
            f"{label}: the column {name!r} has the type {array.type}, which cannot be read",
            evidence=(f"{type(error).__name__}: {error}"[:300],),
        ) from error


def _simplify(array: pa.Array) -> pa.Array | None:
    """Return the array with a type that polars reads exactly, or None if its values must be converted one by one."""
    kind = array.type
    if isinstance(kind, pa.UuidType):
        return None
    if isinstance(kind, pa.BaseExtensionType):
        return _simplify(array.storage)
    for is_kind, simplify in _SIMPLIFICATIONS:
        if is_kind(kind):
            return simplify(array)
    return None if _needs_conversion(kind) else array


def _simplify_decimals(array: pa.Array) -> pa.Array | None:
    kind = array.type
    if kind.precision > DECIMAL_DIGITS or not 0 <= kind.scale <= DECIMAL_DIGITS:
        return None
    return array.cast(pa.decimal128(DECIMAL_DIGITS, kind.scale))


def _simplify_times(array: pa.Array) -> pa.Array:
    """Return times with zones in UTC, because polars does not know all names of zones. The instants are the same."""
    return array.cast(pa.timestamp(array.type.unit, "UTC")) if array.type.tz else array


_SIMPLIFICATIONS: list[
    tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array | None]]
] = [
    (pa.types.is_decimal, _simplify_decimals),
    (pa.types.is_timestamp, _simplify_times),
    (pa.types.is_date64, lambda array: array.cast(pa.date32())),
    (pa.types.is_float16, lambda array: array.cast(pa.float32())),
    (pa.types.is_dictionary, lambda array: _simplify(array.dictionary_decode())),
    (pa.types.is_run_end_encoded, lambda array: _simplify(compute.run_end_decode(array))),
]


def _needs_conversion(kind: pa.DataType) -> bool:
    """Whether polars cannot read the type, or reads it differently."""
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_decimal(kind):
        return True  # only inside nested types: the others were simplified
    if pa.types.is_interval(kind) or pa.types.is_union(kind) or pa.types.is_run_end_encoded(kind):
        return True
    return any(_needs_conversion(kind.field(index).type) for index in range(kind.num_fields))


def _exact_value(value: Any) -> Any:
    """Return a value that columns know. Decimals of many digits are written without an exponent."""
    if isinstance(value, pa.MonthDayNano):
        seconds, nanoseconds = divmod(abs(value.nanoseconds), 10**9)
        sign = "-" if value.nanoseconds < 0 else ""
        return f"P{value.months}M{value.days}DT{sign}{seconds}.{nanoseconds:09}S"
    if isinstance(value, list):
        return [_exact_value(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _exact_value(inner) for key, inner in value.items()}
    return value
