"""Make a job's parts visible in one DuckDB transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb

from apps.engine.contract import WriteMode
from apps.engine.destinations.duckdb.incoming import Incoming, column_names
from apps.engine.destinations.duckdb.types import column_of_type, quoted, type_of, unfit, widened
from apps.engine.failures import ConfigurationError, DestinationError
from apps.engine.frames.columns import STRING, Column, ColumnType

PUBLICATIONS = "main._drover_publications"
MAKE = f"""
CREATE TABLE IF NOT EXISTS {PUBLICATIONS} (
    job_id VARCHAR PRIMARY KEY, target VARCHAR NOT NULL, rows BIGINT NOT NULL,
    published_at TIMESTAMP NOT NULL, unknown VARCHAR[] NOT NULL)"""
LAST = f"SELECT unknown FROM {PUBLICATIONS} WHERE target = ? ORDER BY published_at DESC LIMIT 1"  # noqa: S608 - a constant
RECORD = f"INSERT INTO {PUBLICATIONS} VALUES (?, ?, ?, ?, ?)"  # noqa: S608 - a constant
NEWEST = f"SELECT max(published_at) FROM {PUBLICATIONS} WHERE target = ?"  # noqa: S608 - a constant
# A file belongs to one pipeline, and so do all its publications. Keep this one and the previous one. Older ones are
# not needed; delete them here, because a change after publishing would change the file size already reported.
FORGET = f"DELETE FROM {PUBLICATIONS} WHERE target = ? AND published_at < ({NEWEST})"  # noqa: S608 - constants
PART, ROW = "_drover_part", "_drover_row"


def published_rows(connection: duckdb.DuckDBPyConnection, job_id: str) -> int | None:
    """How many rows the job published here, or None if it has not."""
    connection.execute(MAKE)
    query = f"SELECT rows FROM {PUBLICATIONS} WHERE job_id = ?"  # noqa: S608 - a constant
    row = connection.execute(query, [job_id]).fetchone()
    return None if row is None else int(row[0])


def target_of(schema: str, table: str) -> str:
    """Return the name under which publications of this table are recorded."""
    return f"{schema}.{table}".lower()


def refuse_if_late(connection: duckdb.DuckDBPyConnection, target: str, opened: datetime) -> None:
    """Raise DestinationError when a later sync of this pipeline has published since this job was opened.

    The later sync has removed this job's staged rows. If the job staged no rows, only this check detects it.
    """
    connection.execute(MAKE)
    newest = connection.execute(NEWEST, [target]).fetchone()
    if newest and newest[0] is not None and newest[0] > opened:
        raise DestinationError("A later sync of this pipeline has published meanwhile")


class Publishing:
    """One publication. `schema` and `table` are spelled as in the settings."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        incoming: Incoming,
        *,
        schema: str,
        table: str,
        key: Sequence[str],
    ) -> None:
        self._connection = connection
        self._incoming = incoming
        self._schema, self._table = schema, table
        self._name = f"{quoted(schema)}.{quoted(table)}"
        self._key = key
        self._unknown: set[str] = set()
        self._names: dict[str, str] = {}

    def run(self, mode: WriteMode, job_id: str) -> int:
        """Publish in one transaction. Returns the number of staged rows, all of which were applied."""
        with self._connection.cursor() as cursor:
            self._do = cursor.execute
            self._do("BEGIN TRANSACTION")
            done = published_rows(cursor, job_id)
            if done is None:
                self._apply(mode)
                done = self._incoming.rows
                at = datetime.now(UTC).replace(tzinfo=None)
                self._do(FORGET, [self._target, self._target])
                self._do(RECORD, [job_id, self._target, done, at, sorted(self._unknown)])
            self._do("COMMIT")
        return done

    @property
    def _target(self) -> str:
        return target_of(self._schema, self._table)

    def _apply(self, mode: WriteMode) -> None:
        self._do(f"CREATE SCHEMA IF NOT EXISTS {quoted(self._schema)}")
        present = self._present()
        last = self._do(LAST, [self._target]).fetchone()
        self._unknown = set(last[0]) if last else set()
        if mode == "replace" and present is not None:
            self._do(f"DELETE FROM {self._name}")  # noqa: S608 - quoted
            if self._incoming.columns:  # The new table's columns are unknown otherwise.
                self._do(f"DROP TABLE {self._name}")
                present = None
        self._names = column_names(self._incoming.columns, list(present or ()))
        if present is None:
            self._make()
        else:
            self._evolve(present)
        if not self._incoming.files:
            return
        if self._key:
            self._upsert()
        else:
            files = [str(file) for file in self._incoming.files]
            self._do(f"INSERT INTO {self._name} {self._columns()} {self._select()}", [files])

    # Columns of the table.

    def _present(self) -> dict[str, str] | None:
        """Return the columns of the existing table and their types. Raises ConfigurationError for a view."""
        found = self._do(
            "SELECT table_type FROM information_schema.tables"
            " WHERE lower(table_schema) = lower(?) AND lower(table_name) = lower(?)",
            [self._schema, self._table],
        ).fetchone()
        if found is None:
            return None
        if found[0] != "BASE TABLE":
            raise ConfigurationError(f"{self._schema}.{self._table} is not a table")
        return {row[0]: row[1] for row in self._do(f"DESCRIBE {self._name}").fetchall()}

    def _make(self) -> None:
        columns = [
            f"{quoted(self._names[name])} {type_of(column)}"
            for name, column in self._incoming.columns.items()
        ]
        self._unknown = {
            self._names[name]
            for name, column in self._incoming.columns.items()
            if column.type is ColumnType.NULL
        }
        if columns:
            self._do(f"CREATE TABLE {self._name} ({', '.join(columns)})")

    def _evolve(self, present: dict[str, str]) -> None:
        for field, column in self._incoming.columns.items():
            name = self._names[field]
            if name not in present:
                self._do(f"ALTER TABLE {self._name} ADD COLUMN {quoted(name)} {type_of(column)}")
                self._unknown |= {name} if column.type is ColumnType.NULL else set()
            elif column.type is not ColumnType.NULL:
                self._fit(name, field, present[name], column)
                self._unknown.discard(name)

    def _fit(self, name: str, field: str, spelling: str, column: Column) -> None:
        have = column_of_type(spelling)
        if name in self._unknown and not self._any(f"{quoted(name)} IS NOT NULL"):
            self._alter(name, column, "NULL")
            return
        if have is None:  # The user chose this column type: the insert casts to it or fails.
            return
        wanted = have.widen(column)
        if wanted.type is not ColumnType.STRING and self._is_inexact(
            name, field, have, column, wanted
        ):
            wanted = STRING
        if type_of(wanted) != type_of(have):
            self._alter(name, wanted, widened(quoted(name), have, wanted))

    def _is_inexact(
        self, name: str, field: str, have: Column, column: Column, wanted: Column
    ) -> bool:
        if type_of(have) != type_of(wanted) and self._any(unfit(quoted(name), have, wanted)):
            return True
        if type_of(column) == type_of(wanted) or not self._incoming.files:
            return False
        files = [str(file) for file in self._incoming.files]
        condition = unfit(quoted(self._incoming.stored[field]), column, wanted)
        query = f"SELECT count(*) FROM read_parquet(?) WHERE {condition}"  # noqa: S608 - quoted
        row = self._do(query, [files]).fetchone()
        return bool(row and row[0])

    def _any(self, condition: str) -> bool:
        row = self._do(f"SELECT EXISTS (FROM {self._name} WHERE {condition})").fetchone()
        return bool(row and row[0])

    def _alter(self, name: str, to: Column, expression: str) -> None:
        self._do(
            f"ALTER TABLE {self._name} ALTER COLUMN {quoted(name)}"
            f" SET DATA TYPE {type_of(to)} USING {expression}"
        )

    # Rows of the table.

    def _columns(self) -> str:
        return "(" + ", ".join(quoted(name) for name in self._names.values()) + ")"

    def _select(self, more: str = "") -> str:
        """Select the rows of files, in the target's columns and types; its parameter is the list of files."""
        types = self._present() or {}
        expressions = []
        for field, column in self._incoming.columns.items():
            to = column_of_type(types[self._names[field]])
            value = quoted(self._incoming.stored[field])
            expressions.append(widened(value, column, to) if to else value)
        option = ", file_row_number = true" if more else ""
        return f"SELECT {', '.join(expressions)}{more} FROM read_parquet(?{option})"  # noqa: S608 - quoted

    def _upsert(self) -> None:
        """Update the rows whose key exists, insert the others; the last record of a key wins."""
        names = [quoted(name) for name in self._names.values()]
        key = [quoted(self._names[name]) for name in self._key]
        self._gather(names)
        last = (
            f"(SELECT * FROM _drover_incoming QUALIFY row_number() OVER"  # noqa: S608 - quoted
            f" (PARTITION BY {', '.join(key)} ORDER BY {PART} DESC, {ROW} DESC) = 1)"
        )
        same = " AND ".join(f"t.{name} = s.{name}" for name in key)
        settings = ", ".join(f"{name} = s.{name}" for name in names if name not in key)
        if settings:
            self._do(f"UPDATE {self._name} AS t SET {settings} FROM {last} AS s WHERE {same}")  # noqa: S608 - quoted
        self._do(
            f"INSERT INTO {self._name} {self._columns()} SELECT {', '.join(names)} FROM {last} AS s"  # noqa: S608 - quoted
            f" WHERE NOT EXISTS (FROM {self._name} AS t WHERE {same})"
        )
        self._do("DROP TABLE _drover_incoming")

    def _gather(self, names: list[str]) -> None:
        listed = ", ".join(names)
        self._do(
            f"CREATE TEMP TABLE _drover_incoming AS SELECT {listed}, 0 AS {PART}, 0::BIGINT AS {ROW}"  # noqa: S608 - quoted
            f" FROM {self._name} LIMIT 0"
        )
        for number, file in enumerate(self._incoming.files):
            values: list[Any] = [[str(file)]]
            rows = self._select(f", {number}, file_row_number")
            self._do(f"INSERT INTO _drover_incoming {rows}", values)
