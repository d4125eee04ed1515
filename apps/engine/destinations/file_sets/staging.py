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
from apps.engine.destinations.file_sets.formats import file_schema
from apps.engine.destinations.names import valid_key_part
from apps.engine.failures import DestinationError
from apps.engine.frames.columns import NULL, Column, ColumnType, column_of
from apps.engine.stores import Store

EXTENSION = ".parquet"
ABANDONED_AFTER = timedelta(days=7)
# The metadata key for the names of columns without values. These columns are written as text, so that the file can be
# published unchanged.
_NULL_COLUMNS = "drover.null_columns"

Compression = Literal["lz4", "uncompressed", "snappy", "gzip", "zstd"]


class Staging:
    """The parts that a job has staged below `<folder>/_staging/<job>/`, by batch id."""

    def __init__(self, store: Store, folder: str, job_id: str, compression: str) -> None:
        self._store = store
        self._staging_folder = f"{folder}/_staging/"
        self._job_folder = f"{self._staging_folder}{valid_key_part(job_id)}/"
        self._compression = cast("Compression", compression)
        self._columns: dict[str, dict[str, Column]] = {}

    def part_key(self, batch: Batch) -> str:
        return f"{self._job_folder}{valid_key_part(batch.id)}{EXTENSION}"

    def add(self, frame: pl.DataFrame, batch: Batch) -> None:
        columns = {name: column_of(dtype) for name, dtype in frame.schema.items()}
        empty_columns = [name for name, column in columns.items() if column.type is ColumnType.NULL]
        frame = (
            frame.with_columns(pl.col(empty_columns).cast(pl.String)) if empty_columns else frame
        )
        with self._store.sink(self.part_key(batch)) as sink:
            frame.write_parquet(
                sink,
                compression=self._compression,
                metadata={_NULL_COLUMNS: json.dumps(empty_columns)},
            )
        self._columns[batch.id] = columns

    def read_columns(self, batch: Batch) -> dict[str, Column]:
        """Return the columns of a staged part. Raises FileNotFoundError."""
        if batch.id not in self._columns:
            self._columns[batch.id] = _read_part_columns(
                self._store.path_or_bytes(self.part_key(batch))
            )
        return self._columns[batch.id]

    def read_frame(self, batch: Batch) -> pl.DataFrame:
        """Return the rows of a staged part. Raises FileNotFoundError."""
        return pl.read_parquet(self._store.path_or_bytes(self.part_key(batch)))

    def has_target_columns(self, batch: Batch, target: pl.Schema) -> bool:
        """Return whether the staged part has exactly the target's columns, in the same order."""
        return list(file_schema(self.read_columns(batch)).items()) == list(target.items())

    def roll_back(self, committed: Sequence[Batch]) -> None:
        """Remove staged parts that were not committed. Raises DestinationError if committed data is missing."""
        committed_keys = {self.part_key(batch) for batch in committed}
        staged_keys = {entry.key for entry in self._store.entries(self._job_folder)}
        self._store.delete(staged_keys - committed_keys)
        missing_batches = [
            batch for batch in committed if batch.rows and self.part_key(batch) not in staged_keys
        ]
        if missing_batches:
            raise DestinationError(
                "Data that was staged for this sync is missing: reset the stream to read it again",
                evidence=(f"{len(missing_batches)} of {len(committed)} staged parts are missing",),
            )

    def clear(self) -> None:
        self._store.delete([entry.key for entry in self._store.entries(self._job_folder)])
        self._columns.clear()

    def remove_abandoned_parts(self) -> None:
        """Remove the parts of other jobs that have staged nothing for a week and are therefore not running."""
        cutoff = datetime.now(UTC) - ABANDONED_AFTER
        last_modified: dict[str, datetime] = {}
        keys_by_job: dict[str, list[str]] = {}
        for entry in self._store.entries(self._staging_folder):
            job = entry.key.removeprefix(self._staging_folder).split("/")[0]
            last_modified[job] = max(entry.modified, last_modified.get(job, entry.modified))
            keys_by_job.setdefault(job, []).append(entry.key)
        for job, modified in last_modified.items():
            if modified < cutoff and f"{self._staging_folder}{job}/" != self._job_folder:
                self._store.delete(keys_by_job[job])


def _read_part_columns(part: Path | bytes) -> dict[str, Column]:
    source: Any = part if isinstance(part, Path) else io.BytesIO(part)
    metadata = pl.read_parquet_metadata(source)
    if not isinstance(part, Path):
        source.seek(0)
    empty_columns = set(json.loads(metadata.get(_NULL_COLUMNS, "[]")))
    schema = pl.read_parquet_schema(source)
    return {
        name: NULL if name in empty_columns else column_of(dtype) for name, dtype in schema.items()
    }
