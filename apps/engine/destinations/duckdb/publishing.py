"""Make a job's parts visible in one DuckDB transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb

from apps.engine.contract import WriteMode
from apps.engine.destinations.duckdb import tables
from apps.engine.destinations.duckdb.incoming import IncomingFiles, column_names
from apps.engine.destinations.duckdb.types import (
    changes_number_condition,
    changes_value_condition,
    column_of_type,
    is_number,
    quote_name,
    sql_type,
    widen_expression,
)
from apps.engine.destinations.duckdb.windows import window_condition
from apps.engine.failures import ConfigurationError, ContractError, DestinationError
from apps.engine.frames.columns import STRING, Column, ColumnType
from apps.engine.windows import CursorWindow

PUBLICATIONS_TABLE = "main._drover_publications"
CREATE_PUBLICATIONS_TABLE = f"""
CREATE TABLE IF NOT EXISTS {PUBLICATIONS_TABLE} (
    job_id VARCHAR PRIMARY KEY, target VARCHAR NOT NULL, rows BIGINT NOT NULL,
    published_at TIMESTAMP NOT NULL, unknown VARCHAR[] NOT NULL)"""
SELECT_UNKNOWN_COLUMNS = (
    f"SELECT unknown FROM {PUBLICATIONS_TABLE} WHERE target = ? ORDER BY published_at DESC LIMIT 1"  # noqa: S608 - a constant
)
INSERT_PUBLICATION = f"INSERT INTO {PUBLICATIONS_TABLE} VALUES (?, ?, ?, ?, ?)"  # noqa: S608 - a constant
SELECT_NEWEST_TIME = f"SELECT max(published_at) FROM {PUBLICATIONS_TABLE} WHERE target = ?"  # noqa: S608 - a constant
# A table belongs to one pipeline. Before a publication is recorded, all earlier publications except the newest
# are deleted. Deleting them after publishing would change the size of the file, which has been reported by then.
DELETE_OLDER_PUBLICATIONS = (
    f"DELETE FROM {PUBLICATIONS_TABLE} WHERE target = ? AND published_at < ({SELECT_NEWEST_TIME})"  # noqa: S608 - constants
)
PART_COLUMN, ROW_COLUMN = "_drover_part", "_drover_row"


def published_row_count(connection: duckdb.DuckDBPyConnection, job_id: str) -> int | None:
    """Return the number of rows that the job published, or None if it has not published."""
    connection.execute(CREATE_PUBLICATIONS_TABLE)
    query = f"SELECT rows FROM {PUBLICATIONS_TABLE} WHERE job_id = ?"  # noqa: S608 - a constant
    row = connection.execute(query, [job_id]).fetchone()
    return None if row is None else int(row[0])


def has_lost_table(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    """Whether the table does not exist, unless no rows were published to it."""
    connection.execute(CREATE_PUBLICATIONS_TABLE)
    query = f"SELECT bool_and(rows = 0) FROM {PUBLICATIONS_TABLE} WHERE target = ?"  # noqa: S608 - a constant
    row = connection.execute(query, [target_name(schema, table)]).fetchone()
    had_no_rows = bool(row and row[0])
    return not had_no_rows and not _column_types(connection, schema, table)


def has_published(
    connection: duckdb.DuckDBPyConnection, job_id: str, schema: str, table: str
) -> bool:
    """Whether the job has published to this table."""
    connection.execute(CREATE_PUBLICATIONS_TABLE)
    query = f"SELECT 1 FROM {PUBLICATIONS_TABLE} WHERE job_id = ? AND target = ?"  # noqa: S608 - a constant
    return connection.execute(query, [job_id, target_name(schema, table)]).fetchone() is not None


def has_rows(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    table: str,
    window: CursorWindow | None = None,
) -> bool:
    """Whether the table exists and has rows: in the window, if there is one."""
    exists = connection.execute(
        "SELECT 1 FROM information_schema.tables"
        " WHERE lower(table_schema) = lower(?) AND lower(table_name) = lower(?)",
        [schema, table],
    ).fetchone()
    if exists is None:
        return False
    condition, values = "true", list[str]()
    if window is not None:
        condition, values = window_condition(dict(_column_types(connection, schema, table)), window)
    query = f"SELECT 1 FROM {quote_name(schema)}.{quote_name(table)} WHERE {condition} LIMIT 1"  # noqa: S608 - quoted
    return connection.execute(query, values).fetchone() is not None


def existing_types(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str
) -> dict[str, str]:
    """Return the native types of the table's columns, empty for a column without one."""
    columns = {
        name: column_of_type(type_name)
        for name, type_name in _column_types(connection, schema, table)
    }
    return {name: column.declared_type if column else "" for name, column in columns.items()}


def text_columns(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> frozenset[str]:
    """Return the names, in lower case, of the table's columns of text that have had values."""
    types = _column_types(connection, schema, table)
    connection.execute(CREATE_PUBLICATIONS_TABLE)
    row = connection.execute(SELECT_UNKNOWN_COLUMNS, [target_name(schema, table)]).fetchone()
    unknown = set(row[0]) if row else set()
    return frozenset(
        name.lower() for name, type_name in types if type_name == "VARCHAR" and name not in unknown
    )


def _column_types(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str
) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns()"
        " WHERE lower(schema_name) = lower(?) AND lower(table_name) = lower(?)",
        [schema, table],
    ).fetchall()


def target_name(schema: str, table: str) -> str:
    """Return the name under which publications of this table are recorded."""
    return f"{schema}.{table}".lower()


def refuse_if_superseded(
    connection: duckdb.DuckDBPyConnection, target: str, opened_at: datetime
) -> None:
    """Raise DestinationError if a later sync of this pipeline has published since this job was opened.

    A later sync removes this job's staged rows, so publishing fails for a job with rows. A job without rows needs
    this check.
    """
    connection.execute(CREATE_PUBLICATIONS_TABLE)
    newest = connection.execute(SELECT_NEWEST_TIME, [target]).fetchone()
    if newest and newest[0] is not None and newest[0] > opened_at:
        raise DestinationError("A later sync of this pipeline has published meanwhile")


class Publishing:
    """One publication. `schema` and `table` are spelled as in the settings."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        incoming: IncomingFiles,
        *,
        schema: str,
        table: str,
        key: Sequence[str],
        owner: str,
        window: CursorWindow | None = None,
        newest_by: str = "",
    ) -> None:
        self._connection = connection
        self._newest_by = newest_by
        self._window = window
        self._owner = owner
        self._incoming = incoming
        self._schema, self._table = schema, table
        self._quoted_table = f"{quote_name(schema)}.{quote_name(table)}"
        self._key = key
        self._unknown_columns: set[str] = (
            set()
        )  # all their values are null, so their types are not known
        self._column_names: dict[str, str] = {}

    def run(self, mode: WriteMode, job_id: str, *, protects_other_pipelines: bool = False) -> int:
        """Publish in one transaction. Returns the number of staged rows, all of which were applied.

        A table that another pipeline has left may be replaced, unless `protects_other_pipelines` is set.
        """
        with self._connection.cursor() as cursor:
            self._execute = cursor.execute
            self._execute("BEGIN TRANSACTION")
            rows = published_row_count(cursor, job_id)
            if rows is None:
                if mode != "replace" or protects_other_pipelines:
                    tables.require_own(cursor, self._schema, self._table, self._owner)
                self._apply_rows(mode)
                rows = self._incoming.rows
                now = datetime.now(UTC).replace(tzinfo=None)
                self._execute(DELETE_OLDER_PUBLICATIONS, [self._target_name, self._target_name])
                self._execute(
                    INSERT_PUBLICATION,
                    [job_id, self._target_name, rows, now, sorted(self._unknown_columns)],
                )
                tables.record_owner(cursor, self._schema, self._table, self._owner)
            self._execute("COMMIT")
        return rows

    @property
    def _target_name(self) -> str:
        return target_name(self._schema, self._table)

    def _apply_rows(self, mode: WriteMode) -> None:
        self._execute(f"CREATE SCHEMA IF NOT EXISTS {quote_name(self._schema)}")
        self._find_malformed_json()
        existing_columns = self._existing_columns()
        last_publication = self._execute(SELECT_UNKNOWN_COLUMNS, [self._target_name]).fetchone()
        self._unknown_columns = set(last_publication[0]) if last_publication else set()
        if mode == "replace" and existing_columns is not None:
            self._execute(f"DELETE FROM {self._quoted_table}")  # noqa: S608 - quoted
            if self._incoming.columns:  # Otherwise the columns of a new table would be unknown.
                self._execute(f"DROP TABLE {self._quoted_table}")
                existing_columns = None
        self._column_names = column_names(self._incoming.columns, list(existing_columns or ()))
        if existing_columns is None:
            self._create_table()
        else:
            self._add_and_widen_columns(existing_columns)
            if self._window is not None:
                self._empty_window(self._window)
        if not self._incoming.files:
            return
        if self._key:
            self._upsert()
        else:
            files = [str(file) for file in self._incoming.files]
            self._execute(
                f"INSERT INTO {self._quoted_table} {self._column_list()} {self._select_rows()}",
                [files],
            )

    def _empty_window(self, window: CursorWindow) -> None:
        """Delete the rows of the window. Raises ContractError if a staged row is outside of it."""
        column = self._column_names.get(window.field, window.field)
        condition, values = window_condition(
            self._existing_columns() or {}, replace(window, field=column)
        )
        stored_name = self._incoming.stored_names.get(window.field)
        is_outside = stored_name is None or self._has_staged_rows_outside(
            replace(window, field=stored_name)
        )
        if is_outside and self._incoming.rows:
            raise ContractError(
                f"A record is not in the window of {window.field!r} that the run replaces"
            )
        self._execute(f"DELETE FROM {self._quoted_table} WHERE {condition}", values)  # noqa: S608 - quoted

    def _has_staged_rows_outside(self, window: CursorWindow) -> bool:
        files = [str(file) for file in self._incoming.files]
        if not files:
            return False
        types = {
            row[0]: row[1]
            for row in self._execute("DESCRIBE SELECT * FROM read_parquet(?)", [files]).fetchall()
        }
        condition, values = window_condition(types, window)
        query = f"SELECT count(*) FROM read_parquet(?) WHERE ({condition}) IS NOT TRUE"  # noqa: S608 - quoted
        row = self._execute(query, [files, *values]).fetchone()
        return bool(row and row[0])

    # Columns of the table.

    def _find_malformed_json(self) -> None:
        """Store JSON that DuckDB refuses as text. PostgreSQL's type json accepts some escapes that it does not."""
        for field, column in self._incoming.columns.items():
            if column.native == "json" and self._incoming.files:
                name = quote_name(self._incoming.stored_names[field])
                if self._has_incoming_row(
                    f"{name} IS NOT NULL AND TRY_CAST({name} AS JSON) IS NULL"
                ):
                    self._incoming.columns[field] = STRING

    def _existing_columns(self) -> dict[str, str] | None:
        """Return the columns of the existing table and their types. Raises ConfigurationError for a view."""
        table_type = self._execute(
            "SELECT table_type FROM information_schema.tables"
            " WHERE lower(table_schema) = lower(?) AND lower(table_name) = lower(?)",
            [self._schema, self._table],
        ).fetchone()
        if table_type is None:
            return None
        if table_type[0] != "BASE TABLE":
            raise ConfigurationError(f"{self._schema}.{self._table} is not a table")
        return {
            row[0]: row[1] for row in self._execute(f"DESCRIBE {self._quoted_table}").fetchall()
        }

    def _create_table(self) -> None:
        columns = [
            f"{quote_name(self._column_names[name])} {sql_type(column)}"
            for name, column in self._incoming.columns.items()
        ]
        self._unknown_columns = {
            self._column_names[name]
            for name, column in self._incoming.columns.items()
            if column.type is ColumnType.NULL
        }
        if columns:
            self._execute(f"CREATE TABLE {self._quoted_table} ({', '.join(columns)})")

    def _add_and_widen_columns(self, existing_columns: dict[str, str]) -> None:
        for field, column in self._incoming.columns.items():
            name = self._column_names[field]
            if name not in existing_columns:
                self._execute(
                    f"ALTER TABLE {self._quoted_table} ADD COLUMN {quote_name(name)} {sql_type(column)}"
                )
                self._unknown_columns |= {name} if column.type is ColumnType.NULL else set()
            elif column.type is not ColumnType.NULL:
                self._widen_column(name, field, existing_columns[name], column)
                self._unknown_columns.discard(name)

    def _widen_column(self, name: str, field: str, type_name: str, column: Column) -> None:
        current = column_of_type(type_name)
        if name in self._unknown_columns and not self._has_row(f"{quote_name(name)} IS NOT NULL"):
            self._alter_type(name, column, "NULL")
            return
        if current is None or self._can_stay(current, field, column):
            return
        target = current.widen(column)
        if target.type is not ColumnType.STRING and self._is_inexact(
            name, field, current, column, target
        ):
            target = STRING
        if sql_type(target) != sql_type(current):
            self._alter_type(name, target, widen_expression(quote_name(name), current, target))

    def _can_stay(self, current: Column, field: str, column: Column) -> bool:
        """Whether a column keeps its native type. A number must not change; other values are cast to it or fail."""
        if current.type is not ColumnType.NATIVE or column.type is ColumnType.NATIVE:
            return False
        if not is_number(current.plain):
            return True
        name = quote_name(self._incoming.stored_names[field])
        return not self._incoming.files or not self._has_incoming_row(
            changes_number_condition(name, column, current)
        )

    def _is_inexact(
        self, name: str, field: str, current: Column, column: Column, target: Column
    ) -> bool:
        """Whether the conversion to the type `target` would change a value of the table or of the files."""
        if sql_type(current) != sql_type(target) and self._has_row(
            changes_value_condition(quote_name(name), current, target)
        ):
            return True
        if sql_type(column) == sql_type(target) or not self._incoming.files:
            return False
        return self._has_incoming_row(
            changes_value_condition(quote_name(self._incoming.stored_names[field]), column, target)
        )

    def _has_incoming_row(self, condition: str) -> bool:
        files = [str(file) for file in self._incoming.files]
        query = f"SELECT count(*) FROM read_parquet(?) WHERE {condition}"  # noqa: S608 - quoted
        row = self._execute(query, [files]).fetchone()
        return bool(row and row[0])

    def _has_row(self, condition: str) -> bool:
        row = self._execute(
            f"SELECT EXISTS (FROM {self._quoted_table} WHERE {condition})"
        ).fetchone()
        return bool(row and row[0])

    def _alter_type(self, name: str, target: Column, expression: str) -> None:
        self._execute(
            f"ALTER TABLE {self._quoted_table} ALTER COLUMN {quote_name(name)}"
            f" SET DATA TYPE {sql_type(target)} USING {expression}"
        )

    # Rows of the table.

    def _column_list(self) -> str:
        return "(" + ", ".join(quote_name(name) for name in self._column_names.values()) + ")"

    def _select_rows(self, extra_columns: str = "") -> str:
        """Return a query for the rows of files, in the target's types. Its parameter is the list of files."""
        types = self._existing_columns() or {}
        expressions = []
        for field, column in self._incoming.columns.items():
            target = column_of_type(types[self._column_names[field]])
            value = quote_name(self._incoming.stored_names[field])
            expressions.append(widen_expression(value, column, target) if target else value)
        option = ", file_row_number = true" if extra_columns else ""
        return f"SELECT {', '.join(expressions)}{extra_columns} FROM read_parquet(?{option})"  # noqa: S608 - quoted

    def _upsert(self) -> None:
        """Update rows whose key exists, and insert the other rows. The last record of a key wins."""
        names = [quote_name(name) for name in self._column_names.values()]
        key = [quote_name(self._column_names[name]) for name in self._key]
        self._load_incoming(names)
        if self._newest_by:
            self._remove_older_rows(key)
        last_rows = (
            f"(SELECT * FROM _drover_incoming QUALIFY row_number() OVER"  # noqa: S608 - quoted
            f" (PARTITION BY {', '.join(key)} ORDER BY {PART_COLUMN} DESC, {ROW_COLUMN} DESC) = 1)"
        )
        same_key = " AND ".join(f"t.{name} = s.{name}" for name in key)
        assignments = ", ".join(f"{name} = s.{name}" for name in names if name not in key)
        if assignments:
            self._execute(
                f"UPDATE {self._quoted_table} AS t SET {assignments}"  # noqa: S608 - quoted
                f" FROM {last_rows} AS s WHERE {same_key}"
            )
        self._execute(
            f"INSERT INTO {self._quoted_table} {self._column_list()}"  # noqa: S608 - quoted
            f" SELECT {', '.join(names)} FROM {last_rows} AS s"
            f" WHERE NOT EXISTS (FROM {self._quoted_table} AS t WHERE {same_key})"
        )
        self._execute("DROP TABLE _drover_incoming")

    def _remove_older_rows(self, key: list[str]) -> None:
        """Remove the incoming rows for whose keys the table has newer rows, by the values of a column."""
        newest_by = quote_name(self._column_names.get(self._newest_by, self._newest_by))
        is_known = self._newest_by in self._column_names
        is_older = f"(s.{newest_by} IS NULL OR t.{newest_by} > s.{newest_by})"
        same_key = " AND ".join(f"t.{name} = s.{name}" for name in key)
        self._execute(
            f"DELETE FROM _drover_incoming AS s USING {self._quoted_table} AS t"  # noqa: S608 - quoted
            f" WHERE {same_key} AND {is_older if is_known else 'true'}"
        )

    def _load_incoming(self, names: list[str]) -> None:
        columns = f"{', '.join(names)}, 0 AS {PART_COLUMN}, 0::BIGINT AS {ROW_COLUMN}"
        self._execute(
            f"CREATE TEMP TABLE _drover_incoming AS SELECT {columns}"  # noqa: S608 - quoted
            f" FROM {self._quoted_table} LIMIT 0"
        )
        for number, file in enumerate(self._incoming.files):
            values: list[Any] = [[str(file)]]
            rows = self._select_rows(f", {number}, file_row_number")
            self._execute(f"INSERT INTO _drover_incoming {rows}", values)
