"""Read Parquet by row groups, each in batches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from apps.engine.sources.files.arrow_frames import to_frame
from apps.engine.sources.files.readers import Piece, Position
from apps.engine.sources.http.responses import PermanentSourceError

# What Arrow says about damaged files in an OSError, which it also raises for a store that cannot be reached.
DAMAGED = re.compile(
    r"corrupt|unexpected end|thrift|snappy|zstd|lz4|brotli|gzip|inflate|malformed", re.I
)


class ParquetReader:
    """Reads one Parquet file."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        self._label = label
        with self._explained("is not Parquet"):
            # INT96 counts nanoseconds, of which 64 bits end in the year 2262.
            self._parquet = parquet.ParquetFile(file, coerce_int96_timestamp_unit="us")
            self._nanoseconds = _NanosecondColumns(file, self._parquet)
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._next_batch: tuple[int, int, int] | None = None  # group, row, page size

    def read(self, position: Position, page_size: int) -> Piece:
        group, row = int(position.get("group", 0)), int(position.get("row", 0))
        groups = self._parquet.num_row_groups
        if group >= groups:
            return Piece(to_frame(_empty_batch(self._parquet.schema_arrow), self._label), None)
        with self._explained("is damaged"):
            batch = self._batch_at(group, row, page_size)
        end = row + batch.num_rows
        group_rows = self._parquet.metadata.row_group(group).num_rows
        self._next_batch = (group, end, page_size)
        if end < group_rows:
            next_position: Position | None = {"group": group, "row": end}
        else:
            next_position = {"group": group + 1, "row": 0} if group + 1 < groups else None
        frame = to_frame(batch, self._label)
        with self._explained("is damaged"):
            frame = self._nanoseconds.restore(frame, group, row)
        return Piece(frame, next_position)

    def row_count(self) -> int | None:
        return int(self._parquet.metadata.num_rows)

    def describe(self) -> str:
        return f"Parquet, {self._parquet.metadata.num_rows:,} rows"

    @contextmanager
    def _explained(self, problem: str) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
            raise PermanentSourceError(
                f"{self._label} {problem}", evidence=(str(error)[:300],)
            ) from error
        except OSError as error:
            if error.errno is not None or not DAMAGED.search(str(error)):
                raise  # The store could not be read, which may work later.
            raise PermanentSourceError(
                f"{self._label} {problem}", evidence=(str(error)[:300],)
            ) from error

    def _batch_at(self, group: int, row: int, page_size: int) -> pa.RecordBatch:
        """Return the batch at a row of a group. Rows before it are skipped, except when batches are read in order."""
        if self._next_batch != (group, row, page_size):
            self._batches = self._parquet.iter_batches(batch_size=page_size, row_groups=[group])
            for batch in self._batches:
                if row < batch.num_rows:
                    return batch.slice(row)
                row -= batch.num_rows
        return next(self._batches, _empty_batch(self._parquet.schema_arrow))


class _NanosecondColumns:
    """The INT96 columns of a file that have parts of microseconds. They become texts, so that no digit is lost."""

    def __init__(self, file: BinaryIO, coerced: parquet.ParquetFile) -> None:
        names = _int96_columns(coerced)
        self._coerced = coerced
        self._exact = parquet.ParquetFile(file) if names else coerced
        self._names = [name for name in names if self._has_parts_of_microseconds(name)]

    def restore(self, frame: pl.DataFrame, group: int, row: int) -> pl.DataFrame:
        """Replace the columns by their exact texts. The frame has the rows from `row` of the group."""
        if not self._names:
            return frame
        exact = self._exact.read_row_group(group, columns=self._names).slice(row, frame.height)
        return frame.with_columns(
            _texts(frame[name], _parts_of_microseconds(frame[name], exact[name]))
            for name in self._names
        )

    def _has_parts_of_microseconds(self, name: str) -> bool:
        pairs = zip(
            self._coerced.iter_batches(columns=[name]),
            self._exact.iter_batches(columns=[name]),
            strict=True,
        )
        return any(
            (_parts_of_microseconds(_series(coerced[0]), exact[0]) != 0).any()
            for coerced, exact in pairs
        )


def _int96_columns(file: parquet.ParquetFile) -> list[str]:
    """Return the columns of type INT96 that are not nested."""
    columns = [file.schema.column(index) for index in range(len(file.schema))]
    return [
        column.path
        for column in columns
        if column.physical_type == "INT96" and column.path == column.name
    ]


def _parts_of_microseconds(microseconds: pl.Series, nanoseconds: pa.Array) -> pl.Series:
    """Return the nanoseconds after the microseconds.

    64 bits of nanoseconds overflow at far dates, and so does the product here, so that the difference is right.
    """
    return _series(nanoseconds.cast(pa.int64())) - microseconds.to_physical() * 1000


def _texts(microseconds: pl.Series, parts: pl.Series) -> pl.Series:
    texts = microseconds.dt.to_string("%Y-%m-%dT%H:%M:%S%.6f")
    return (texts + parts.cast(pl.String).str.zfill(3)).alias(microseconds.name)


def _series(array: pa.Array) -> pl.Series:
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)  # noqa: S101 - an array becomes a series
    return series


def _empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)
