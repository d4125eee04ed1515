"""The committed parts of a job, converted to Parquet files with the same columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from apps.engine.destinations.base import Batch
from apps.engine.destinations.file_sets.formats import file_schema
from apps.engine.destinations.file_sets.parquet_files import write_file
from apps.engine.destinations.file_sets.staging import Staging
from apps.engine.frames.columns import NULL, STRING, Column, InexactCast, fit_frame
from apps.engine.stores.local import LocalStore

EMPTY_NAME = "column"  # of a field whose name is empty


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

    DuckDB ignores case. If fields differ only in case, one of them has its own name, preferably the one that has it in the
    table. A number is appended to the others, which is free also among the names of all fields.
    """
    existing_names = {name.lower(): name for name in existing}
    owners: dict[str, str] = {}
    for field in fields:
        name = field or EMPTY_NAME
        if name.lower() not in owners or existing_names.get(name.lower()) == field:
            owners[name.lower()] = field
    columns: dict[str, str] = {}
    used_names: set[str] = set()
    for field in sorted(fields, key=lambda field: owners[(field or EMPTY_NAME).lower()] == field):
        name = field or EMPTY_NAME
        is_owner = owners[name.lower()] == field and name.lower() not in used_names
        column = name if is_owner else _numbered_name(name, owners, existing_names, used_names)
        columns[field] = existing_names.get(column.lower(), column)
        used_names.add(column.lower())
    return {field: columns[field] for field in fields}


def _numbered_name(
    name: str, fields: Collection[str], existing: Collection[str], used: Collection[str]
) -> str:
    """Return the name with a number. `fields`, `existing` and `used` are names in lower case."""
    numbered = (f"{name}_{number}" for number in count(2))
    candidates = (candidate for candidate in numbered if candidate.lower() not in used)
    passed: list[str] = []  # candidates that are the names of other fields
    for candidate in candidates:
        if candidate.lower() not in fields:
            # An older release gave the first of these names to a table that has no better one.
            older = next((item for item in passed if item.lower() in existing), None)
            return older if older and candidate.lower() not in existing else candidate
        passed.append(candidate)
    raise AssertionError("the numbers never end")
