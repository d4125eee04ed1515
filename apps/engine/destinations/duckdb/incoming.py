"""The committed parts of a job, converted to Parquet files with the same columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from apps.engine.destinations.base import Batch
from apps.engine.destinations.file_sets.formats import file_schema
from apps.engine.destinations.file_sets.parquet_files import write_file
from apps.engine.destinations.file_sets.staging import Staging
from apps.engine.frames.columns import NULL, STRING, Column, InexactCast, fit_frame
from apps.engine.stores.local import LocalStore


class IncomingFiles:
    """The job's parts, prepared before the database is opened. Raises FileNotFoundError if a part is missing."""

    def __init__(self, store: LocalStore, staging: Staging, committed: Sequence[Batch]) -> None:
        self._store = store
        self._staging = staging
        self._batches = [batch for batch in committed if batch.rows]
        self.rows = sum(batch.rows for batch in self._batches)
        self.columns = self._join_columns(committed)
        # Maps each field to its column in the files.
        self.stored_names = _stored_names(self.columns)
        self.files = self._write_files()

    def _join_columns(self, committed: Sequence[Batch]) -> dict[str, Column]:
        columns: dict[str, Column] = {}
        for batch in committed:
            if batch.rows or self._store.size(self._staging.part_key(batch)):
                for name, column in self._staging.read_columns(batch).items():
                    columns[name] = columns.get(name, NULL).widen(column)
        return columns

    def _write_files(self) -> list[Path]:
        while True:
            try:
                return list(self._fitted_files())
            except InexactCast as error:
                self.columns[error.name] = STRING

    def _fitted_files(self) -> Iterator[Path]:
        target = file_schema(self.columns)
        stored_columns = {self.stored_names[name]: self.columns[name] for name in self.columns}
        for batch in self._batches:
            key = self._staging.part_key(batch)
            is_renamed = self.stored_names.keys() != set(self.stored_names.values())
            if is_renamed or not self._staging.has_target_columns(batch, self.columns):
                frame = fit_frame(self._staging.read_frame(batch), target).rename(self.stored_names)
                key = key.replace(".parquet", ".fitted.parquet")
                with self._store.sink(key) as sink:
                    write_file(frame, sink, stored_columns, compression="lz4")
            yield self._store.path(key)


def _stored_names(columns: Mapping[str, Column]) -> dict[str, str]:
    """Return a column name for each field: its own name, or a numbered name if DuckDB would confuse the names."""
    lower_names = {name.lower() for name in columns}
    if len(lower_names) == len(columns) and not lower_names & {"", "filename", "file_row_number"}:
        return {name: name for name in columns}
    return {name: f"c{number}" for number, name in enumerate(columns)}


def column_names(fields: Mapping[str, Column], existing: Sequence[str]) -> dict[str, str]:
    """Return the name of each field's column in a table with the `existing` columns.

    DuckDB ignores case, so a number is appended to a name that differs from an earlier one only in case.
    """
    columns: dict[str, str] = {}
    used_names: set[str] = set()
    existing_by_lower_name = {name.lower(): name for name in existing}
    for name in fields:
        column = existing_by_lower_name.get(name.lower(), name) or "column"
        number = 2
        while column.lower() in used_names:
            column, number = f"{name}_{number}", number + 1
        used_names.add(column.lower())
        columns[name] = column
    return columns
