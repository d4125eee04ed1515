"""Decode columns of types that JSON lacks: the sandbox sends them as text with the name of their type.

`drover._typed` is the other side of this protocol. Its output is not trusted, so every value is validated.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

Row = dict[str, Any]
LONGEST = 100  # characters of a number or a timestamp


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError from error


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


_READ: dict[str, Callable[[str], Any]] = {
    "timestamp": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": _decimal,
    "binary": _binary,
}
TAGS = frozenset(_READ)
_TAGS: dict[type, str] = {
    datetime: "timestamp",
    date: "date",
    time: "time",
    Decimal: "decimal",
    bytes: "binary",
}


def restore(rows: list[Row], types: Mapping[str, str]) -> None:
    """Convert typed columns in place; text that is not valid for its type stays text."""
    for name, tag in types.items():
        read, longest = _READ[tag], None if tag == "binary" else LONGEST
        for row in rows:
            value = row.get(name)
            if type(value) is str and (longest is None or len(value) <= longest):
                row[name] = _read(read, value)


def _read(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError:
        return text


def tags_of_rows(rows: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Return the types of the columns whose values all have the same type that JSON lacks, or None."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            if type(value) in _TAGS:
                seen.setdefault(name, set()).add(_TAGS[type(value)])
    pure = {name: tags.pop() for name, tags in seen.items() if len(tags) == 1}
    return {name: tag for name, tag in pure.items() if _is_pure(rows, name)}


def _is_pure(rows: Sequence[Mapping[str, object]], name: str) -> bool:
    values = (row.get(name) for row in rows)
    return all(value is None or type(value) in _TAGS for value in values)


def tags_of(frame: pl.DataFrame) -> dict[str, str]:
    """Return the types of a frame's columns that JSON lacks."""
    found = {name: _tag(dtype) for name, dtype in frame.schema.items()}
    return {name: tag for name, tag in found.items() if tag is not None}


def _tag(dtype: pl.DataType) -> str | None:
    if isinstance(dtype, pl.Datetime):
        return "timestamp"
    if dtype.is_decimal():
        return "decimal"
    return {pl.Date: "date", pl.Time: "time", pl.Binary: "binary"}.get(type(dtype))
