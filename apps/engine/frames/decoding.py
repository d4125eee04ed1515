"""Decode pages of records to typed polars frames with one schema, whose columns only widen.

A `StreamSchema` stores the columns of a stream over all batches and attempts. Every record of a page is either in
the frame or rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, TypedDict

import polars as pl

from apps.engine.contract import FieldInfo
from apps.engine.failures import ContractError
from apps.engine.frames.columns import NULL, Column, ColumnJson, cast
from apps.engine.frames.values import TypedSeries, Unrepresentable, series_of, to_column_type

MAX_COLUMNS = 1500  # PostgreSQL allows 1,600
MAX_NAME_BYTES = 1024
NOT_AN_OBJECT = "not an object"

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that cannot become a row of the frame: the reason, the record, and its index among the rows."""

    reason: str
    record: object
    index: int


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """A page as a frame with the columns of the stream, and the rejected records."""

    frame: pl.DataFrame
    rejected: list[RejectedRecord]


class NamedColumn(ColumnJson):
    name: str


class SchemaJson(TypedDict):
    """The columns of a stream, in the form in which the engine's state stores them."""

    version: int
    columns: list[NamedColumn]


class StreamSchema:
    """The columns of one stream, in the order they were first seen. Not thread-safe."""

    def __init__(self, columns: Mapping[str, Column] | None = None) -> None:
        self.columns: dict[str, Column] = dict(columns or {})

    def decode(self, rows: Sequence[Any]) -> DecodedPage:
        """Convert a page of dicts, or of objects with a dict as `data`. Widens the schema for their values."""
        records, rejected = _unwrap_records(rows)
        columns = self._typed_columns(rows, records, rejected)
        return DecodedPage(self._conformed_frame(columns), rejected)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Convert a frame of any dtypes to the columns of the stream. Widens the schema for its values.

        Raises ContractError if the stream would have more than MAX_COLUMNS columns.
        """
        if len(self.columns.keys() | set(frame.columns)) > MAX_COLUMNS:
            raise ContractError(f"The stream has more than {MAX_COLUMNS:,} columns")
        return self._conformed_frame([to_column_type(series) for series in frame.iter_columns()])

    def fields(self) -> tuple[FieldInfo, ...]:
        """Return the columns in the form of the catalogue."""
        return tuple(FieldInfo(name, column.field_type) for name, column in self.columns.items())

    def to_json(self) -> SchemaJson:
        columns: list[NamedColumn] = [
            {"name": name, **column.to_json()} for name, column in self.columns.items()
        ]
        return {"version": 1, "columns": columns}

    @classmethod
    def from_json(cls, value: SchemaJson) -> StreamSchema:
        return cls({item["name"]: Column.from_json(item) for item in value["columns"]})

    def _typed_columns(
        self, rows: Sequence[Any], records: list[Record], rejected: list[RejectedRecord]
    ) -> list[TypedSeries]:
        """Return one series per column. Records that do not fit are added to `rejected`."""
        try:
            return self._infer_columns(records)
        except (Unrepresentable, UnicodeError):
            without_record = {item.index for item in rejected}
            indexes = (index for index in range(len(rows)) if index not in without_record)
            accepted_records = self._reject_unfit_records(
                zip(indexes, records, strict=True), rejected
            )
            rejected.sort(key=lambda item: item.index)
            return self._infer_columns(accepted_records)

    def _infer_columns(self, records: list[Record]) -> list[TypedSeries]:
        names, records_are_complete = _column_names(records)
        if len(self.columns.keys() | set(names)) > MAX_COLUMNS or not all(
            map(_is_column_name, names)
        ):
            raise Unrepresentable("a column cannot be created")
        if records_are_complete:
            return [series_of(name, list(map(itemgetter(name), records))) for name in names]
        return [series_of(name, [record.get(name) for record in records]) for name in names]

    def _reject_unfit_records(
        self, numbered_records: Iterable[tuple[int, Record]], rejected: list[RejectedRecord]
    ) -> list[Record]:
        accepted_records, names = [], set(self.columns)
        for index, record in numbered_records:
            reason = _too_many_columns_reason(names, record) or _unfit_reason(record)
            if reason:
                rejected.append(RejectedRecord(reason, record, index))
                continue
            names.update(record)
            accepted_records.append(record)
        return accepted_records

    def _conformed_frame(self, typed_columns: list[TypedSeries]) -> pl.DataFrame:
        """Return a frame with all columns of the stream, after widening them for the values."""
        height = len(typed_columns[0][0]) if typed_columns else 0
        series_by_name = {}
        for series, column in typed_columns:
            known_column = self.columns.get(series.name, NULL)
            self.columns[series.name] = known_column.widen(column)
            series_by_name[series.name] = series
        return pl.DataFrame(
            {
                name: cast(series_by_name[name], column.dtype)
                if name in series_by_name
                else pl.Series([None], dtype=column.dtype).new_from_index(0, height)
                for name, column in self.columns.items()
            }
        )


def _unwrap_records(rows: Sequence[Any]) -> tuple[list[Record], list[RejectedRecord]]:
    """Unwrap source records. A row that is not an object with at least one field is rejected."""
    if set(map(type, rows)) == {dict} and all(rows):
        return list(rows), []
    records: list[Record] = []
    rejected: list[RejectedRecord] = []
    for index, row in enumerate(rows):
        record = row if isinstance(row, Mapping) else getattr(row, "data", row)
        if isinstance(record, Mapping) and record:
            records.append(record)
            continue
        reason = "the record has no fields" if isinstance(record, Mapping) else NOT_AN_OBJECT
        rejected.append(RejectedRecord(reason, record, index))
    return records, rejected


def _column_names(records: list[Record]) -> tuple[list[str], bool]:
    """Return the column names in the order of the records, and whether every record has all columns."""
    if not records:
        return [], True
    names = dict.fromkeys(chain.from_iterable(records))
    return list(names), set(map(len, records)) == {len(names)}


def _is_column_name(name: Any) -> bool:
    try:
        # PostgreSQL cannot store NUL, not even in JSON, where the columns of a stream are stored.
        return type(name) is str and "\0" not in name and len(name.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False


def _unfit_reason(record: Record) -> str | None:
    """Return the reason why the record cannot become a row, or None if it can."""
    for name, value in record.items():
        if not _is_column_name(name):
            return "a field's name cannot be a column name"
        try:
            series_of(name, [value])
        except UnicodeError:
            return "text that is not valid Unicode"
        except Unrepresentable as error:
            return str(error)
    return None


def _too_many_columns_reason(names: set[str], record: Record) -> str | None:
    if len(names) + len(record.keys() - names) <= MAX_COLUMNS:
        return None
    return f"the stream would have more than {MAX_COLUMNS:,} columns"
