"""The committed parts of a job, converted to Parquet files with the same columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from apps.engine.destinations.base import Batch
from apps.engine.destinations.file_sets.formats import physical
from apps.engine.destinations.file_sets.staging import Staging
from apps.engine.frames.columns import NULL, STRING, Column, InexactCast, fit_frame
from apps.engine.stores.local import LocalStore


class Incoming:
    """The job's parts, prepared before the database is opened. Raises FileNotFoundError if a part is missing."""

    def __init__(self, store: LocalStore, staging: Staging, committed: Sequence[Batch]) -> None:
        self._store = store
        self._staging = staging
        self._batches = [batch for batch in committed if batch.rows]
        self.rows = sum(batch.rows for batch in self._batches)
        self.columns = self._joined(committed)
        self.stored = _stored(self.columns)  # maps each field to its column in the files
        self.files = self._prepared()

    def _joined(self, committed: Sequence[Batch]) -> dict[str, Column]:
        columns: dict[str, Column] = {}
        for batch in committed:
            if batch.rows or self._store.size(self._staging.key(batch)):
                for name, column in self._staging.columns(batch).items():
                    columns[name] = columns.get(name, NULL).widen(column)
        return columns

    def _prepared(self) -> list[Path]:
        while True:
            try:
                return list(self._fitted(physical(self.columns)))
            except InexactCast as error:
                self.columns[error.name] = STRING

    def _fitted(self, target: pl.Schema) -> Iterator[Path]:
        for batch in self._batches:
            key = self._staging.key(batch)
            renamed = self.stored.keys() != set(self.stored.values())
            if renamed or not self._staging.is_finished(batch, target):
                frame = fit_frame(self._staging.frame(batch), target).rename(self.stored)
                key = key.replace(".parquet", ".fitted.parquet")
                with self._store.sink(key) as sink:
                    frame.write_parquet(sink, compression="lz4")
            yield self._store.path(key)


def _stored(columns: Mapping[str, Column]) -> dict[str, str]:
    """Return column names that DuckDB can distinguish when it reads the files: the fields' own names, or numbers."""
    folded = {name.lower() for name in columns}
    if len(folded) == len(columns) and not folded & {"", "filename", "file_row_number"}:
        return {name: name for name in columns}
    return {name: f"c{number}" for number, name in enumerate(columns)}


def column_names(names: Mapping[str, Column], taken: Sequence[str]) -> dict[str, str]:
    """Return each field's column. DuckDB ignores case: fields that differ only in case get a number appended."""
    made: dict[str, str] = {}
    used: set[str] = set()
    known = {name.lower(): name for name in taken}
    for name in names:
        wanted = known.get(name.lower(), name) or "column"
        number = 2
        while wanted.lower() in used:
            wanted, number = f"{name}_{number}", number + 1
        used.add(wanted.lower())
        made[name] = wanted
    return made
