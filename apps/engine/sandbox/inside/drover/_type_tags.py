"""Encode and decode columns whose types JSON lacks. Their values are sent as text, with the name of the type.

`apps.engine.sandbox.type_tags` does the same outside of the sandbox.
"""

from __future__ import annotations

import base64
import datetime
import decimal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]

TAGS: dict[type, str] = {
    datetime.datetime: "timestamp",
    datetime.date: "date",
    datetime.time: "time",
    decimal.Decimal: "decimal",
    bytes: "binary",
}
_JSON_TYPES = frozenset({str, int, float, bool, type(None), list, dict})
_PARSERS: dict[str, Callable[[str], Any]] = {
    "timestamp": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "decimal": decimal.Decimal,
    "binary": base64.b64decode,
}


def column_tags(rows: Sequence[Row]) -> dict[str, str]:
    """Return the type tag of each column whose values, except None, all have the same type that JSON lacks."""
    tags: dict[str, str] = {}
    for row in rows:
        if not _JSON_TYPES.issuperset(map(type, row.values())):
            tags.update({name: TAGS[type(v)] for name, v in row.items() if type(v) in TAGS})
    return {name: tag for name, tag in tags.items() if _has_only_type(rows, name, tag)}


def encode_rows(rows: Sequence[Row], tags: Mapping[str, str]) -> Sequence[Row]:
    """Return the rows with binary columns as base64. orjson encodes the other types."""
    binary_columns = [name for name, tag in tags.items() if tag == "binary"]
    if not binary_columns:
        return rows
    return [
        {**row, **{name: _encode_base64(row.get(name)) for name in binary_columns}} for row in rows
    ]


def decode_rows(rows: Sequence[Row], tags: Mapping[str, str]) -> Sequence[Row]:
    """Convert the tagged columns of rows from JSON back to Python values, in place."""
    for name, tag in tags.items():
        parse = _PARSERS[tag]
        for row in rows:
            value = row.get(name)
            if value is not None:
                row[name] = parse(value)
    return rows


def _has_only_type(rows: Sequence[Row], name: str, tag: str) -> bool:
    values = (row.get(name) for row in rows)
    return all(value is None or TAGS.get(type(value)) == tag for value in values)


def _encode_base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
