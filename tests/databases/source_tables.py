"""Read tables, their types and their foreign keys from the source, without Drover's code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.engine.sources.conftest import SourceDatabase

SCHEMAS = Path(__file__).parent / "schemas"
SELECT_TABLES = """
SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition ORDER BY c.oid
"""
SELECT_COLUMNS = """
SELECT attname, atttypid, atttypmod FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
SELECT_TYPES = "SELECT oid, typname, typtype::text, typbasetype, typtypmod, typelem, typcategory::text FROM pg_type"
SELECT_FOREIGN_KEYS = """
SELECT k.conname, cn.nspname, c.relname, pn.nspname, p.relname,
  (SELECT array_agg(attname::text ORDER BY n) FROM unnest(k.conkey) WITH ORDINALITY u(a, n)
   JOIN pg_attribute ON attrelid = c.oid AND attnum = a),
  (SELECT array_agg(attname::text ORDER BY n) FROM unnest(k.confkey) WITH ORDINALITY u(a, n)
   JOIN pg_attribute ON attrelid = p.oid AND attnum = a)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND cn.nspname = ANY(%s)
"""
SESSION = (
    "SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601'; SET DateStyle = 'ISO, YMD'; "
    "SET client_encoding = 'UTF8'; SET extra_float_digits = 1"
)
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the source. `type` is spelled as in SQL, without domains. `item` is the name of an array's items."""

    name: str
    type: str
    base: str  # the name of the type, without arguments
    kind: str  # `scalar`, `enum`, `composite`, `array`, or `odd array` if its items are domains or rows
    item: str = ""

    @property
    def type_in_postgres(self) -> str:
        """The documented type of the column in a destination of PostgreSQL."""
        if self.kind == "enum":
            return "text"
        if self.kind == "array" and self.item == "enum":
            return "text[]"
        if self.kind in {"composite", "odd array"} or self.base in {"money", "xml", "regclass"}:
            return "text"
        return self.type

    @property
    def is_written_as_json(self) -> bool:
        return self.kind in {"composite", "odd array"}


@dataclass(frozen=True, slots=True)
class Table:
    """The columns and the rows of a table, as the texts of PostgreSQL's output functions, or as JSON where `as_json`."""

    columns: tuple[Column, ...]
    rows: list[Row]

    def column_values(self) -> list[tuple[Column, list[Any]]]:
        values = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        return [(column, list(own)) for column, own in zip(self.columns, values, strict=True)]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`columns` of the stream `child` refer to `parent_columns` of the stream `parent`."""

    name: str
    child: str
    parent: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]


def load(database: SourceDatabase, *schemas: str) -> None:
    """Create these schemas anew with their tables and rows. The reader may read all of them."""
    for schema in schemas:
        database.execute(
            f"DROP SCHEMA IF EXISTS {schema} CASCADE",
            (SCHEMAS / f"{schema}.sql").read_text(),
            f"GRANT USAGE ON SCHEMA {schema} TO {database.config['user']}",
        )


def stream_name(schema: str, table: str) -> str:
    """Return the documented name of the stream: a part with a dot is quoted, and `public` is left out."""
    schema, table = (
        '"{}"'.format(part.replace('"', '""')) if "." in part or part.startswith('"') else part
        for part in (schema, table)
    )
    return table if schema == "public" else f"{schema}.{table}"


class SourceReader:
    """Reads whole schemas of the source as its administrator, in one snapshot."""

    def __init__(self, connection: psycopg.Connection[Row], schemas: Sequence[str]) -> None:
        self._connection, self._schemas = connection, list(schemas)
        connection.prepare_threshold = None  # The tests change tables between two queries.
        connection.execute(SESSION.encode())

    @cached_property
    def _types(self) -> dict[int, Row]:
        return {row[0]: row for row in self._connection.execute(SELECT_TYPES.encode())}

    def tables(self, *, arrays_as_json: bool) -> dict[str, Table]:
        """Return all tables and views by the names of their streams."""
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            found = self._connection.execute(SELECT_TABLES.encode(), [self._schemas]).fetchall()
            return {
                stream_name(schema, name): self._read(oid, schema, name, arrays_as_json)
                for oid, schema, name in found
            }

    def foreign_keys(self) -> list[ForeignKey]:
        rows = self._connection.execute(SELECT_FOREIGN_KEYS.encode(), [self._schemas]).fetchall()
        return [
            ForeignKey(name, stream_name(*child), stream_name(*parent), tuple(own), tuple(others))
            for name, *names, own, others in rows
            for child, parent in [(names[:2], names[2:])]
        ]

    def _read(self, oid: int, schema: str, name: str, arrays_as_json: bool) -> Table:
        rows = self._connection.execute(SELECT_COLUMNS.encode(), [oid]).fetchall()
        columns = tuple(self._column(*row) for row in rows)
        expressions = [
            sql.SQL("to_json({})::text").format(sql.Identifier(column.name))
            if column.is_written_as_json or (arrays_as_json and column.kind == "array")
            else sql.Identifier(column.name)
            for column in columns
        ]
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(expressions), sql.Identifier(schema, name)
        )
        return Table(columns, raw_rows(self._connection, query))

    def _column(self, name: str, oid: int, modifier: int) -> Column:
        _, base, typtype, base_oid, base_modifier, item_oid, category = self._types[oid]
        while typtype == "d":
            oid, modifier = base_oid, base_modifier
            _, base, typtype, base_oid, base_modifier, item_oid, category = self._types[oid]
        row = self._connection.execute("SELECT format_type(%s, %s)", [oid, modifier]).fetchone()
        assert row is not None
        if category == "A":
            _, item, item_type, *_ = self._types[item_oid]
            kind = "odd array" if item_type in {"d", "c"} else "array"
            return Column(name, row[0], base, kind, "enum" if item_type == "e" else item)
        kind = {"e": "enum", "c": "composite"}.get(typtype, "scalar")
        return Column(name, row[0], base, kind)


def raw_rows(connection: psycopg.Connection[Row], query: sql.Composed) -> list[Row]:
    """Return the rows as the texts that the server has sent, which psycopg does not convert."""
    result = connection.execute(query).pgresult
    assert result is not None
    return [
        tuple(
            None if value is None else bytes(value).decode()
            for value in (result.get_value(row, column) for column in range(result.nfields))
        )
        for row in range(result.ntuples)
    ]
