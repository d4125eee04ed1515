"""Read a table's description from PostgreSQL's catalogue, and widen its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from apps.engine.destinations.postgres.identifiers import TableName
from apps.engine.destinations.postgres.types import (
    KINDS,
    SMALLER_INTEGERS,
    inexact_as_float,
    type_of,
    widened,
)
from apps.engine.failures import ConfigurationError
from apps.engine.frames.columns import STRING, Column, ColumnType
from apps.engine.postgres import Cursor

LOOK = """
SELECT c.oid, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod),
       format_type(a.atttypid, NULL), t.typcategory
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relname = %s ORDER BY a.attnum"""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column as PostgreSQL describes it: its type with and without length, and its type category."""

    type: str
    base: str
    category: str

    @property
    def kind(self) -> ColumnType | None:
        """Return Drover's type, or None for a type that Drover never creates."""
        return KINDS.get(self.type)


@dataclass(frozen=True, slots=True)
class Table:
    """An existing table."""

    name: TableName
    oid: int
    columns: Mapping[str, TableColumn]


def look(cursor: Cursor, name: TableName) -> Table | None:
    """Return the table, or None.

    Raises ConfigurationError if the name belongs to something else, such as a view.
    """
    rows = cursor.execute(LOOK, (name.schema, name.name)).fetchall()
    if not rows:
        return None
    if rows[0][1] not in {"r", "p"}:
        raise ConfigurationError(f"{name} is not a table")
    columns = {row[2]: TableColumn(row[3], row[4], row[5]) for row in rows if row[2] is not None}
    return Table(name, rows[0][0], columns)


def add_column(cursor: Cursor, table: TableName, name: str, column: Column) -> None:
    cursor.execute(
        sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
            table.quoted(), sql.Identifier(name), type_of(column)
        )
    )


def widen_column(cursor: Cursor, table: TableName, name: str, kind: ColumnType, to: Column) -> None:
    """Change the column's type and convert its values."""
    quoted = sql.Identifier(name)
    cursor.execute(
        sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {} USING {}").format(
            table.quoted(), quoted, type_of(to), widened(quoted, kind, to.type)
        )
    )


def exists(cursor: Cursor, table: TableName, condition: sql.Composable) -> bool:
    """Whether a row meets the condition."""
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(table.quoted(), condition)
    row = cursor.execute(query).fetchone()
    return row is not None and bool(row[0])


class Evolution:
    """Change a target's columns so that they can hold the staged rows; columns of others are kept."""

    def __init__(self, cursor: Cursor, *, staging: Table, target: Table, unknown: set[str]) -> None:
        self._cursor = cursor
        self._staging = staging
        self._target = target
        self._unknown = unknown  # Drover's text columns that never had a value

    def run(self, staged: Mapping[str, Column]) -> set[str]:
        """Add and widen columns. Returns the target's columns whose type is still unknown."""
        for name, column in staged.items():
            have = self._target.columns.get(name)
            if have is None:
                text = column.type is ColumnType.NULL
                add_column(self._cursor, self._target.name, name, STRING if text else column)
                self._unknown |= {name} if text else set()
            elif column.type is not ColumnType.NULL:
                self._fit(name, have, column)
                self._unknown.discard(name)
        return self._unknown

    def _fit(self, name: str, have: TableColumn, column: Column) -> None:
        if name in self._unknown and self._is_empty(name):
            self._alter(name, ColumnType.NULL, column)
        elif have.kind is not None and have.kind is not ColumnType.NULL:
            self._widen(name, have.kind, column)
        elif have.type in SMALLER_INTEGERS:
            self._widen_integer(name, SMALLER_INTEGERS[have.type], column)
        elif have.type == "real" and column.type in {ColumnType.NUMBER, ColumnType.INTEGER}:
            self._alter(name, ColumnType.NUMBER, Column(ColumnType.NUMBER))

    def _widen(self, name: str, kind: ColumnType, column: Column) -> None:
        wanted = Column(kind).widen(column)
        if (
            wanted.type is ColumnType.NUMBER
            and kind is not column.type
            and self._inexact(name, kind)
        ):
            wanted = STRING
        if wanted.type is not kind:
            self._alter(name, kind, wanted)

    def _widen_integer(self, name: str, limit: int, column: Column) -> None:
        if column.type is not ColumnType.INTEGER:
            self._widen(name, ColumnType.INTEGER, column)
            return
        beyond = sql.SQL("({0} >= {1} OR {0} < -{1})").format(sql.Identifier(name), limit)
        if exists(self._cursor, self._staging.name, beyond):
            self._alter(name, ColumnType.INTEGER, column)

    def _inexact(self, name: str, kind: ColumnType) -> bool:
        """Whether an integer, in the target or in the staged rows, would change when stored as a float."""
        holder = self._target if kind is ColumnType.INTEGER else self._staging
        return exists(self._cursor, holder.name, inexact_as_float(sql.Identifier(name)))

    def _is_empty(self, name: str) -> bool:
        present = sql.SQL("{} IS NOT NULL").format(sql.Identifier(name))
        return not exists(self._cursor, self._target.name, present)

    def _alter(self, name: str, kind: ColumnType, to: Column) -> None:
        if kind is ColumnType.NULL:
            quoted = sql.Identifier(name)
            self._cursor.execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {} USING NULL").format(
                    self._target.name.quoted(), quoted, type_of(to)
                )
            )
            return
        widen_column(self._cursor, self._target.name, name, kind, to)
