"""Staged parts of one job: typed Parquet files in a folder that readers ignore."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import polars as pl

from apps.engine.destinations.base import Batch
from apps.engine.destinations.file_sets.formats import physical
from apps.engine.destinations.names import key_part
from apps.engine.failures import DestinationError
from apps.engine.frames.columns import NULL, Column, ColumnType, column_of
from apps.engine.stores import Store

EXTENSION = ".parquet"
FORGOTTEN_AFTER = timedelta(days=7)
_NULL_COLUMNS = (
    "drover.null_columns"  # Written as text, so that the file may be published unchanged.
)

Compression = Literal["lz4", "uncompressed", "snappy", "gzip", "zstd"]


class Staging:
    """The parts that a job has staged below `<folder>/_staging/<job>/`, by batch id."""

    def __init__(self, store: Store, folder: str, job_id: str, compression: str) -> None:
        self._store = store
        self._root = f"{folder}/_staging/"
        self._own = f"{self._root}{key_part(job_id)}/"
        self._compression = cast("Compression", compression)
        self._columns: dict[str, dict[str, Column]] = {}

    def key(self, batch: Batch) -> str:
        return f"{self._own}{key_part(batch.id)}{EXTENSION}"

    def add(self, frame: pl.DataFrame, batch: Batch) -> None:
        columns = {name: column_of(dtype) for name, dtype in frame.schema.items()}
        empty = [name for name, column in columns.items() if column.type is ColumnType.NULL]
        frame = frame.with_columns(pl.col(empty).cast(pl.String)) if empty else frame
        with self._store.sink(self.key(batch)) as sink:
            frame.write_parquet(
                sink, compression=self._compression, metadata={_NULL_COLUMNS: json.dumps(empty)}
            )
        self._columns[batch.id] = columns

    def columns(self, batch: Batch) -> dict[str, Column]:
        """The columns of a staged part. Raises FileNotFoundError."""
        if batch.id not in self._columns:
            self._columns[batch.id] = _columns_of(self._store.readable(self.key(batch)))
        return self._columns[batch.id]

    def frame(self, batch: Batch) -> pl.DataFrame:
        """The rows of a staged part. Raises FileNotFoundError."""
        return pl.read_parquet(self._store.readable(self.key(batch)))

    def is_finished(self, batch: Batch, target: pl.Schema) -> bool:
        """Whether the staged file has exactly these columns, in this order."""
        return list(physical(self.columns(batch)).items()) == list(target.items())

    def roll_back(self, committed: Sequence[Batch]) -> None:
        """Remove staged parts that were not committed. Raises DestinationError if committed data is missing."""
        kept = {self.key(batch) for batch in committed}
        found = {entry.key for entry in self._store.entries(self._own)}
        self._store.delete(found - kept)
        lost = [batch for batch in committed if batch.rows and self.key(batch) not in found]
        if lost:
            raise DestinationError(
                "Data that was staged for this sync is missing: reset the stream to read it again",
                evidence=(f"{len(lost)} of {len(committed)} staged parts are missing",),
            )

    def clear(self) -> None:
        self._store.delete([entry.key for entry in self._store.entries(self._own)])
        self._columns.clear()

    def sweep(self) -> None:
        """Remove parts that other jobs left behind; a running job would have staged within the last week."""
        limit = datetime.now(UTC) - FORGOTTEN_AFTER
        newest: dict[str, datetime] = {}
        keys: dict[str, list[str]] = {}
        for entry in self._store.entries(self._root):
            job = entry.key.removeprefix(self._root).split("/")[0]
            newest[job] = max(entry.modified, newest.get(job, entry.modified))
            keys.setdefault(job, []).append(entry.key)
        for job, modified in newest.items():
            if modified < limit and f"{self._root}{job}/" != self._own:
                self._store.delete(keys[job])


def _columns_of(part: Path | bytes) -> dict[str, Column]:
    source: Any = part if isinstance(part, Path) else io.BytesIO(part)
    metadata = pl.read_parquet_metadata(source)
    if not isinstance(part, Path):
        source.seek(0)
    empty = set(json.loads(metadata.get(_NULL_COLUMNS, "[]")))
    schema = pl.read_parquet_schema(source)
    return {name: NULL if name in empty else column_of(dtype) for name, dtype in schema.items()}
