"""Compare what has arrived with the source: each table, each value, and each foreign key.

The expected values follow docs/reference/what-arrives.md, and are made from the texts of the source without Drover's code.
"""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID

from tests.databases.moving import Arrived
from tests.databases.source_tables import Column, ForeignKey, Table

INTEGERS = {"int2", "int4", "int8", "oid"}
LIST_ITEMS = {"bool", "int2", "int4", "int8", "float8", "text", "varchar", "bpchar", "name", "uuid", "enum"}  # fmt: skip
TIMESTAMP = re.compile(r"(\d+-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(?:\+00)?( BC)?")
TEXT_TYPES = {"VARCHAR", "JSON", "string", "large_string", "string_view"}


class DoesNotFit(Exception):
    """The value has no typed form in files."""


def require_equal_tables(
    kind: str, expected: Mapping[str, Table], arrived: Mapping[str, Arrived]
) -> None:
    """Fail if a table, a type or a value differs from the source."""
    assert set(arrived) == set(expected), set(arrived) ^ set(expected)
    differing = {
        name: difference
        for name, table in expected.items()
        if (difference := _difference(kind, table, arrived[name]))
    }
    assert not differing, differing


def _difference(kind: str, table: Table, arrived: Arrived) -> Any:
    """Return what differs, or None. The order of rows does not matter."""
    if list(arrived.types) != [column.name for column in table.columns]:
        return f"the columns are {list(arrived.types)}"
    if kind == "postgres":
        types = {column.name: column.type_in_postgres for column in table.columns}
        if types != arrived.types:
            return {
                name: (types[name], own)
                for name, own in arrived.types.items()
                if own != types[name]
            }
        rows = table.rows
    else:
        rows = list(zip(*(_in_files(column, values) for column, values in table.column_values()), strict=True))  # fmt: skip
    expected, found = Counter(map(_comparable, rows)), Counter(map(_comparable, arrived.rows))
    missing, extra = expected - found, found - expected
    if not missing and not extra:
        return None
    return {"missing": sorted(missing, key=repr)[:3], "extra": sorted(extra, key=repr)[:3]}


def _comparable(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(map(_plain, row))


def _plain(value: Any) -> Any:
    """Return the value with its type, so that 1, 1.0, '1' and true differ, and NaN equals itself."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        with localcontext(prec=200):
            return "decimal", format(value.normalize(), "f") if value else "0"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return "instant", value.astimezone(UTC).replace(tzinfo=None).isoformat()
    if isinstance(value, list):
        return "list", tuple(map(_plain, value))
    if isinstance(value, (datetime, date, time)):
        return type(value).__name__, value.isoformat()
    return type(value).__name__, repr(value)


def _in_files(column: Column, values: Sequence[str | None]) -> list[Any]:
    """Return the values that a column has in DuckDB and Parquet: typed if all of them fit the type, else texts."""
    try:
        scale = _scale(column, values)
        return [None if value is None else _typed(column, value, scale) for value in values]
    except DoesNotFit:
        return [None if value is None else _spelled(column, value) for value in values]


def _scale(column: Column, values: Sequence[str | None]) -> int:
    """Return the greatest number of decimals of the values. Raises DoesNotFit if 38 digits do not suffice."""
    if column.base != "numeric" or column.kind != "scalar":
        return 0
    texts = [value for value in values if value is not None]
    if any(not re.fullmatch(r"-?[\d.]+", text) for text in texts):
        raise DoesNotFit
    scale = max((len(text.partition(".")[2]) for text in texts), default=0)
    whole = max((len(text.partition(".")[0].lstrip("-0")) for text in texts), default=0)
    if whole + scale > 38:
        raise DoesNotFit
    return scale


def _typed(column: Column, text: str, scale: int) -> Any:
    if column.kind == "array":
        return _typed_list(column, text)
    if column.kind != "scalar":
        return text
    return _typed_scalar(column.base, text)


def _typed_list(column: Column, text: str) -> Any:
    if column.item not in LIST_ITEMS:
        return text
    items = json.loads(text, parse_int=str, parse_float=str)
    if any(isinstance(item, list) for item in items):
        raise DoesNotFit
    if column.item == "float8" and any(f'"{item}"' in text for item in items):
        raise DoesNotFit
    item_type = "text" if column.item in {"uuid", "enum"} else column.item
    return [None if item is None else item if item in (True, False) else _typed_scalar(item_type, item) for item in items]  # fmt: skip


def _typed_scalar(base: str, text: str) -> Any:
    if base in INTEGERS:
        return int(text)
    if base == "float8":
        return float(text)
    if base == "float4":
        return struct.unpack("f", struct.pack("f", float(text)))[0]
    if base == "numeric":
        return Decimal(text)
    if base == "bool":
        return text == "t"
    if base == "uuid":
        return UUID(text)
    if base == "bytea":
        return bytes.fromhex(text.removeprefix("\\x"))
    if base in {"date", "timestamp", "timestamptz", "time"}:
        return _typed_time(base, text)
    return text


def _typed_time(base: str, text: str) -> Any:
    if base == "time":
        if text.startswith("24"):
            raise DoesNotFit
        return time.fromisoformat(text)
    if not re.match(r"\d{4}-", text) or text.endswith("BC"):
        raise DoesNotFit
    return date.fromisoformat(text) if base == "date" else datetime.fromisoformat(text)


def _spelled(column: Column, text: str) -> str:
    """Return the documented text of a value in a column of texts."""
    parts = TIMESTAMP.fullmatch(text)
    if column.base not in {"timestamp", "timestamptz"} or parts is None:
        return text
    day, clock, fraction, era = parts.groups()
    zone = "+00:00" if column.base == "timestamptz" else ""
    return f"{day}T{clock}.{(fraction or '').ljust(6, '0')}{zone}{era or ''}"


def require_foreign_keys(keys: Sequence[ForeignKey], arrived: Mapping[str, Arrived]) -> None:
    """Fail if a row that has arrived refers to a row that has not."""
    dangling = {key.name: rows for key in keys if (rows := _dangling(key, arrived))}
    assert not dangling, dangling


def _dangling(key: ForeignKey, arrived: Mapping[str, Arrived]) -> list[tuple[Any, ...]]:
    parents = set(_tuples(arrived[key.parent], key.parent_columns))
    children = _tuples(arrived[key.child], key.columns)
    return [row for row in children if None not in row and row not in parents][:3]


def _tuples(table: Arrived, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    positions = [list(table.types).index(name) for name in columns]
    return [tuple(str(row[n]) if row[n] is not None else None for n in positions) for row in table.rows]  # fmt: skip
