"""Staged parts of one job: typed Parquet files in a folder that readers ignore."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import polars as pl

from apps.engine.destinations.base import Batch
from apps.engine.destinations.file_sets.formats import have_same_types
from apps.engine.destinations.file_sets.parquet_files import Compression, read_file, write_file
from apps.engine.destinations.names import valid_key_part
from apps.engine.failures import DestinationError
from apps.engine.frames.columns import NULL, Column, ColumnType, column_of
from apps.engine.frames.native import NO_NATIVE_TYPES, NativeTable
from apps.engine.stores import Store

EXTENSION = ".parquet"
ABANDONED_AFTER = timedelta(days=7)
# The metadata key for the names of columns without values. These columns are written as text, so that the file can be
# published unchanged.
_NULL_COLUMNS = "drover.null_columns"
# The metadata key for the native types of columns.
_NATIVE_TYPES = "drover.native_types"


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

    def add(self, frame: pl.DataFrame, batch: Batch, native: NativeTable = NO_NATIVE_TYPES) -> None:
        columns = {
            name: _column(dtype, native.type_of(name)) for name, dtype in frame.schema.items()
        }
        empty_columns = [name for name, column in columns.items() if column.type is ColumnType.NULL]
        native_types = {name: column.native for name, column in columns.items() if column.native}
        frame = (
            frame.with_columns(pl.col(empty_columns).cast(pl.String)) if empty_columns else frame
        )
        metadata = {_NULL_COLUMNS: json.dumps(empty_columns)}
        if native_types:
            metadata[_NATIVE_TYPES] = json.dumps(native_types)
        with self._store.sink(self.part_key(batch)) as sink:
            write_file(frame, sink, columns, compression=self._compression, metadata=metadata)
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
        part = self._store.path_or_bytes(self.part_key(batch))
        return read_file(part, self.read_columns(batch))

    def has_target_columns(self, batch: Batch, target: Mapping[str, Column]) -> bool:
        """Return whether the staged part has exactly the target's columns, in the same order."""
        return have_same_types(self.read_columns(batch), target)

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
    native_types = json.loads(metadata.get(_NATIVE_TYPES, "{}"))
    schema = pl.read_parquet_schema(source)
    return {
        name: _column(dtype, native_types.get(name, ""), is_empty=name in empty_columns)
        for name, dtype in schema.items()
    }


def _column(dtype: pl.DataType, native_type: str, *, is_empty: bool = False) -> Column:
    if native_type:
        return Column.of_native_type(native_type)
    return NULL if is_empty else column_of(dtype)
