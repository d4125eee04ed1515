"""Read the rejected records that an earlier run has kept, so that they are sent again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import orjson
import polars as pl
from polars.exceptions import PolarsError

from apps.engine.contract import KeptRecords, SourceSpec, StorageRoot
from apps.engine.failures import SourceError
from apps.engine.frames.columns import Column
from apps.engine.frames.kept_records import KeptRecord, read_kept
from apps.engine.frames.left_out import LeftOutRecords, page_position
from apps.engine.frames.native import NativeColumn, NativeTable
from apps.engine.frames.values import series_of
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    SourceSettings,
    frame_page,
    rows_page,
)
from apps.engine.stores import Store
from apps.engine.stores.opening import open_root
from apps.engine.sync.build import make_stream_config
from apps.engine.sync.left_out_files import rejected_files

# Types of PostgreSQL whose texts are those of Drover's types.
SAME_TEXTS = {
    *("smallint", "integer", "bigint", "numeric", "uuid", "json", "jsonb"),
    *("text", "character varying", "varchar", "name", "citext"),
}
REMOVED = "The rejected records were removed together with the log of their run"


class RecordsGone(SourceError):
    """The kept records are not there any more. Another attempt cannot help."""

    retryable = False


class KeptRecordsSource(ConnectorSource[SourceSettings]):
    """The kept records of one stream. They do not change, so any attempt of any run may continue at a token."""

    Config = SourceSettings
    pages_never_change = True

    def __init__(self, spec: SourceSpec, kept: KeptRecords, *, files: StorageRoot) -> None:
        super().__init__(make_stream_config(spec, SourceSettings()), spec=spec, files=files)
        self._kept = kept

    def get_total_records_count(self) -> int | None:
        return self._kept.count

    def get(self, pagination: Pagination = None) -> SourcePage:
        """Return records of one file that are all from frames or all from rows."""
        token = pagination or {}
        number, first = int(str(token.get("file", 0))), int(str(token.get("record", 0)))
        records = list(self._read_file(number))[first:]
        page = next((list(group) for _, group in itertools.groupby(records, _form_of)), [])
        end = first + len(page)
        following = {"file": number, "record": end} if len(page) < len(records) else {}
        if not following and number + 1 < len(self._names):
            following = {"file": number + 1}
        return self._page(page, number, following)

    @cached_property
    def _names(self) -> list[str]:
        """The names of the files. Raises RecordsGone if they are not all there."""
        names = rejected_files(self._store, self.spec.stream)
        if sum(names.values()) != self._kept.count:
            raise RecordsGone(REMOVED)
        return list(names)

    @cached_property
    def _store(self) -> Store:
        return open_root(self._kept.root)

    def _read_file(self, number: int) -> Iterator[KeptRecord]:
        content = self._store.read(self._names[number])
        if content is None:
            raise RecordsGone(REMOVED)
        for line in content.splitlines():
            text = orjson.loads(line)["kept"]
            if text is not None:
                yield read_kept(text)

    def _page(
        self, page: list[KeptRecord], number: int, following: Mapping[str, Any]
    ) -> SourcePage:
        """Return records of one form as a page. Those whose texts cannot arrive as other types are rejected."""
        left_out = LeftOutRecords()
        native = dict(page[0].native) if page else {}
        is_frame = bool(page) and page[0].is_of_frame
        changed = {name for name, kind in native.items() if self.kept_types.get(name, kind) != kind}
        kept: list[KeptRecord] = []
        for index, record in enumerate(page):
            lost = next((name for name in changed if _has_own_text(record, name)), None)
            if lost is None:
                kept.append(record)
                continue
            position = page_position(number, index)
            reason = f"the field {lost!r} is kept as a text of the type {native[lost]}, which it may not have now"
            left_out.add(
                "rejected",
                record.fields,
                reason=reason,
                position=position,
                find_source=partial(_itself, record),
            )
        rows = [dict(record.fields) for record in kept]
        declared = {name: kind for name, kind in native.items() if name not in changed}
        if not is_frame:
            return rows_page(rows, following, left_out=left_out, native=_table(declared))
        frame, fitting = _frame_of(rows, {} if self.is_transformed else declared)
        found = _table(declared if self.is_transformed else fitting)
        return frame_page(frame, following, left_out=left_out, native=found)

    def close(self) -> None:
        super().close()
        if "_store" in self.__dict__:
            self._store.close()


def _form_of(record: KeptRecord) -> tuple[bool, Mapping[str, str]]:
    """Return what the records of a page have in common."""
    return record.is_of_frame, record.native


def _itself(record: KeptRecord) -> KeptRecord:
    return record


def _has_own_text(record: KeptRecord, name: str) -> bool:
    """Whether the value is a text of its native type that may differ from the text of Drover's type."""
    kind = record.native[name].partition("(")[0]
    return isinstance(record.fields.get(name), str) and kind not in SAME_TEXTS


def _table(native: Mapping[str, str]) -> NativeTable:
    return NativeTable({name: NativeColumn(kind) for name, kind in native.items()})


def _frame_of(
    rows: list[dict[str, Any]], native: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the rows as a frame, and the native types of the columns whose values are of their dtype."""
    names = dict.fromkeys(itertools.chain.from_iterable(rows))
    columns, fitting = [], {}
    for name in names:
        values = [row.get(name) for row in rows]
        series = _native_series(name, values, native[name]) if name in native else None
        if series is not None:
            fitting[name] = native[name]
        columns.append(series_of(name, values)[0] if series is None else series)
    return pl.DataFrame(columns), fitting


def _native_series(name: str, values: list[Any], kind: str) -> pl.Series | None:
    try:
        return pl.Series(name, values, dtype=Column.of_native_type(kind).dtype, strict=True)
    except (TypeError, ValueError, OverflowError, PolarsError):
        return None
