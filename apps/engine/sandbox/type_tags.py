"""Decode columns whose types JSON lacks. The sandbox sends their values as text, with the name of the type.

`drover._type_tags` encodes them. The output of the sandbox is not trusted, so every value is validated.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

from apps.engine.library import type_tags

Row = dict[str, Any]
Record = Mapping[str, object]
MAX_TEXT_LENGTH = 100  # characters of a number or a timestamp


def _parse_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError from error


def _parse_binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


_PARSERS: dict[str, Callable[[str], Any]] = {
    "timestamp": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": _parse_decimal,
    "binary": _parse_binary,
}
TAGS = frozenset(_PARSERS)


def decode_rows(rows: list[Row], types: Mapping[str, str]) -> None:
    """Convert typed columns in place. Text that is not valid for its type is not converted."""
    for name, tag in types.items():
        parse, max_length = _PARSERS[tag], None if tag == "binary" else MAX_TEXT_LENGTH
        for row in rows:
            value = row.get(name)
            if type(value) is str and (max_length is None or len(value) <= max_length):
                row[name] = _parse_or_keep(parse, value)


def _parse_or_keep(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        return text


def tag_rows(rows: Sequence[Record]) -> tuple[Sequence[Record], dict[str, str]]:
    """Return the type tag of each column whose values, except None, all have the same type that JSON lacks.

    In the returned rows, values of such types in other columns are their exact text.
    """
    tags, mixed_columns = type_tags.column_tags(rows)
    return type_tags.encode_rows(rows, {}, mixed_columns), tags


def tags_of_frame(frame: pl.DataFrame) -> dict[str, str]:
    """Return the type tag of each column of the frame whose type JSON lacks."""
    tags = {name: _tag_of_dtype(dtype) for name, dtype in frame.schema.items()}
    return {name: tag for name, tag in tags.items() if tag is not None}


def _tag_of_dtype(dtype: pl.DataType) -> str | None:
    if isinstance(dtype, pl.Datetime):
        return "timestamp"
    if dtype.is_decimal():
        return "decimal"
    return {pl.Date: "date", pl.Time: "time", pl.Binary: "binary"}.get(type(dtype))
