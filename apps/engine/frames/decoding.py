"""Decode pages of records to typed polars frames with one schema, whose columns only widen.

A `StreamSchema` stores the columns of a stream over all batches and attempts. Every record of a page is either in
the frame or rejected. The columns of an earlier sync are pinned: a record with a value that does not fit is rejected.
Other columns may become text while a sync is read. If an earlier value would be spelled differently by a conversion, the
column is in `respelled`, and the sync has to be read once more with the columns that are known then.

A column that the source declares with a native type has this type, whatever its pinned type was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NotRequired, TypedDict

import polars as pl

from apps.engine.contract import FieldInfo
from apps.engine.failures import IS_PINNED, RESET_STREAM, ContractError
from apps.engine.frames.columns import (
    NULL,
    STRING,
    Column,
    ColumnJson,
    ColumnType,
    InexactCast,
    cast,
    cast_exactly,
)
from apps.engine.frames.native import NativeTable
from apps.engine.frames.records import (
    Record,
    RejectedRecord,
    column_names,
    is_column_name,
    unwrap_records,
)
from apps.engine.frames.text_types import fit_texts
from apps.engine.frames.texts import Unrepresentable, exact_text
from apps.engine.frames.values import (
    TypedSeries,
    decimal_series_of,
    number_series_of,
    series_of,
    text_series_of,
    to_column_type,
)

MAX_COLUMNS = 1500  # PostgreSQL allows 1,600
MAX_SHOWN_TEXT = 60  # characters of a name or a value that a reason shows


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """A page as a frame with the columns of the stream, and the records that are rejected, or skipped by the contract."""

    frame: pl.DataFrame
    rejected: list[RejectedRecord]
    skipped: list[RejectedRecord] = field(default_factory=list)


class NamedColumn(ColumnJson):
    name: str


class SchemaJson(TypedDict):
    """The columns of a stream, in the form in which the engine's state stores them. Older releases have no pins."""

    version: int
    columns: list[NamedColumn]
    pinned: NotRequired[list[str]]
    is_complete: NotRequired[bool]
    earlier: NotRequired[dict[str, str]]


class StreamSchema:
    """The columns of one stream, in the order they were first seen. Not thread-safe.

    `pinned` are the names of columns whose types an earlier sync has decided. `is_complete` is whether all records have
    been read once before, so no type may change. `respelled` are the columns that became text after values of another
    type, which would be spelled differently if they were converted. `earlier` has the native types of the columns of the
    sync before by name, empty for those without one; None if there was no such sync. With `is_strict`, a pinned type does
    not widen.
    """

    def __init__(
        self,
        columns: Mapping[str, Column] | None = None,
        *,
        pinned: Iterable[str] = (),
        is_complete: bool = False,
        earlier: Mapping[str, str] | None = None,
    ) -> None:
        self.columns: dict[str, Column] = dict(columns or {})
        self.pinned = frozenset(pinned)
        self.is_complete = is_complete
        self.earlier = None if earlier is None else dict(earlier)
        self.is_strict = False
        self.respelled: set[str] = set()
        # Whether the destination has a column of text for a field, so that the field's values arrive as text.
        self.is_text_field: Callable[[str], bool] = lambda _name: False
        self._native = NativeTable()  # as the source has declared it with the newest page
        # Columns whose values after a transform do not fit the native type.
        self._plain: set[str] = set()

    def pin(self, *, without: Collection[str] = (), changed: Collection[str] = ()) -> StreamSchema:
        """Return the schema for the next sync: the type of each column that has had a value is pinned.

        The columns `without` are left out. The `changed` columns keep their places only, because they get other values.
        """
        columns = {
            name: NULL if name in changed else column.plain
            for name, column in self.columns.items()
            if name not in without
        }
        known = [name for name, column in columns.items() if column != NULL]
        earlier = {
            name: "" if column == NULL else self.columns[name].declared_type
            for name, column in columns.items()
        }
        return StreamSchema(columns, pinned=known, earlier=earlier)

    def complete(self) -> StreamSchema:
        """Return the schema for reading the same records once more."""
        return StreamSchema(
            self.columns, pinned=self.pinned, is_complete=True, earlier=self.earlier
        )

    @property
    def text_columns(self) -> frozenset[str]:
        """The names of columns whose values all arrive as text."""
        texts = (ColumnType.STRING, ColumnType.JSON)
        return frozenset(name for name, column in self.columns.items() if column.type in texts)

    @property
    def native(self) -> NativeTable:
        """What the source has declared with the newest page, with the native types that columns have."""
        declared = self._native.columns
        without = {
            name
            for name, column in self.columns.items()
            if name in declared and declared[name].type not in {"", column.declared_type}
        }
        return self._native.without_types(without) if without else self._native

    @property
    def declared_types(self) -> dict[str, str]:
        """The native type of each column; empty for a column without a native type."""
        return {name: column.declared_type for name, column in self.columns.items()}

    def decode(self, rows: Sequence[Any], native: NativeTable | None = None) -> DecodedPage:
        """Convert a page of dicts, or of objects with a dict as `data`. Widens the schema for their values.

        A column with a native type has values of Drover's types, which are converted.
        """
        self._native = native or NativeTable()
        records, rejected = unwrap_records(rows)
        columns = [
            self._converted_series(*typed_series)
            for typed_series in self._typed_columns(rows, records, rejected)
        ]
        return DecodedPage(self._conformed_frame(columns), rejected)

    def decode_frame(self, frame: pl.DataFrame, native: NativeTable | None = None) -> DecodedPage:
        """Convert a frame of any dtypes to the columns of the stream. Widens the schema for its values.

        The columns with a native type have the dtype of this type. A row with a value that does not fit a pinned type is rejected. Raises ContractError if the stream would have
        more than MAX_COLUMNS columns.
        """
        if len(self.columns.keys() | set(frame.columns)) > MAX_COLUMNS:
            raise ContractError(f"The stream has more than {MAX_COLUMNS:,} columns")
        self._native = native or NativeTable()
        reasons: dict[int, str] = {}  # by index of the row
        columns = [
            self._native_series(series) or self._fit_series(to_column_type(series), reasons)
            for series in frame.iter_columns()
        ]
        if not reasons:
            return DecodedPage(self._conformed_frame(columns), [])
        accepted = pl.Series([index not in reasons for index in range(frame.height)])
        originals = [to_column_type(series)[0] for series in frame[sorted(reasons)].iter_columns()]
        rejected = [
            RejectedRecord(
                reasons[index],
                {series.name: series[row] for series in originals},
                index,
                is_misfit=True,
            )
            for row, index in enumerate(sorted(reasons))
        ]
        columns = [(series.filter(accepted), column) for series, column in columns]
        return DecodedPage(self._conformed_frame(columns), rejected)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Convert a frame as `decode_frame`, without the rejected rows."""
        return self.decode_frame(frame).frame

    def fields(self) -> tuple[FieldInfo, ...]:
        """Return the columns in the form of the catalogue."""
        return tuple(FieldInfo(name, column.field_type) for name, column in self.columns.items())

    def to_json(self) -> SchemaJson:
        columns: list[NamedColumn] = [
            {"name": name, **column.to_json()} for name, column in self.columns.items()
        ]
        value: SchemaJson = {
            "version": 1,
            "columns": columns,
            "pinned": sorted(self.pinned),
            "is_complete": self.is_complete,
        }
        return value if self.earlier is None else {**value, "earlier": self.earlier}

    @classmethod
    def from_json(cls, value: SchemaJson) -> StreamSchema:
        return cls(
            {item["name"]: Column.from_json(item) for item in value["columns"]},
            pinned=value.get("pinned", ()),
            is_complete=value.get("is_complete", False),
            earlier=value.get("earlier"),
        )

    # Rows

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
        names, records_are_complete = column_names(records)
        if len(self.columns.keys() | set(names)) > MAX_COLUMNS or not all(
            map(is_column_name, names)
        ):
            raise Unrepresentable("a column cannot be created")
        if records_are_complete:
            return [self._series_of(name, list(map(itemgetter(name), records))) for name in names]
        return [self._series_of(name, [record.get(name) for record in records]) for name in names]

    def _series_of(self, name: str, values: Sequence[Any]) -> TypedSeries:
        """Raises Unrepresentable, also if a value does not fit the pinned type."""
        known = self._known(name)
        typed_series = self._series_for(known.plain, name, values)
        if name in self.pinned and self._accept(known, typed_series[1]) is None:
            raise Unrepresentable("a value does not fit a pinned type")
        wider = known.widen(typed_series[1])
        # The values become text before the numbers among them become floats.
        return text_series_of(name, values) if typed_series[1].respells_as(wider) else typed_series

    def _accept(self, known: Column, column: Column) -> Column | None:
        """Return the pinned column with the facts of the other, or None if its values do not fit."""
        wider = known.accept(column)
        may_widen = not self.is_strict or known.type is ColumnType.NULL
        return wider if wider is None or may_widen or wider.type is known.type else None

    def _known(self, name: str) -> Column:
        """Return the column as it is known before the values of a page."""
        column = self.columns.get(name, NULL)
        is_undecided = column.type is ColumnType.NULL or name in self.pinned
        is_text = column.type in (ColumnType.STRING, ColumnType.JSON)
        return STRING if is_undecided and not is_text and self.is_text_field(name) else column

    def _series_for(self, known: Column, name: str, values: Sequence[Any]) -> TypedSeries:
        if known.type is ColumnType.STRING:
            return text_series_of(name, values)
        if known.type is ColumnType.DECIMAL and name in self.pinned:
            return decimal_series_of(name, values)
        if known.type is ColumnType.NUMBER and name in self.pinned:
            return number_series_of(name, values)
        return series_of(name, values)

    def _reject_unfit_records(
        self, numbered_records: Iterable[tuple[int, Record]], rejected: list[RejectedRecord]
    ) -> list[Record]:
        accepted_records, names = [], set(self.columns)
        pinned = {name: self._known(name).plain for name in self.pinned}
        for index, record in numbered_records:
            reason = _too_many_columns_reason(names, record) or self._unfit_reason(record, pinned)
            if reason:
                is_misfit = isinstance(reason, Misfit)
                rejected.append(RejectedRecord(reason, record, index, is_misfit=is_misfit))
                continue
            names.update(record)
            accepted_records.append(record)
        return accepted_records

    def _unfit_reason(self, record: Record, pinned: dict[str, Column]) -> str | None:
        """Return the reason why the record cannot become a row, or None if it can. Widens `pinned` for its values."""
        widened = {}
        for name, value in record.items():
            if not is_column_name(name):
                return "a field's name cannot be a column name"
            try:
                known = self._known(name).plain
                column = self._series_for(known, name, [value])[1]
            except UnicodeError:
                return "text that is not valid Unicode"
            except Unrepresentable as error:
                return str(error)
            if name in pinned:
                wider = self._accept(pinned[name], column)
                if wider is None:
                    return misfit_reason(name, value, known)
                widened[name] = wider
        pinned |= widened
        return None

    def _converted_series(self, series: pl.Series, column: Column) -> TypedSeries:
        """Convert the series to its native type, if it has one and its values and those before fit."""
        native = self._native.type_of(series.name)
        if not native or series.name in self._plain:
            return series, column
        try:
            converted = cast_exactly(series, Column.of_native_type(native).dtype)
        except InexactCast:
            self._plain.add(series.name)
            return series, column
        return self._native_series(converted) or (series, column)

    # Frames

    def _native_series(self, series: pl.Series) -> TypedSeries | None:
        """Return the series with its native type, or None if it has none.

        The source declares a type only if the destination can give it to the column. It replaces a pinned type.
        """
        native = self._native.type_of(series.name)
        if not native:
            return None
        column, known = Column.of_native_type(native), self.columns.get(series.name)
        if known is not None and known.type is not column.type:
            self.columns[series.name] = column
            if known.type is not column.plain.type:
                self.pinned -= {series.name}
        return series, column

    def _fit_series(self, typed_series: TypedSeries, reasons: dict[int, str]) -> TypedSeries:
        """Return the series without the values that do not fit a pinned type, for which reasons are added."""
        series, column = typed_series
        known = self._known(series.name).plain
        if series.name not in self.pinned or self._accept(known, column) is not None:
            return typed_series
        if series.dtype == pl.String():
            fitted = fit_texts(series, known)
            values, misfits = fitted.values, fitted.misfits.arg_true().to_list()
        else:
            values, misfits = self._fit_values(series, known)
        for index in misfits:
            reasons.setdefault(index, misfit_reason(series.name, series[index], known))
        return to_column_type(values)

    def _fit_values(self, series: pl.Series, known: Column) -> tuple[pl.Series, list[int]]:
        """Return the values that fit, and the indexes of the others."""
        values, running = series.to_list(), known
        misfits: list[int] = []
        fitted, column = self._series_for(known, series.name, values)
        if self._accept(known, column) is not None:
            return fitted, misfits
        for index, value in enumerate(values):
            wider = self._accept(running, self._series_for(known, series.name, [value])[1])
            if wider is None:
                values[index] = None
                misfits.append(index)
            else:
                running = wider
        return self._series_for(known, series.name, values)[0], misfits

    def _conformed_frame(self, typed_columns: list[TypedSeries]) -> pl.DataFrame:
        """Return a frame with all columns of the stream, after widening them for the values."""
        height = len(typed_columns[0][0]) if typed_columns else 0
        series_by_name = {}
        for series, column in typed_columns:
            known_column = self._known(series.name)
            wider = known_column.widen(column)
            if known_column.respells_as(wider):
                self.respelled.add(series.name)
            self.columns[series.name] = wider
            series_by_name[series.name] = series
        return pl.DataFrame(
            {
                name: cast(series_by_name[name], column.dtype)
                if name in series_by_name
                else pl.Series([None], dtype=column.dtype).new_from_index(0, height)
                for name, column in self.columns.items()
            }
        )


class Misfit(str):
    """The reason why a record is rejected of which a value is not of the type of its column."""

    __slots__ = ()


def misfit_reason(name: str, value: Any, pinned: Column) -> Misfit:
    """Return the reason why a record with this value is rejected."""
    return Misfit(
        f"{describe_value(name, value)}, and {IS_PINNED} {pinned.type_name}:"
        f" {RESET_STREAM} to decide the types again"
    )


def describe_value(name: str, value: Any) -> str:
    """Return the beginning of a reason, which names a field and its value."""
    return f"the field {_shortened(name)} has the value {_shortened(exact_text(value))}"


def _shortened(text: str) -> str:
    return repr(text if len(text) <= MAX_SHOWN_TEXT else f"{text[:MAX_SHOWN_TEXT]}…")


def _too_many_columns_reason(names: set[str], record: Record) -> str | None:
    if len(names) + len(record.keys() - names) <= MAX_COLUMNS:
        return None
    return f"the stream would have more than {MAX_COLUMNS:,} columns"
