"""Read records of a table of a DuckDB file, for a person who looks at them.

The connection is read-only and can reach no other file. Views, which could run any query, are not read.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import duckdb

from apps.engine.destinations.duckdb.database import (
    IN_USE_ERRORS,
    OPTIONS,
    converting_errors,
    lock_file,
    poll_until_free,
)
from apps.engine.destinations.duckdb.types import column_of_type, quote_name, widen_expression
from apps.engine.destinations.stored_rows import RowWindow, StoredColumn, StoredRows, TableGone
from apps.engine.frames.columns import STRING

READ_ONLY = {**OPTIONS, "access_mode": "READ_ONLY", "enable_external_access": False}
# Runs wait for the file while it is read, so reading it has to end soon.
QUERY_SECONDS = 5.0
LOCK_SECONDS = 5.0
SELECT_TABLE = """
SELECT schema_name, table_name FROM duckdb_tables()
WHERE database_name = current_database() AND NOT internal AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)"""
SELECT_COLUMNS = """
SELECT column_name, data_type FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = ? AND table_name = ? ORDER BY column_index"""


def read_rows(file: Path, schema: str, table: str, window: RowWindow) -> StoredRows:
    """Return records of the table. Raises TableGone, and DestinationError while a run writes to the file."""
    if not file.exists():
        raise TableGone("The database file does not exist any more")
    with converting_errors(file), _open(file) as connection:
        row = connection.execute(SELECT_TABLE, [schema, table]).fetchone()
        if row is None:
            raise TableGone(f"The database has no table {schema}.{table} any more")
        types = dict(connection.execute(SELECT_COLUMNS, list(row)).fetchall())
        names = window.choose(types)
        columns = [
            StoredColumn.of(name, column_of_type(types[name]), types[name]) for name in names
        ]
        from_table = f"FROM {quote_name(row[0])}.{quote_name(row[1])}"
        texts = ", ".join(_text(name, types[name], window) for name in names)
        # DuckDB keeps the order of insertion.
        query = f"SELECT {texts} {from_table} LIMIT {window.limit:d} OFFSET {window.offset:d}"
        rows = connection.execute(query).fetchall()
        total = connection.execute(f"SELECT count(*) {from_table}").fetchone()
        return StoredRows(columns, rows, total[0] if total else None)


def _text(name: str, type_name: str, window: RowWindow) -> str:
    """Return the expression for the text of a column's values, cut to the characters of the window and one more."""
    column = column_of_type(type_name)
    quoted = quote_name(name)
    text = widen_expression(quoted, column, STRING) if column else f"CAST({quoted} AS VARCHAR)"
    return f"left({text}, {window.max_characters + 1:d})"


@contextmanager
def _open(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with lock_file(file).open("ab") as lock:
        connection = poll_until_free(file, lambda: _try_to_open(file, lock), LOCK_SECONDS)
        timer = threading.Timer(QUERY_SECONDS, connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            timer.cancel()
            connection.close()


def _try_to_open(file: Path, lock: IO[bytes]) -> duckdb.DuckDBPyConnection | None:
    """Return a connection, or None while another process writes to the file."""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    try:
        return duckdb.connect(file, config=READ_ONLY)
    except duckdb.Error as error:
        if any(text in str(error) for text in IN_USE_ERRORS):
            return None
        raise
