"""Read some rows of a Parquet file without decoding the rest of it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from apps.engine.destinations.file_sets.parquet_files import uuid_texts
from apps.engine.frames.columns import Column

BATCH_ROWS = 256


def read_frame(
    part: Path | bytes,
    columns: Mapping[str, Column],
    names: Sequence[str],
    offset: int,
    limit: int,
) -> pl.DataFrame:
    """Return `limit` rows after the first `offset`, with those of the columns that the file has."""
    source = io.BytesIO(part) if isinstance(part, bytes) else part
    with parquet.ParquetFile(source, arrow_extensions_enabled=False, pre_buffer=False) as file:
        present = [name for name in names if name in file.schema_arrow.names]
        batches = list(_batches(file, present, offset, limit))
    frame = pl.from_arrow(pa.Table.from_batches(batches)) if batches else pl.DataFrame()
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table becomes a frame
    wanted = {name: column for name, column in columns.items() if name in frame.columns}
    return frame.with_columns(uuid_texts(wanted))


def _batches(
    file: parquet.ParquetFile, names: list[str], offset: int, limit: int
) -> Iterator[pa.RecordBatch]:
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if offset >= rows:
            offset -= rows
            continue
        for batch in file.iter_batches(
            batch_size=BATCH_ROWS, row_groups=[group], columns=names, use_threads=False
        ):
            if offset >= batch.num_rows:
                offset -= batch.num_rows
                continue
            taken = batch.slice(offset, limit)
            yield taken
            offset, limit = 0, limit - taken.num_rows
            if limit <= 0:
                return
