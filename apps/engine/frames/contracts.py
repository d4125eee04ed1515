"""What happens to columns that are new or of another type, by the contract that the user has chosen for a stream.

    evolve        new columns are added, and types widen; a value that does not fit rejects its record
    freeze        a new or changed column fails the run before anything is published
    drop_columns  new columns are left out; otherwise as `evolve`
    drop_rows     records with a value in a new column, or with a value of another type, are skipped

The columns are those that the newest finished sync has published to the same destination. A first sync, and a sync after
a reset, decide them anew. A column that a rule for a field names was chosen by the user, so it is not new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from apps.engine.contract import Contract
from apps.engine.failures import COLUMNS_CHANGED, ContractError
from apps.engine.frames.columns import Column
from apps.engine.frames.decoding import DecodedPage, StreamSchema
from apps.engine.frames.left_out import without_value
from apps.engine.frames.native import NativeTable
from apps.engine.frames.records import RejectedRecord
from apps.engine.frames.values import to_column_type

MAX_NAMED = 5  # columns that a message names
NO_COLUMNS = "all fields of the record are left out by the contract"

SkipReasons = dict[int, str]  # by the index of the record in the page


@dataclass(slots=True)
class ColumnContract:
    """The contract of a stream, applied to its pages while they are decoded.

    `chosen` are the columns that rules for fields name. `left_out` are the new columns that did not arrive so far.
    """

    schema: StreamSchema
    mode: Contract = "evolve"
    chosen: frozenset[str] = frozenset()
    left_out: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.schema.is_strict = self._is_active and self.mode in {"freeze", "drop_rows"}

    @property
    def _is_active(self) -> bool:
        return self.mode != "evolve" and self.schema.earlier is not None

    def decode(self, rows: Sequence[Any], native: NativeTable | None) -> DecodedPage:
        """Decode a page of rows. Raises ContractError if the contract forbids what has changed."""
        if not self._is_active:
            return self.schema.decode(rows, native)
        new = self._find_new(_names_of(rows))
        self._require_native_types(native)
        if not new:
            return self._judge(self.schema.decode(rows, native))
        skipped: SkipReasons = {}
        kept = dict(self._filter_rows(rows, skipped))
        decoded = self.schema.decode(list(kept.values()), _without(native, new))
        left_out = [_skip(skipped[index], rows[index], index) for index in skipped]
        return self._judge(_with_indexes(decoded, list(kept), left_out))

    def decode_frame(self, frame: pl.DataFrame, native: NativeTable | None) -> DecodedPage:
        """Decode a page that is a frame. Raises ContractError like `decode`."""
        if not self._is_active:
            return self.schema.decode_frame(frame, native)
        new = self._find_new(frame.columns)
        self._require_native_types(native)
        if not new:
            return self._judge(self.schema.decode_frame(frame, native))
        known, native = frame.drop(new), _without(native, new)
        if not known.width:
            left_out = [_skip(NO_COLUMNS, row, index) for index, row in enumerate(_records(frame))]
            return DecodedPage(pl.DataFrame(), [], left_out)
        skipped = self._skip_reasons(frame, new)
        if not skipped:
            return self._judge(self.schema.decode_frame(known, native))
        kept = [index for index in range(frame.height) if index not in skipped]
        records = zip(skipped.items(), _records(frame[list(skipped)]), strict=True)
        left_out = [_skip(reason, record, index) for (index, reason), record in records]
        decoded = self.schema.decode_frame(known[kept], native)
        return self._judge(_with_indexes(decoded, kept, left_out))

    def _find_new(self, names: Iterable[str]) -> list[str]:
        """Return the names of new columns. Raises ContractError if columns are frozen."""
        known = self.schema.columns.keys() | self.chosen
        new = [name for name in names if name not in known]
        if new and self.mode == "freeze":
            raise _columns_changed(f"there are new columns, {_named(new)}. {_NEXT_STEP}")
        self.left_out.update(new)
        return new

    def _filter_rows(self, rows: Sequence[Any], skipped: SkipReasons) -> Iterator[tuple[int, Any]]:
        """Yield the rows without new columns, with their indexes. Adds those that are skipped to `skipped`."""
        known = self.schema.columns.keys() | self.chosen
        for index, row in enumerate(rows):
            record = getattr(row, "data", row)
            if not isinstance(record, Mapping):
                yield index, row
                continue
            reason = self._skip_reason(record, known)
            if reason:
                skipped[index] = reason
            else:
                yield index, {name: value for name, value in record.items() if name in known}

    def _skip_reason(self, record: Mapping[str, Any], known: set[str]) -> str:
        """Return why the record is skipped, or an empty text if it is not."""
        if self.mode == "drop_rows":
            for name, value in record.items():
                if name not in known and value is not None:
                    return _new_column(name)
        return NO_COLUMNS if record and not record.keys() & known else ""

    def _skip_reasons(self, frame: pl.DataFrame, new: Sequence[str]) -> SkipReasons:
        if self.mode != "drop_rows":
            return {}
        reasons = {
            index: _new_column(name)
            for name in reversed(new)
            for index in frame[name].is_not_null().arg_true().to_list()
        }
        return dict(sorted(reasons.items()))

    def _judge(self, decoded: DecodedPage) -> DecodedPage:
        """Skip the records with a value of another type, or raise ContractError if columns are frozen."""
        misfits = [item for item in decoded.rejected if item.is_misfit]
        if not misfits or self.mode == "drop_columns":
            return decoded
        if self.mode == "freeze":
            raise _columns_changed(f"{without_value(misfits[0].reason)}.")
        others = [item for item in decoded.rejected if not item.is_misfit]
        skipped = sorted([*decoded.skipped, *misfits], key=lambda item: item.index)
        return DecodedPage(decoded.frame, others, skipped)

    def _require_native_types(self, native: NativeTable | None) -> None:
        """Raise ContractError if the source declares another type for a column than before.

        If records are skipped, it is only raised if no value would fit.
        """
        if native is None or not self.schema.is_strict:
            return
        for name in self.schema.pinned & native.columns.keys():
            now = native.type_of(name)
            if now and (before := self._changed_type(name, now)):
                raise _columns_changed(
                    f"the column {name!r} was {before} and is {now} now. {_NEXT_STEP}"
                )

    def _changed_type(self, name: str, declared: str) -> str:
        """Return the earlier type of the column if it was another one than the declared type, else an empty text."""
        before, known = (self.schema.earlier or {}).get(name, ""), self.schema.columns[name].plain
        if self.mode == "freeze" and before:
            return before if before != declared else ""
        is_same = Column.of_native_type(declared).plain.type is known.type
        return "" if is_same else before or known.type_name


_NEXT_STEP = (
    "If it may arrive, choose the contract evolve and run the pipeline again, or reset the stream"
)


def _columns_changed(change: str) -> ContractError:
    return ContractError(
        f"{COLUMNS_CHANGED}: {change}",
        evidence=("nothing was published; the destination keeps its rows and columns",),
    )


def _skip(reason: str, record: object, index: int) -> RejectedRecord:
    return RejectedRecord(reason, record, index)


def _with_indexes(
    decoded: DecodedPage, kept: Sequence[int], skipped: list[RejectedRecord]
) -> DecodedPage:
    """Return the page of the `kept` records with the indexes of all records, and with those that were skipped."""
    rejected = [replace(item, index=kept[item.index]) for item in decoded.rejected]
    return DecodedPage(decoded.frame, rejected, skipped)


def _without(native: NativeTable | None, names: Iterable[str]) -> NativeTable | None:
    """Return what is declared, without the columns `names`."""
    if native is None:
        return None
    columns = {name: column for name, column in native.columns.items() if name not in {*names}}
    return NativeTable(columns, native.comment)


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:MAX_NAMED]))
    return f"{shown} and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else shown


def _new_column(name: str) -> str:
    return f"the field {name!r} has a value, and it is a new column"


def _names_of(rows: Sequence[Any]) -> Iterable[str]:
    """Return the names of the fields of all rows, each once."""
    records = (getattr(row, "data", row) for row in rows)
    return dict.fromkeys(
        name for record in records if isinstance(record, Mapping) for name in record
    )


def _records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return pl.DataFrame([to_column_type(series)[0] for series in frame.iter_columns()]).to_dicts()
