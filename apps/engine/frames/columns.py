"""Drover's column types, and rules by which two types widen to a type that can store every value of both.

    null -> anything
    integer -> number -> string      integer -> decimal -> string
    date -> timestamp -> string      everything else -> string

Integers beyond +-2**53 never become floats, decimals never exceed 38 digits, and a timestamp never loses its time
zone. A column that would break one of these rules becomes a string column with the exact text of the values.
Nested lists and objects become columns of JSON text. A column whose type is pinned only becomes a type that stores
every earlier value with the same text or number (`Column.accept`). A column of a native type (`native.py`) stays what the
source has declared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal, NotRequired, TypedDict

import polars as pl

MAX_EXACT_INTEGER = 2**53  # floats represent every integer from -2**53 to 2**53 exactly
DECIMAL_DIGITS = 38  # the precision of 128-bit decimals

# The first and the last timestamp. Most databases cannot store other years.
CALENDAR = (
    datetime.fromisoformat("0001-01-01"),
    datetime.fromisoformat("9999-12-31T23:59:59.999999"),
)

FieldType = Literal["string", "integer", "number", "boolean", "timestamp", "date", "json"]


class ColumnType(StrEnum):
    """The type of a column. `null` means that the column has had no values yet."""

    NULL = "null"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    DECIMAL = "decimal"
    STRING = "string"
    JSON = "json"
    DATE = "date"
    TIMESTAMP = "timestamp"  # without time zone
    INSTANT = "instant"  # with time zone, stored in UTC
    TIME = "time"
    BINARY = "binary"
    LIST = "list"  # the pinned type of a column of lists
    NATIVE = "native"  # of the type `Column.native`, which the source has declared


DTYPES: dict[ColumnType, pl.DataType] = {
    ColumnType.NULL: pl.Null(),
    ColumnType.BOOLEAN: pl.Boolean(),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.NUMBER: pl.Float64(),
    ColumnType.STRING: pl.String(),
    ColumnType.JSON: pl.String(),
    ColumnType.DATE: pl.Date(),
    ColumnType.TIMESTAMP: pl.Datetime("us"),
    ColumnType.INSTANT: pl.Datetime("us", "UTC"),
    ColumnType.TIME: pl.Time(),
    ColumnType.BINARY: pl.Binary(),
    ColumnType.LIST: pl.Null(),  # as long as the source has not declared the type of the items
}

FIELD_TYPES: dict[ColumnType, FieldType] = {
    ColumnType.BOOLEAN: "boolean",
    ColumnType.INTEGER: "integer",
    ColumnType.NUMBER: "number",
    ColumnType.DECIMAL: "number",
    ColumnType.JSON: "json",
    ColumnType.DATE: "date",
    ColumnType.TIMESTAMP: "timestamp",
    ColumnType.INSTANT: "timestamp",
}

# The dtypes of native types. All others are texts, besides decimals and lists.
_NATIVE_DTYPES: dict[str, pl.DataType] = {
    **dict.fromkeys(("int16", "smallint"), pl.Int16()),
    **dict.fromkeys(("int32", "integer"), pl.Int32()),
    **dict.fromkeys(("bigint", "oid"), pl.Int64()),
    "float32": pl.Float32(),
}
_ITEM_DTYPES: dict[str, pl.DataType] = {
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "float64": pl.Float64(),
    "boolean": pl.Boolean(),
    "text": pl.String(),
}
_LIST = re.compile(r"list\((\w+)\)")
_DECIMAL = re.compile(r"(decimal|numeric)\((\d+),(-?\d+)\)")

# Types whose values have the same text in every destination, so that a column with stored values may become text.
_TYPES_OF_ONE_TEXT = frozenset(
    {
        ColumnType.NULL,
        ColumnType.BOOLEAN,
        ColumnType.INTEGER,
        ColumnType.STRING,
        ColumnType.JSON,
        ColumnType.DATE,
        ColumnType.BINARY,
    }
)
_WIDENINGS_OF_PINNED_TYPES = frozenset(
    {
        (ColumnType.INTEGER, ColumnType.DECIMAL),
        (ColumnType.INTEGER, ColumnType.NUMBER),
        (ColumnType.JSON, ColumnType.STRING),
    }
)
_NAMES_OF_TYPES = {
    ColumnType.STRING: "text",
    ColumnType.TIMESTAMP: "timestamp without time zone",
    ColumnType.INSTANT: "timestamp with time zone",
}


class ColumnJson(TypedDict):
    type: str
    scale: int
    digits: int
    exact: bool
    native: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Column:
    """The type of a column, and facts about its values so far, which decide how the column may widen.

    For integers and decimals, `digits` and `scale` are the greatest numbers of digits before and after the decimal
    point. `exact` is false if the column has had an integer beyond MAX_EXACT_INTEGER. `native` is the native type.
    """

    type: ColumnType
    scale: int = 0
    digits: int = 0
    exact: bool = True
    native: str = ""

    @classmethod
    def of_native_type(cls, native: str) -> Column:
        return (
            cls(ColumnType.BINARY) if native == "binary" else cls(ColumnType.NATIVE, native=native)
        )

    @property
    def dtype(self) -> pl.DataType:
        if self.type is ColumnType.NATIVE:
            return dtype_of_native(self.native)
        if self.type is ColumnType.DECIMAL:
            return pl.Decimal(DECIMAL_DIGITS, self.scale)
        return DTYPES[self.type]

    @property
    def field_type(self) -> FieldType:
        return FIELD_TYPES.get(self.type, "string")

    def widen(self, other: Column) -> Column:
        """Return the narrowest column that can store every value of both columns."""
        if self.type is ColumnType.NULL:
            return other
        if other.type is ColumnType.NULL or self == other:
            return self
        if ColumnType.NATIVE in {self.type, other.type}:
            return self.plain.widen(other.plain)
        combined = replace(
            self,
            scale=max(self.scale, other.scale),
            digits=max(self.digits, other.digits),
            exact=self.exact and other.exact,
        )
        return _column_for_types(combined, {self.type, other.type})

    def accept(self, other: Column) -> Column | None:
        """Return the column that also stores the values of `other` if this column's type is pinned.

        None if the earlier values would be stored as values of another kind.
        """
        if ColumnType.NATIVE in {self.type, other.type}:
            return self.plain.accept(other.plain)
        wider = self.widen(other)
        may_change = self.type is ColumnType.NULL or wider.type is self.type
        if may_change or (self.type, wider.type) in _WIDENINGS_OF_PINNED_TYPES:
            return wider
        return None

    def respells_as(self, wider: Column) -> bool:
        """Whether stored values may get another text if the column becomes the wider column."""
        if self.type is ColumnType.NATIVE:
            return wider.type is not ColumnType.NATIVE
        return wider.type is ColumnType.STRING and self.type not in _TYPES_OF_ONE_TEXT

    @property
    def plain(self) -> Column:
        """The column of Drover's own type for the values of a native type."""
        return _plain_column(self.native) if self.type is ColumnType.NATIVE else self

    @property
    def declared_type(self) -> str:
        """The name by which a source can declare the type of this column; empty if it cannot."""
        return "binary" if self.type is ColumnType.BINARY else self.native

    @property
    def type_name(self) -> str:
        """The name of the type in messages."""
        return _NAMES_OF_TYPES.get(self.type, self.type.value)

    def to_json(self) -> ColumnJson:
        value: ColumnJson = {
            "type": self.type.value,
            "scale": self.scale,
            "digits": self.digits,
            "exact": self.exact,
        }
        return {**value, "native": self.native} if self.native else value

    @classmethod
    def from_json(cls, value: ColumnJson) -> Column:
        return cls(
            *(ColumnType(value["type"]), value["scale"], value["digits"], value["exact"]),
            native=value.get("native", ""),
        )


STRING = Column(ColumnType.STRING)
NULL = Column(ColumnType.NULL)

_PLAIN_COLUMNS: dict[str, Column] = {
    **dict.fromkeys(
        ("int16", "int32", "smallint", "integer", "oid"), Column(ColumnType.INTEGER, digits=10)
    ),
    "bigint": Column(ColumnType.INTEGER, digits=19, exact=False),
    **dict.fromkeys(("float32", "real", "double precision"), Column(ColumnType.NUMBER)),
    "boolean": Column(ColumnType.BOOLEAN),
    "numeric": Column(ColumnType.DECIMAL),
    "date": Column(ColumnType.DATE),
    "timestamp without time zone": Column(ColumnType.TIMESTAMP),
    "timestamp with time zone": Column(ColumnType.INSTANT),
    "time without time zone": Column(ColumnType.TIME),
    "bytea": Column(ColumnType.BINARY),
}


def dtype_of_native(native: str) -> pl.DataType:
    """Return the dtype of a column with this native type."""
    if item := _LIST.fullmatch(native):
        return pl.List(_ITEM_DTYPES[item[1]])
    decimal = _DECIMAL.fullmatch(native)
    if decimal and decimal[1] == "decimal":
        return pl.Decimal(int(decimal[2]), int(decimal[3]))
    return _NATIVE_DTYPES.get(native, pl.String())


def _plain_column(native: str) -> Column:
    if _LIST.fullmatch(native):
        return Column(ColumnType.LIST)
    if decimal := _DECIMAL.fullmatch(native):
        digits, scale = int(decimal[2]), max(int(decimal[3]), 0)
        is_decimal = digits <= DECIMAL_DIGITS
        return Column(ColumnType.DECIMAL, scale, digits - scale) if is_decimal else STRING
    without_precision = re.sub(r"\(\d+\)", "", native)
    return _PLAIN_COLUMNS.get(without_precision, STRING)


def _column_for_types(combined: Column, types: set[ColumnType]) -> Column:
    if types <= {ColumnType.INTEGER, ColumnType.DECIMAL} and ColumnType.DECIMAL in types:
        fits_decimal = combined.digits + combined.scale <= DECIMAL_DIGITS
        return replace(combined, type=ColumnType.DECIMAL) if fits_decimal else STRING
    if len(types) == 1:
        return combined
    if types == {ColumnType.INTEGER, ColumnType.NUMBER} and combined.exact:
        return replace(combined, type=ColumnType.NUMBER)
    if types == {ColumnType.DATE, ColumnType.TIMESTAMP}:
        return replace(combined, type=ColumnType.TIMESTAMP)
    return STRING


def column_of(dtype: pl.DataType) -> Column:
    """Return the column for a dtype that `Column.dtype` returns. JSON text counts as a string.

    Raises TypeError for any other dtype.
    """
    if isinstance(dtype, pl.Decimal):
        return Column(ColumnType.DECIMAL, scale=dtype.scale)
    for column_type, column_dtype in DTYPES.items():
        if dtype == column_dtype:
            return Column(column_type)
    raise TypeError(f"no column type has the dtype {dtype}")


def cast(series: pl.Series, target: pl.DataType) -> pl.Series:
    """Cast to a wider type. Raises polars.exceptions.InvalidOperationError if a value does not fit."""
    if series.dtype == target:
        return series
    if series.dtype == pl.Float32() and target == pl.Float64():
        series = series.cast(pl.String)  # The number with the same shortest text.
    if target != pl.String() or series.dtype == pl.Null():
        return series.cast(target, strict=True)
    return as_text(series)


class InexactCast(Exception):
    """The conversion would change a value of the column, so the column must become text."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def cast_exactly(series: pl.Series, target: pl.DataType) -> pl.Series:
    """Cast a series that may have values that do not fit the target type. Raises InexactCast for such a value."""
    try:
        converted = cast(series, target)
    except pl.exceptions.PolarsError as error:
        raise InexactCast(series.name) from error
    if series.dtype.is_integer() and target == pl.Float64():
        integers = series.cast(pl.Int64)  # The limit is no value of smaller types.
        inexact = (integers > MAX_EXACT_INTEGER) | (integers < -MAX_EXACT_INTEGER)
        if inexact.any():
            raise InexactCast(series.name)
    return converted


def fit_frame(frame: pl.DataFrame, target: pl.Schema) -> pl.DataFrame:
    """Return the frame with the columns of the target. Missing columns are filled with nulls. Raises InexactCast."""
    return pl.DataFrame(
        {
            name: cast_exactly(frame[name], dtype)
            if name in frame.columns
            else pl.Series([None], dtype=dtype).new_from_index(0, frame.height)
            for name, dtype in target.items()
        }
    )


def as_text(series: pl.Series) -> pl.Series:
    """Convert values to their exact text, which does not depend on the other values.

    Times become ISO 8601, booleans `true` or `false`, bytes base64, and floats the shortest text with the same value.
    Timestamps have six decimals, and nine if a value needs them. Other times have six decimals if a value needs them.
    """
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        return _timestamps_as_text(series, dtype)
    if dtype == pl.Time():
        return series.dt.to_string("%H:%M:%S%.9f").str.replace(r"\.000000000$|000$", "")
    if dtype.is_temporal():
        return series.dt.to_string("iso:strict")
    if dtype == pl.Binary():
        return series.bin.encode("base64")
    if dtype.is_nested():
        return _lists_as_text(series)
    return series.cast(pl.String)


def _lists_as_text(series: pl.Series) -> pl.Series:
    from apps.engine.frames.texts import json_text

    texts = [None if value is None else json_text(value) for value in series.to_list()]
    return pl.Series(series.name, texts, dtype=pl.String)


def _timestamps_as_text(series: pl.Series, dtype: pl.Datetime) -> pl.Series:
    zone = "+00:00" if dtype.time_zone is not None else ""
    if zone:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if dtype.time_unit == "ms":
        series = series.dt.cast_time_unit("us")
    texts = _format_timestamps(series)
    if dtype.time_unit == "ns":
        texts = texts.str.replace(r"(\.[0-9]{6})000$", "${1}")
    return texts + zone if zone else texts


def _format_timestamps(series: pl.Series) -> pl.Series:
    """Return ISO 8601 with all decimals. Arrow needs a tenth of the time of polars, but knows no years after 9999."""
    from pyarrow import compute, string

    has_nanoseconds = series.dtype == pl.Datetime("ns")  # Their years are 1677 to 2262.
    if not has_nanoseconds and not series.is_between(*CALENDAR).all():
        return series.dt.to_string("iso:strict")
    texts = pl.from_arrow(compute.cast(series.to_arrow(), string()))
    assert isinstance(texts, pl.Series)  # noqa: S101 - an array becomes a series
    return texts.alias(series.name).str.replace(" ", "T", literal=True)
