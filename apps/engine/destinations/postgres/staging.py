"""The job's staging table: LOGGED, in the target's schema, each row marked with its batch.

`_drover_batches` lists the batches of every staging table of the schema and their row counts. It is
written in the transaction that copies the rows, so rows never have to be counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import polars as pl
from psycopg import sql

from apps.engine.destinations.base import Batch
from apps.engine.destinations.postgres.copying import csv_slices
from apps.engine.destinations.postgres.identifiers import BATCH, BATCHES, ROW, TableName
from apps.engine.destinations.postgres.tables import Table, add_column, look, widen_column
from apps.engine.failures import DestinationError
from apps.engine.frames.columns import Column, ColumnType, cast, column_of
from apps.engine.postgres import Cursor
from apps.engine.process.progress import progress

MAKE_BATCHES = """
CREATE TABLE IF NOT EXISTS {} (
    staging text, batch uuid, rows bigint NOT NULL, PRIMARY KEY (staging, batch)
)"""


class Staging:
    """The rows that one job has staged. Every method runs in the cursor's transaction."""

    def __init__(self, name: TableName, *, ordered: bool) -> None:
        self.name = name
        self._ordered = ordered  # Keep the order of records, which merging needs.

    def make(self, cursor: Cursor) -> None:
        if look(cursor, self.name.beside(BATCHES)) is None:
            cursor.execute(sql.SQL(MAKE_BATCHES).format(self._batches))
        order = sql.SQL(", {} bigint").format(sql.Identifier(ROW))
        cursor.execute(
            sql.SQL("CREATE TABLE IF NOT EXISTS {} ({} uuid{})").format(
                self.name.quoted(), sql.Identifier(BATCH), order if self._ordered else sql.SQL("")
            )
        )

    def drop(self, cursor: Cursor) -> None:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self.name.quoted()))
        self.forget(cursor)

    def forget(self, cursor: Cursor) -> None:
        """Stop treating the table as a staging table."""
        if look(cursor, self.name.beside(BATCHES)) is not None:
            cursor.execute(
                sql.SQL("DELETE FROM {} WHERE staging = %s").format(self._batches),
                (self.name.name,),
            )

    def lock(self, cursor: Cursor) -> None:
        """Lock the table exclusively, waiting for other writers. Raises DestinationError if it does not exist."""
        self.table(cursor)
        cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(self.name.quoted()))

    def add(self, cursor: Cursor, frame: pl.DataFrame, batch: Batch) -> None:
        """Copy the frame into the table after adding the columns and types it needs."""
        mark = batch_mark(batch)
        # ALTER TABLE takes the exclusive lock too, so another writer's rows cannot get our batch's mark.
        cursor.execute(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(
                self.name.quoted(), sql.Identifier(BATCH), sql.Literal(mark)
            )
        )
        frame = self._fitted(cursor, frame)
        if self._ordered:
            frame = frame.with_row_index(ROW)
        if frame.width == 1:  # Older servers end the data at a line that contains only \.
            frame = frame.with_columns(pl.lit(str(mark)).alias(BATCH))
        names = sql.SQL(", ").join(map(sql.Identifier, frame.columns))
        command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)")
        with cursor.copy(command.format(self.name.quoted(), names)) as copy:
            for piece in csv_slices(frame):
                copy.write(piece)
                progress.report()
        cursor.execute(
            sql.SQL("INSERT INTO {} VALUES (%s, %s, %s)").format(self._batches),
            (self.name.name, mark, frame.height),
        )

    def columns(self, cursor: Cursor) -> dict[str, Column]:
        """Return the staged columns, by name."""
        return _columns(self.table(cursor))

    def table(self, cursor: Cursor) -> Table:
        """Return the table's description. Raises DestinationError if the table does not exist."""
        found = look(cursor, self.name)
        if found is None:
            raise DestinationError(
                "Data that was staged for this sync is missing: reset the stream to read it again",
                evidence=(f"there is no table {self.name}",),
            )
        return found

    def keep_only(self, cursor: Cursor, committed: Sequence[Batch]) -> None:
        """Delete the rows of other batches. Raises DestinationError if committed rows are missing."""
        listed = sql.SQL("SELECT batch, rows FROM {} WHERE staging = %s").format(self._batches)
        rows: dict[uuid.UUID, int] = dict(cursor.execute(listed, (self.name.name,)).fetchall())
        kept = {batch_mark(batch): batch.rows for batch in committed}
        missing = [count for mark, count in kept.items() if rows.get(mark, 0) != count]
        if missing:
            raise DestinationError(
                "Data that was staged for this sync is missing: reset the stream to read it again",
                evidence=(f"{len(missing)} of {len(committed)} staged batches are incomplete",),
            )
        others = [*(rows.keys() - kept.keys())]
        if others:
            self._delete(cursor, others)

    def _delete(self, cursor: Cursor, marks: list[uuid.UUID]) -> None:
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE {} = ANY (%s)").format(
                self.name.quoted(), sql.Identifier(BATCH)
            ),
            (marks,),
        )
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE staging = %s AND batch = ANY (%s)").format(self._batches),
            (self.name.name, marks),
        )

    @property
    def _batches(self) -> sql.Identifier:
        return self.name.beside(BATCHES).quoted()

    def _fitted(self, cursor: Cursor, frame: pl.DataFrame) -> pl.DataFrame:
        """Widen the table to the frame, and the frame to the table. Columns without values are left out."""
        have = _columns(self.table(cursor))
        made = {}
        for series in frame.iter_columns():
            column = column_of(series.dtype)
            known = have.get(series.name)
            if known is None:
                add_column(cursor, self.name, series.name, column)
                wanted = column
            else:
                wanted = known.widen(column)
                if wanted.type is not known.type:
                    widen_column(cursor, self.name, series.name, known.type, wanted)
            if column.type is not ColumnType.NULL:
                exact = series.dtype.is_decimal() and wanted.type is ColumnType.DECIMAL
                made[series.name] = series if exact else cast(series, wanted.dtype)
        if not made:  # Insert the rows of a batch in which every value is null.
            made[frame.columns[0]] = frame.to_series(0)
        return pl.DataFrame(made)


def batch_mark(batch: Batch) -> uuid.UUID:
    """Return the batch's id as the 16 bytes that every staged row carries."""
    try:
        return uuid.UUID(batch.id)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, batch.id)


def _columns(table: Table) -> dict[str, Column]:
    return {
        name: Column(column.kind or ColumnType.STRING)
        for name, column in table.columns.items()
        if name not in {BATCH, ROW}
    }
