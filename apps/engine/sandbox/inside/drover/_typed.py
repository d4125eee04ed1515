"""Send columns of types that JSON lacks out of the sandbox as text with the name of their type.

`apps.engine.sandbox.typed` is the other side of this protocol.
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
_PLAIN = frozenset({str, int, float, bool, type(None), list, dict})
_READ: dict[str, Callable[[str], Any]] = {
    "timestamp": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "decimal": decimal.Decimal,
    "binary": base64.b64decode,
}


def tags(rows: Sequence[Row]) -> dict[str, str]:
    """Return the types of the columns whose values all have the same type that JSON lacks, or None."""
    seen: dict[str, str] = {}
    for row in rows:
        if not _PLAIN.issuperset(map(type, row.values())):
            seen.update({name: TAGS[type(v)] for name, v in row.items() if type(v) in TAGS})
    return {name: tag for name, tag in seen.items() if _is_pure(rows, name, tag)}


def written(rows: Sequence[Row], types: Mapping[str, str]) -> Sequence[Row]:
    """Return the rows with binary columns as base64; orjson encodes the other types itself."""
    binary = [name for name, tag in types.items() if tag == "binary"]
    if not binary:
        return rows
    return [{**row, **{name: _base64(row.get(name)) for name in binary}} for row in rows]


def restored(rows: Sequence[Row], types: Mapping[str, str]) -> Sequence[Row]:
    """Undo `written`, changing the rows in place."""
    for name, tag in types.items():
        read = _READ[tag]
        for row in rows:
            value = row.get(name)
            if value is not None:
                row[name] = read(value)
    return rows


def _is_pure(rows: Sequence[Row], name: str, tag: str) -> bool:
    values = (row.get(name) for row in rows)
    return all(value is None or TAGS.get(type(value)) == tag for value in values)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
