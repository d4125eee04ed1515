"""Encode and decode columns whose types JSON lacks. Their values are sent as text, with the name of the type.

Outside of the sandbox, `apps.engine.sandbox.type_tags` decodes them, because it must not trust the text.
"""

from __future__ import annotations

import base64
import datetime
import decimal
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from drover._texts import exact_text

Row = dict[str, Any]
Record = Mapping[str, Any]

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


def column_tags(rows: Sequence[Record]) -> tuple[dict[str, str], set[str]]:
    """Return the type tag of each column whose values, except None, all have the same type that JSON lacks.

    Also return the names of the other columns with values of such types.
    """
    tags: dict[str, str] = {}
    for row in rows:
        if not _JSON_TYPES.issuperset(map(type, row.values())):
            tags.update({name: TAGS[type(v)] for name, v in row.items() if type(v) in TAGS})
    single_tags = {name: tag for name, tag in tags.items() if _has_only_type(rows, name, tag)}
    return single_tags, tags.keys() - single_tags.keys()


def encode_rows(
    rows: Sequence[Record], tags: Mapping[str, str], mixed_columns: Collection[str]
) -> Sequence[Record]:
    """Return the rows with binary columns as base64, and with the exact text of values in mixed columns.

    orjson encodes the other types.
    """
    encoded_columns = [name for name, tag in tags.items() if tag == "binary"] + [*mixed_columns]
    if not encoded_columns:
        return rows
    return [
        {**row, **{name: _text_or_value(row[name]) for name in encoded_columns if name in row}}
        for row in rows
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


def _has_only_type(rows: Sequence[Record], name: str, tag: str) -> bool:
    values = (row.get(name) for row in rows)
    return all(value is None or TAGS.get(type(value)) == tag for value in values)


def _text_or_value(value: Any) -> Any:
    return exact_text(value) if type(value) in TAGS else value
