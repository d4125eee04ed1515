"""The job's staging table, a logged table in the target's schema. Each row has the mark of its batch.

The first batch creates the table with its columns. If it is the whole job, it is published in the same transaction: then
rows have no marks, unless the order of records or a single column needs them.

The table `_drover_batches` lists the batches of every staging table of the schema and their row counts. It is
written in the transaction that copies the rows, so rows are counted only when a later attempt continues.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import polars as pl
from psycopg import sql

from apps.engine.destinations.base import Batch
from apps.engine.destinations.postgres.copying import csv_slices
from apps.engine.destinations.postgres.identifiers import (
    BATCH_COLUMN,
    BATCHES_TABLE,
    ROW_COLUMN,
    SEQUENCE_PREFIX,
    TableName,
)
from apps.engine.destinations.postgres.properties import NO_PROPERTIES, CopiedProperties
from apps.engine.destinations.postgres.tables import (
    Table,
    add_columns,
    find_table,
    table_exists,
    widen_column,
)
from apps.engine.destinations.postgres.types import sql_type
from apps.engine.failures import DestinationError, PositionGone
from apps.engine.frames.columns import Column, ColumnType, cast, column_of
from apps.engine.frames.copied import BINARY_END, BINARY_HEADER, CopiedRows
from apps.engine.frames.native import NO_NATIVE_TYPES, NativeTable
from apps.engine.postgres import Cursor
from apps.engine.process.progress import progress

MISSING = "Data that was staged for this sync is missing: the next attempt reads all records again"
CREATE_BATCHES = """
CREATE TABLE IF NOT EXISTS {} (
    staging text, batch uuid, rows bigint NOT NULL, PRIMARY KEY (staging, batch)
)"""


class Staging:
    """The rows that one job has staged. Every method runs in the cursor's transaction."""

    def __init__(
        self, name: TableName, *, has_row_numbers: bool, copies: CopiedProperties = NO_PROPERTIES
    ) -> None:
        self.name = name
        self.is_missing = False  # whether the first batch has to create the table
        # Whether that batch is the whole job, and published in the same transaction.
        self.holds_only_batch = False
        self.has_row_numbers = has_row_numbers  # Rows with the same key need the order of records.
        self._copies = copies

    def create_batches_table(self, cursor: Cursor) -> None:
        cursor.execute(sql.SQL(CREATE_BATCHES).format(self._batches_table))

    def create_table(
        self, cursor: Cursor, columns: Mapping[str, Column], mark: uuid.UUID | None = None
    ) -> None:
        """Create the table with these columns. Rows get the mark."""
        types: dict[str, sql.Composable] = {}
        if self._has_marks(columns):
            types[BATCH_COLUMN] = sql.SQL("uuid DEFAULT {}").format(sql.Literal(mark))
        if self.has_row_numbers:
            types[ROW_COLUMN] = sql.SQL("bigint")
        types |= {name: sql_type(column) for name, column in columns.items()}
        definitions = [
            sql.SQL("{} {}").format(sql.Identifier(name), type_) for name, type_ in types.items()
        ]
        cursor.execute(
            sql.SQL("CREATE TABLE {} ({})").format(
                self.name.identifier(), sql.SQL(", ").join(definitions)
            )
        )
        self.is_missing = False

    def _has_marks(self, columns: Mapping[str, Column]) -> bool:
        """Whether rows need the marks of their batches. A frame of a single column is copied with the mark."""
        columns_with_values = [
            name for name, column in columns.items() if column.type is not ColumnType.NULL
        ]
        is_only_copied = self.holds_only_batch and not self.has_row_numbers
        return not is_only_copied or len(columns_with_values) < 2

    def drop(self, cursor: Cursor) -> None:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self.name.identifier()))
        self.unregister(cursor)

    def unregister(self, cursor: Cursor) -> None:
        """Delete the table's entries in `_drover_batches`: it is no longer a staging table."""
        if self.holds_only_batch:
            return
        if table_exists(cursor, self.name.sibling(BATCHES_TABLE)):
            cursor.execute(
                sql.SQL("DELETE FROM {} WHERE staging = %s").format(self._batches_table),
                (self.name.name,),
            )

    def lock(self, cursor: Cursor) -> None:
        """Lock the table exclusively, waiting for other writers. Raises DestinationError if it does not exist."""
        self.require_table(cursor)
        cursor.execute(
            sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(self.name.identifier())
        )

    def add_batch(
        self,
        cursor: Cursor,
        frame: pl.DataFrame,
        batch: Batch,
        native: NativeTable = NO_NATIVE_TYPES,
    ) -> None:
        """Copy the frame into the table after adding the columns and types it needs."""
        mark = batch_mark(batch)
        frame = self._fit_frame(cursor, frame, mark, native)
        if self.has_row_numbers:
            frame = frame.with_row_index(ROW_COLUMN)
        if frame.width == 1:  # Older servers end the data at a line that contains only \.
            frame = frame.with_columns(pl.lit(str(mark)).alias(BATCH_COLUMN))
        self._copy(cursor, frame.columns, "csv", csv_slices(frame))
        self._register(cursor, mark, frame.height)

    def add_copied_batch(
        self,
        cursor: Cursor,
        rows: CopiedRows,
        columns: pl.DataFrame,
        batch: Batch,
        native: NativeTable,
    ) -> None:
        """Copy rows into the table that were not decoded, after adding the columns of the frame that it needs."""
        mark = batch_mark(batch)
        self._fit_frame(cursor, columns, mark, native)
        if self.has_row_numbers:
            self._number_rows(cursor)
        pieces: Iterable[bytes] = rows.pieces
        if rows.format == "binary":
            pieces = chain([BINARY_HEADER], pieces, [BINARY_END])
        row_count = self._copy(cursor, rows.columns, rows.format, pieces)
        if row_count != rows.row_count:
            raise DestinationError(
                "The destination has not stored all rows",
                evidence=(f"{row_count:,} of {rows.row_count:,} rows of a batch",),
            )
        self._register(cursor, mark, row_count)

    def _number_rows(self, cursor: Cursor) -> None:
        """Let the table number the rows of this batch in the order in which they are copied."""
        sequence = self.name.sibling(SEQUENCE_PREFIX + self.name.name[-40:]).identifier()
        cursor.execute(
            sql.SQL("CREATE SEQUENCE IF NOT EXISTS {} CACHE 1000 OWNED BY {}").format(
                sequence, sql.Identifier(self.name.schema, self.name.name, ROW_COLUMN)
            )
        )
        cursor.execute(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT nextval({})").format(
                self.name.identifier(),
                sql.Identifier(ROW_COLUMN),
                sql.Literal(sequence.as_string(cursor)),
            )
        )

    def _set_mark(self, cursor: Cursor, mark: uuid.UUID) -> None:
        """Let the rows that are copied next have this mark.

        ALTER TABLE also locks the table exclusively, so rows of another writer cannot get it.
        """
        cursor.execute(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(
                self.name.identifier(), sql.Identifier(BATCH_COLUMN), sql.Literal(mark)
            )
        )

    def _copy(
        self,
        cursor: Cursor,
        columns: Sequence[str],
        form: str,
        pieces: Iterable[bytes | memoryview],
    ) -> int:
        """Copy rows into the table, and return their number."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {})")
        with cursor.copy(
            command.format(self.name.identifier(), names, sql.Identifier(form))
        ) as copy:
            for piece in pieces:
                copy.write(piece)
                progress.report()
        return cursor.rowcount

    def _register(self, cursor: Cursor, mark: uuid.UUID, row_count: int) -> None:
        if self.holds_only_batch:
            return
        cursor.execute(
            sql.SQL("INSERT INTO {} VALUES (%s, %s, %s)").format(self._batches_table),
            (self.name.name, mark, row_count),
        )

    def require_table(self, cursor: Cursor) -> Table:
        """Return the table's description. Raises DestinationError if the table does not exist."""
        table = find_table(cursor, self.name)
        if table is None:
            raise DestinationError(
                MISSING,
                evidence=(f"there is no table {self.name}",),
            )
        return table

    def require_rows(self, cursor: Cursor, committed: Sequence[Batch]) -> None:
        """Raise PositionGone if staged rows are missing: somebody has removed them, or the server crashed.

        All rows are counted at once, because counting those of each batch takes almost twice as long.
        """
        if self.is_missing:
            raise PositionGone("rows that were staged in the destination are missing")
        count = sql.SQL("SELECT count(*) FROM {}").format(self.name.identifier())
        (staged_rows,) = cursor.execute(count).fetchone() or (0,)
        registered_rows = sum(self._registered_rows(cursor).values())
        committed_rows = sum(batch.rows for batch in committed)
        if staged_rows != registered_rows or staged_rows < committed_rows:
            raise PositionGone("rows that were staged in the destination are missing")

    def delete_uncommitted(self, cursor: Cursor, committed: Sequence[Batch]) -> None:
        """Delete the rows of batches that are not committed. Raises DestinationError if committed rows are missing."""
        staged_rows = self._registered_rows(cursor)
        committed_rows = {batch_mark(batch): batch.rows for batch in committed}
        incomplete_batches = [
            mark for mark, count in committed_rows.items() if staged_rows.get(mark, 0) != count
        ]
        if incomplete_batches:
            raise DestinationError(
                MISSING,
                evidence=(
                    f"{len(incomplete_batches)} of {len(committed)} staged batches are incomplete",
                ),
            )
        uncommitted = [*(staged_rows.keys() - committed_rows.keys())]
        if uncommitted:
            self._delete(cursor, uncommitted)

    def _registered_rows(self, cursor: Cursor) -> dict[uuid.UUID, int]:
        """Return the number of rows of each batch, as it was registered with the batch."""
        query = sql.SQL("SELECT batch, rows FROM {} WHERE staging = %s").format(self._batches_table)
        return dict(cursor.execute(query, (self.name.name,)).fetchall())

    def _delete(self, cursor: Cursor, marks: list[uuid.UUID]) -> None:
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE {} = ANY (%s)").format(
                self.name.identifier(), sql.Identifier(BATCH_COLUMN)
            ),
            (marks,),
        )
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE staging = %s AND batch = ANY (%s)").format(
                self._batches_table
            ),
            (self.name.name, marks),
        )

    @property
    def _batches_table(self) -> sql.Identifier:
        return self.name.sibling(BATCHES_TABLE).identifier()

    def _fit_frame(
        self, cursor: Cursor, frame: pl.DataFrame, mark: uuid.UUID, native: NativeTable
    ) -> pl.DataFrame:
        """Create the table, or add and widen its columns, and return the frame with the table's types.

        The returned frame has no columns without values, except one if all values are null.
        """
        existing_columns: dict[str, Column] = {}
        series_by_name = {}
        columns = {series.name: _column_of(series, native) for series in frame.iter_columns()}
        if self.is_missing:
            self.create_table(cursor, columns, mark)
        else:
            self._set_mark(cursor, mark)
            existing_columns = staged_columns(self.require_table(cursor))
            new_columns = {
                name: column for name, column in columns.items() if name not in existing_columns
            }
            add_columns(cursor, self.name, new_columns)
        self._copies.add_to_table(cursor, self.name, native)
        for name in columns.keys() - existing_columns.keys():
            self._copies.add_to_column(cursor, self.name, name, native)
        for series in frame.iter_columns():
            column, current = columns[series.name], existing_columns.get(series.name)
            if column.type is ColumnType.NATIVE:
                series_by_name[series.name] = series
                continue
            if current is None:
                target = column
            else:
                target = current.widen(column)
                if target.type is not current.type:
                    widen_column(cursor, self.name, series.name, current.type, target)
                if isinstance(series.dtype, pl.Decimal) and target.type is ColumnType.DECIMAL:
                    self._unify_scale(cursor, series.name, series.dtype.scale)
            if column.type is not ColumnType.NULL:
                is_exact = series.dtype.is_decimal() and target.type is ColumnType.DECIMAL
                series_by_name[series.name] = series if is_exact else cast(series, target.dtype)
        if not series_by_name:  # Every value is null, but the batch's rows have to be inserted.
            series_by_name[frame.columns[0]] = frame.to_series(0)
        return pl.DataFrame(series_by_name)

    def _unify_scale(self, cursor: Cursor, name: str, scale: int) -> None:
        """Give the staged numbers at least `scale` decimal places, so that all are spelled in the same way."""
        table, column = self.name.identifier(), sql.Identifier(name)
        query = sql.SQL("SELECT scale({0}) FROM {1} WHERE {0} IS NOT NULL LIMIT 1")
        row = cursor.execute(query.format(column, table)).fetchone()
        if row is not None and row[0] is not None and row[0] < scale:
            change = sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE numeric USING round({}, {})")
            cursor.execute(change.format(table, column, column, sql.Literal(scale)))


def batch_mark(batch: Batch) -> uuid.UUID:
    """Return the mark of the batch's rows: its id as a UUID."""
    try:
        return uuid.UUID(batch.id)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, batch.id)


def _column_of(series: pl.Series, native: NativeTable) -> Column:
    native_type = native.type_of(series.name)
    return Column.of_native_type(native_type) if native_type else column_of(series.dtype)


def staged_columns(table: Table) -> dict[str, Column]:
    """Return the columns of a staging table with values of the stream, by name."""
    return {
        name: column.column
        for name, column in table.columns.items()
        if name not in {BATCH_COLUMN, ROW_COLUMN}
    }
