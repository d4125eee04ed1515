"""Decode pages of records to typed polars frames, batch by batch, under one schema that only widens.

A `StreamSchema` keeps the columns of a stream across batches and restarts. Every record of a page is
either in the frame or rejected: read == frame.height + len(rejected).
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, TypedDict

import polars as pl

from apps.engine.contract import FieldInfo
from apps.engine.failures import ContractError
from apps.engine.frames.columns import NULL, Column, ColumnJson, cast
from apps.engine.frames.values import Typed, Unrepresentable, normal_series, series_of

MAX_COLUMNS = 1500  # PostgreSQL allows 1,600
MAX_NAME_BYTES = 1024

Record = Mapping[str, object]

_sample = reprlib.Repr()  # orjson accepts such limits as arguments only from Python 3.12 on.
_sample.maxdict, _sample.maxstring, _sample.maxother, _sample.maxlevel = 8, 60, 60, 3


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot become a typed row: the reason, and the beginning of its text."""

    reason: str
    sample: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A page as a frame with the stream's columns, and the records that are not in it."""

    frame: pl.DataFrame
    rejected: list[Rejected]


class NamedColumn(ColumnJson):
    name: str


class SchemaJson(TypedDict):
    """A stream's columns as the engine's state keeps them."""

    version: int
    columns: list[NamedColumn]


class StreamSchema:
    """The columns of one stream, in the order they were first seen. Not thread-safe."""

    def __init__(self, columns: Mapping[str, Column] | None = None) -> None:
        self.columns: dict[str, Column] = dict(columns or {})

    def decode(self, rows: Sequence[Any]) -> Decoded:
        """Convert a page of dicts, or of objects with a dict as `data`, and widen the schema to hold it."""
        records, rejected = _records(rows)
        typed = self._typed(records, rejected)
        return Decoded(self._conformed(typed), rejected)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Convert a frame of any dtypes to the stream's columns, widening the schema to hold it.

        Raises ContractError if the stream would have more than MAX_COLUMNS columns.
        """
        if len(self.columns.keys() | set(frame.columns)) > MAX_COLUMNS:
            raise ContractError(f"The stream has more than {MAX_COLUMNS:,} columns")
        return self._conformed([normal_series(series) for series in frame.iter_columns()])

    def fields(self) -> tuple[FieldInfo, ...]:
        """Return the columns as the catalogue describes them."""
        return tuple(FieldInfo(name, column.field_type) for name, column in self.columns.items())

    def to_json(self) -> SchemaJson:
        columns: list[NamedColumn] = [
            {"name": name, **column.to_json()} for name, column in self.columns.items()
        ]
        return {"version": 1, "columns": columns}

    @classmethod
    def from_json(cls, value: SchemaJson) -> StreamSchema:
        return cls({item["name"]: Column.from_json(item) for item in value["columns"]})

    def _typed(self, records: list[Record], rejected: list[Rejected]) -> list[Typed]:
        """Return one series per column; records that do not fit are moved to `rejected`."""
        try:
            return self._inferred(records)
        except (Unrepresentable, UnicodeError):
            kept = self._sift(records, rejected)
            return self._inferred(kept)

    def _inferred(self, records: list[Record]) -> list[Typed]:
        names, complete = _names(records)
        if len(self.columns.keys() | set(names)) > MAX_COLUMNS or not all(map(_nameable, names)):
            raise Unrepresentable("a column cannot be created")
        if complete:
            return [series_of(name, list(map(itemgetter(name), records))) for name in names]
        return [series_of(name, [record.get(name) for record in records]) for name in names]

    def _sift(self, records: Iterable[Record], rejected: list[Rejected]) -> list[Record]:
        kept, names = [], set(self.columns)
        for record in records:
            reason = _too_wide(names, record) or _unfit(
                record
            )  # the second check examines each field
            if reason:
                rejected.append(Rejected(reason, _sample.repr(record)))
                continue
            names.update(record)
            kept.append(record)
        return kept

    def _conformed(self, typed: list[Typed]) -> pl.DataFrame:
        height = len(typed[0][0]) if typed else 0
        found = {}
        for series, column in typed:
            known = self.columns.get(series.name, NULL)
            self.columns[series.name] = known.widen(column)
            found[series.name] = series
        return pl.DataFrame(
            {
                name: cast(found[name], column.dtype)
                if name in found
                else pl.Series([None], dtype=column.dtype).new_from_index(0, height)
                for name, column in self.columns.items()
            }
        )


def _records(rows: Sequence[Any]) -> tuple[list[Record], list[Rejected]]:
    """Unwrap source records. Anything that is not an object with at least one field is rejected."""
    if set(map(type, rows)) == {dict} and all(rows):
        return list(rows), []
    records: list[Record] = []
    rejected: list[Rejected] = []
    for row in rows:
        record = row if isinstance(row, Mapping) else getattr(row, "data", row)
        if isinstance(record, Mapping) and record:
            records.append(record)
            continue
        reason = "the record has no fields" if isinstance(record, Mapping) else "not an object"
        rejected.append(Rejected(reason, _sample.repr(record)))
    return records, rejected


def _names(records: list[Record]) -> tuple[list[str], bool]:
    """Return the column names in order of appearance, and whether every record has all of them."""
    if not records:
        return [], True
    names = dict.fromkeys(chain.from_iterable(records))
    return list(names), set(map(len, records)) == {len(names)}


def _nameable(name: Any) -> bool:
    try:
        # PostgreSQL cannot store NUL, not even in JSON, where the columns of a stream are stored.
        return type(name) is str and "\0" not in name and len(name.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False


def _unfit(record: Record) -> str | None:
    """Return the reason why this record cannot be a row, or None."""
    for name, value in record.items():
        if not _nameable(name):
            return "a field's name cannot be a column name"
        try:
            series_of(name, [value])
        except UnicodeError:
            return "text that is not valid Unicode"
        except Unrepresentable as error:
            return str(error)
    return None


def _too_wide(names: set[str], record: Record) -> str | None:
    if len(names) + len(record.keys() - names) <= MAX_COLUMNS:
        return None
    return f"the stream would have more than {MAX_COLUMNS:,} columns"
