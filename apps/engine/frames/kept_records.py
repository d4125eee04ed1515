"""Rejected records as their source has returned them, in a text from which a later run reads exactly the same values.

The records are without the fields that rules drop, and with the replacements of protected values.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

import polars as pl

from apps.engine.frames.json_numbers import JsonNumber
from apps.engine.frames.native import NativeTable
from apps.engine.frames.texts import (
    NESTED_TYPES,
    Unrepresentable,
    exact_text,
    json_text,
    to_builtin,
)
from apps.engine.frames.values import to_column_type
from apps.engine.library import numbers

# Finds a record of a page, by its index, as the source has returned it. None if it cannot be sent again.
FindSource = Callable[[int], "KeptRecord | None"]

BLOCK_ROWS = 64  # rows of a frame that are converted at once
MAX_TEXT = 1 << 20  # characters of one record


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record, and whether its source returns frames, of which the texts may be converted to the types of columns.

    `native` are the native types that the source has declared for its values.
    """

    fields: Mapping[str, Any]
    is_of_frame: bool = False
    native: Mapping[str, str] = field(default_factory=dict)


def find_in_frame(frame: pl.DataFrame, native: NativeTable | None = None) -> FindSource:
    types = _types_of(native)

    @lru_cache(maxsize=1)  # The records are found in order.
    def find_block(number: int) -> list[dict[str, Any]]:
        rows = frame[number * BLOCK_ROWS : (number + 1) * BLOCK_ROWS]
        values = [_values_of(series, types) for series in rows.iter_columns()]
        return [dict(zip(rows.columns, row, strict=True)) for row in zip(*values, strict=True)]

    def find(index: int) -> KeptRecord:
        number, place = divmod(index, BLOCK_ROWS)
        return KeptRecord(find_block(number)[place], is_of_frame=True, native=types)

    return find


def find_in_rows(rows: Sequence[Any], native: NativeTable | None = None) -> FindSource:
    types = _types_of(native)

    def find(index: int) -> KeptRecord | None:
        fields = getattr(rows[index], "data", rows[index])
        return KeptRecord(fields, native=types) if isinstance(fields, Mapping) and fields else None

    return find


def _types_of(native: NativeTable | None) -> dict[str, str]:
    columns = native.columns if native else {}
    return {name: column.type for name, column in columns.items() if column.type}


def _values_of(series: pl.Series, types: Mapping[str, str]) -> list[Any]:
    """Return the values as those of a column. Native lists stay lists."""
    is_list = series.dtype.is_nested() and series.name in types
    return (series if is_list else to_column_type(series)[0]).to_list()


def kept_text(record: KeptRecord) -> str | None:
    """Return the record as text, or None if it is too long or has values that cannot be stored exactly."""
    try:
        values = [[name, *_tagged(value)] for name, value in record.fields.items()]
    except (Unrepresentable, UnicodeError, RecursionError, TypeError, ValueError):
        return None
    if not all(type(name) is str for name in record.fields):
        return None
    content = {"frame": record.is_of_frame, "native": dict(record.native), "values": values}
    text = json.dumps(content)
    return text if len(text) <= MAX_TEXT else None


def read_kept(text: str) -> KeptRecord:
    """Return the record of a text of `kept_text`."""
    content = json.loads(text)
    fields = {name: _READERS[tag](value) for name, tag, value in content["values"]}
    return KeptRecord(fields, content["frame"], content["native"])


def _tagged(value: Any) -> tuple[str, Any]:
    """Return the tag of the type and the value in JSON. Raises Unrepresentable."""
    value = to_builtin(value)
    if value is None or type(value) in {bool, str}:
        return "", value
    if type(value) is bytes:
        return "binary", base64.b64encode(value).decode()
    if type(value) in NESTED_TYPES:
        return "nested", json_text(value)
    if type(value) is float:
        return "float", repr(value)
    return _TAGS[type(value)], exact_text(value)


_TAGS: dict[type, str] = {
    int: "integer",
    JsonNumber: "number",
    Decimal: "decimal",
    datetime: "timestamp",
    date: "date",
    time: "time",
    timedelta: "",  # They arrive as text.
    UUID: "",
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "": lambda value: value,
    "binary": base64.b64decode,
    "nested": numbers.loads,
    "float": float,
    "integer": int,
    "number": JsonNumber,
    "decimal": Decimal,
    "timestamp": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
}
