"""Read a table's description from PostgreSQL's catalogue, and widen its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from apps.engine.destinations.postgres.identifiers import TableName, column_name
from apps.engine.destinations.postgres.types import (
    COLUMN_TYPES,
    SMALL_INTEGER_LIMITS,
    outside_exact_floats_condition,
    sql_type,
    type_name,
    widen_expression,
)
from apps.engine.failures import ConfigurationError, DestinationError
from apps.engine.frames.columns import STRING, Column, ColumnType
from apps.engine.postgres import Cursor
from apps.engine.windows import CursorWindow

SELECT_TABLE = """
SELECT c.oid, c.relkind, a.attname, t.typtype, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, NULL),
       t.typcategory
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = {} AND c.relname = {} ORDER BY a.attnum"""

# The types below domains, which are read only for tables that have some, because planning the query takes milliseconds.
SELECT_BASE_TYPES = """
WITH RECURSIVE below (name, oid, mod, depth) AS (
  SELECT a.attname, a.atttypid, a.atttypmod, 0 FROM pg_attribute a
  WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT name, d.typbasetype, d.typtypmod, depth + 1
  FROM below JOIN pg_type d ON d.oid = below.oid AND d.typtype = 'd'
)
SELECT DISTINCT ON (name) name, format_type(oid, mod), format_type(oid, NULL)
FROM below ORDER BY name, depth DESC"""

_TEXT_LENGTH = re.compile(r"character(?: varying)?\((\d+)\)")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column as PostgreSQL describes it: its type, the type below any domains, and its type category."""

    type: str
    base_type: str
    base_without_length: str
    category: str

    @property
    def column_type(self) -> ColumnType | None:
        """Return Drover's type, or None for a type that Drover never creates."""
        return COLUMN_TYPES.get(self.type)

    @property
    def column(self) -> Column:
        """Return the column. It has a native type if Drover has no such type."""
        return Column(self.column_type) if self.column_type else Column.of_native_type(self.type)

    @property
    def text_length(self) -> int | None:
        """The greatest number of characters of a text, if the type has one."""
        length = _TEXT_LENGTH.fullmatch(self.base_type)
        return int(length[1]) if length else None

    @property
    def is_domain(self) -> bool:
        return self.type != self.base_type


@dataclass(frozen=True, slots=True)
class Table:
    """An existing table."""

    name: TableName
    oid: int
    columns: Mapping[str, TableColumn]


def select_table(name: TableName) -> sql.Composed:
    """Return the query for `read_table`."""
    return sql.SQL(SELECT_TABLE).format(sql.Literal(name.schema), sql.Literal(name.name))


def find_table(cursor: Cursor, name: TableName) -> Table | None:
    """Return the table, or None if it does not exist. Raises ConfigurationError, see `read_table`."""
    return read_table(cursor, name, cursor.execute(select_table(name)).fetchall())


def read_table(cursor: Cursor, name: TableName, rows: Sequence[tuple[Any, ...]]) -> Table | None:
    """Return the table that these rows of its query describe, or None if it does not exist.

    Raises ConfigurationError if the name belongs to another object, such as a view.
    """
    if not rows:
        return None
    if rows[0][1] not in {"r", "p"}:
        raise ConfigurationError(f"{name} is not a table")
    oid, named = rows[0][0], [row[2:] for row in rows if row[2] is not None]
    base_types = {}
    if any(kind == "d" for _, kind, *_ in named):
        for column, *types in cursor.execute(SELECT_BASE_TYPES, (oid,)).fetchall():
            base_types[column] = types
    columns = {
        column: TableColumn(full, base[0], base[1], category)
        for column, _, full, without_length, category in named
        for base in [base_types.get(column, [full, without_length])]
    }
    return Table(name, oid, columns)


def table_exists(cursor: Cursor, name: TableName) -> bool:
    """Whether there is a table of this name, which only Drover uses."""
    query = "SELECT to_regclass(%s) IS NOT NULL"
    row = cursor.execute(query, (name.identifier().as_string(cursor),)).fetchone()
    return row is not None and bool(row[0])


def has_rows(cursor: Cursor, table: Table) -> bool:
    """Whether the table has rows. A table that the user may not read is taken to have some."""
    row = cursor.execute("SELECT has_table_privilege(%s::oid, 'SELECT')", (table.oid,)).fetchone()
    if row is None or not row[0]:
        return True
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table.name.identifier())
    row = cursor.execute(query).fetchone()
    return bool(row and row[0])


def window_condition(table: Table, window: CursorWindow) -> sql.Composable:
    """Return the condition for the rows of a window. Raises ConfigurationError if the table cannot compare its values."""
    name = column_name(window.field)
    column = table.columns.get(name)
    if column is None or column.category not in {"D", "N"}:
        found = f"the type {column.type}" if column else "no such column"
        raise ConfigurationError(
            f"{table.name} has {found} for the cursor field {window.field!r}, so the rows of a window cannot be replaced"
        )
    # PostgreSQL gives the values the type of the column.
    conditions = [sql.SQL("{} < {}").format(sql.Identifier(name), sql.Literal(window.end))]
    if window.start is not None:
        start = sql.Literal(window.start)
        conditions.append(sql.SQL("{} >= {}").format(sql.Identifier(name), start))
    return sql.SQL(" AND ").join(conditions)


def add_columns(cursor: Cursor, table: TableName, columns: Mapping[str, Column]) -> None:
    """Add columns, by name. Does nothing if there are none."""
    if not columns:
        return
    parts = [
        sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(name), sql_type(column))
        for name, column in columns.items()
    ]
    cursor.execute(
        sql.SQL("ALTER TABLE {} {}").format(table.identifier(), sql.SQL(", ").join(parts))
    )


def widen_column(
    cursor: Cursor, table: TableName, name: str, current_type: ColumnType, new_column: Column
) -> None:
    """Change the column's type and convert its values."""
    value = widen_expression(sql.Identifier(name), current_type, new_column.type)
    change_type(cursor, table, name, new_column, value)


def change_type(
    cursor: Cursor, table: TableName, name: str, new_column: Column, value: sql.Composable
) -> None:
    """Change the column's type. `value` is the expression for the new values."""
    cursor.execute(
        sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {} USING {}").format(
            table.identifier(), sql.Identifier(name), sql_type(new_column), value
        )
    )


def has_row(cursor: Cursor, table: TableName, condition: sql.Composable) -> bool:
    """Return whether the table has a row that meets the condition."""
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(table.identifier(), condition)
    row = cursor.execute(query).fetchone()
    return row is not None and bool(row[0])


class SchemaEvolution:
    """Add and widen columns of the target, so that they can store the staged rows. No column is removed."""

    def __init__(
        self, cursor: Cursor, *, staging: Table, target: Table, unknown_columns: set[str]
    ) -> None:
        self._cursor = cursor
        self._staging = staging
        self._target = target
        self._unknown_columns = unknown_columns  # Drover's text columns that never had a value

    def run(self, staged_columns: Mapping[str, Column]) -> set[str]:
        """Add and widen columns. Returns the names of the target's columns that never had a value."""
        for name, column in staged_columns.items():
            existing_column = self._target.columns.get(name)
            if existing_column is None:
                is_unknown = column.type is ColumnType.NULL
                added = {name: STRING if is_unknown else column}
                add_columns(self._cursor, self._target.name, added)
                self._unknown_columns |= {name} if is_unknown else set()
            elif column.type is not ColumnType.NULL:
                if existing_column.type != type_name(column):
                    self._fit_column(name, existing_column, column)
                self._unknown_columns.discard(name)
        return self._unknown_columns

    def _fit_column(self, name: str, existing_column: TableColumn, column: Column) -> None:
        if column.type is ColumnType.NATIVE and name not in self._unknown_columns:
            raise DestinationError(
                f"The column {name!r} of {self._target.name} got another type while the stream was read: run it again",
                evidence=(f"{existing_column.type}, and not {column.native}",),
            )
        if name in self._unknown_columns and self._is_empty(name):
            self._alter_type(name, ColumnType.NULL, column)
        elif (
            existing_column.column_type is not None
            and existing_column.column_type is not ColumnType.NULL
        ):
            self._widen(name, existing_column.column_type, column)
        elif existing_column.type in SMALL_INTEGER_LIMITS:
            self._widen_integer(name, SMALL_INTEGER_LIMITS[existing_column.type], column)
        elif existing_column.type == "real":
            self._widen_real(name, column)

    def _widen(self, name: str, current_type: ColumnType, column: Column) -> None:
        new_column = Column(current_type).widen(column)
        if (
            new_column.type is ColumnType.NUMBER
            and current_type is not column.type
            and self._is_inexact(name, current_type)
        ):
            new_column = STRING
        if new_column.type is not current_type:
            self._alter_type(name, current_type, new_column)

    def _widen_integer(self, name: str, limit: int, column: Column) -> None:
        if column.type is not ColumnType.INTEGER:
            self._widen(name, ColumnType.INTEGER, column)
            return
        too_large = sql.SQL("({0} >= {1} OR {0} < -{1})").format(sql.Identifier(name), limit)
        if has_row(self._cursor, self._staging.name, too_large):
            self._alter_type(name, ColumnType.INTEGER, column)

    def _widen_real(self, name: str, column: Column) -> None:
        """Replace the type by one that stores the new values too. Each number keeps its shortest text."""
        new_column = Column(ColumnType.NUMBER).widen(column)
        if column.type is ColumnType.INTEGER and self._is_inexact(name, ColumnType.NUMBER):
            new_column = STRING
        number = sql.SQL("{}::text::double precision").format(sql.Identifier(name))
        change_type(
            self._cursor,
            self._target.name,
            name,
            new_column,
            widen_expression(number, ColumnType.NUMBER, new_column.type),
        )

    def _is_inexact(self, name: str, current_type: ColumnType) -> bool:
        """Return whether an integer, in the target or in the staged rows, would change when stored as a float."""
        table = self._target if current_type is ColumnType.INTEGER else self._staging
        return has_row(
            self._cursor, table.name, outside_exact_floats_condition(sql.Identifier(name))
        )

    def _is_empty(self, name: str) -> bool:
        has_value = sql.SQL("{} IS NOT NULL").format(sql.Identifier(name))
        return not has_row(self._cursor, self._target.name, has_value)

    def _alter_type(self, name: str, current_type: ColumnType, new_column: Column) -> None:
        if current_type is ColumnType.NULL:
            change_type(self._cursor, self._target.name, name, new_column, sql.SQL("NULL"))
            return
        widen_column(self._cursor, self._target.name, name, current_type, new_column)
