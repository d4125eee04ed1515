"""Read records of a table in a transaction that can change nothing, for a person who looks at them."""

from __future__ import annotations

from psycopg import sql

from apps.engine.destinations.postgres.identifiers import TableName
from apps.engine.destinations.postgres.tables import TableColumn, find_table
from apps.engine.destinations.postgres.types import widen_expression
from apps.engine.destinations.stored_rows import RowWindow, StoredColumn, StoredRows, TableGone
from apps.engine.frames.columns import ColumnType
from apps.engine.postgres import Cursor

# A scan begins at the start of the table, so that the pages of records follow each other.
READ_ONLY = sql.Composed(
    [
        sql.SQL("SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '10s'; "),
        sql.SQL("SET LOCAL lock_timeout = '3s'; SET LOCAL synchronize_seqscans = off; "),
        sql.SQL("SET LOCAL max_parallel_workers_per_gather = 0"),
    ]
)


def read_rows(cursor: Cursor, target: TableName, window: RowWindow) -> StoredRows:
    """Return records of the table. The transaction began with READ_ONLY. Raises TableGone and ConfigurationError."""
    table = find_table(cursor, target)
    if table is None:
        raise TableGone(f"The database has no table {target} any more")
    names = window.choose(table.columns)
    columns = [
        StoredColumn.of(name, table.columns[name].column, table.columns[name].type)
        for name in names
    ]
    query = sql.SQL("SELECT {} FROM {} LIMIT {} OFFSET {}").format(
        sql.SQL(", ").join(_text(name, table.columns[name], window) for name in names),
        target.identifier(),
        sql.Literal(window.limit),
        sql.Literal(window.offset),
    )
    return StoredRows(columns, cursor.execute(query).fetchall())


def _text(name: str, column: TableColumn, window: RowWindow) -> sql.Composable:
    """Return the expression for the text of a column's values, cut to the characters of the window and one more."""
    value, column_type = sql.Identifier(name), column.column_type
    text = (
        sql.SQL("{}::text").format(value)
        if column_type is None
        else widen_expression(value, column_type, ColumnType.STRING)
    )
    return sql.SQL("left({}, {})").format(text, sql.Literal(window.max_characters + 1))
