"""SQL for the primary key, by which a newer record replaces an older one."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import polars as pl
import psycopg
from psycopg import sql

from apps.engine.destinations.postgres.identifiers import BATCH_COLUMN, ROW_COLUMN, TableName
from apps.engine.destinations.postgres.tables import Table
from apps.engine.frames.native import NativeTable
from apps.engine.postgres import Cursor

HAS_UNIQUE_INDEX = """
SELECT EXISTS (
    SELECT FROM pg_index i
    WHERE i.indrelid = %s::oid AND i.indisunique AND i.indimmediate AND i.indisvalid
      AND i.indpred IS NULL AND i.indexprs IS NULL
      AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text) FROM pg_attribute a
           WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
          = %s::text[])"""

NEWEST_FIRST = sql.SQL("batches.position DESC, s.{} DESC").format(sql.Identifier(ROW_COLUMN))


def are_unique(frame: pl.DataFrame, key: Sequence[str], native: NativeTable) -> bool:
    """Whether no two rows have the same key. Returns False if PostgreSQL may compare the values in another way than this."""
    is_comparable = has_comparable_key(frame, key, native)
    return is_comparable and frame.n_unique(subset=list(key)) == frame.height


def has_comparable_key(frame: pl.DataFrame, key: Sequence[str], native: NativeTable) -> bool:
    """Whether PostgreSQL compares the values of the key in the same way as we do."""
    for name in key:
        dtype = frame.schema.get(name)
        is_plain_text = dtype == pl.String and not native.type_of(name)
        if dtype is None or not (dtype.is_integer() or dtype == pl.Date or is_plain_text):
            return False
    return bool(key)


def column_list(key: Sequence[str], alias: str | None = None) -> sql.Composed:
    """Return SQL for the key's columns, separated by commas."""
    names = [sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in key]
    return sql.SQL(", ").join(names)


def rows_with_batch_position(staging: TableName, marks: Sequence[uuid.UUID]) -> sql.Composed:
    """Return SQL for the staged rows of the batches with these marks as `s`, and the position as `batches.position`.

    The marks are no parameter, because a statement with parameters must not have column names with %.
    """
    return sql.SQL(
        "{} AS s JOIN unnest({}::uuid[]) WITH ORDINALITY AS batches (mark, position) ON batches.mark = s.{}"
    ).format(
        staging.identifier(),
        sql.Literal("{" + ",".join(map(str, marks)) + "}"),
        sql.Identifier(BATCH_COLUMN),
    )


def last_records(
    staging: TableName, key: Sequence[str], marks: Sequence[uuid.UUID]
) -> sql.Composed:
    """Return SQL for the last staged row of each key, as `s`."""
    columns = column_list(key, "s")
    return sql.SQL("(SELECT DISTINCT ON ({0}) s.* FROM {1} ORDER BY {0}, {2}) AS s").format(
        columns, rows_with_batch_position(staging, marks), NEWEST_FIRST
    )


def ensure_unique_index(cursor: Cursor, table: Table, key: Sequence[str]) -> bool:
    """Create a unique index on the key if there is none. Returns False if the rows do not allow it."""
    row = cursor.execute(HAS_UNIQUE_INDEX, (table.oid, sorted(key))).fetchone()
    if row and row[0]:
        return True
    try:
        with cursor.connection.transaction():
            cursor.execute(
                sql.SQL("CREATE UNIQUE INDEX ON {} ({})").format(
                    table.name.identifier(), column_list(key)
                )
            )
    except psycopg.errors.UniqueViolation:
        return False  # Older rows have the same key twice.
    return True
