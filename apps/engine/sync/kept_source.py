"""Read the rejected records that an earlier run has kept, so that they are sent again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import orjson
import polars as pl

from apps.engine.contract import KeptRecords, SourceSpec, StorageRoot
from apps.engine.failures import SourceError
from apps.engine.frames.kept_records import KeptRecord, read_kept
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
        records = list(self._read_file(number))
        groups = [list(group) for _, group in itertools.groupby(records[first:], _is_of_frame)]
        page = groups[0] if groups else []
        end = first + len(page)
        following = {"file": number, "record": end} if end < len(records) else {}
        if not following and number + 1 < len(self._names):
            following = {"file": number + 1}
        return self._page(page, following)

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

    def _page(self, page: list[KeptRecord], following: Mapping[str, Any]) -> SourcePage:
        rows = [dict(record.fields) for record in page]
        native = NativeTable({name: NativeColumn(kind) for name, kind in self.kept_types.items()})
        if not page or not page[0].is_of_frame or any(self.kept_types.values()):
            return rows_page(rows, following, native=native)
        names = dict.fromkeys(itertools.chain.from_iterable(rows))
        columns = [series_of(name, [row.get(name) for row in rows])[0] for name in names]
        return frame_page(pl.DataFrame(columns), following)

    def close(self) -> None:
        super().close()
        if "_store" in self.__dict__:
            self._store.close()


def _is_of_frame(record: KeptRecord) -> bool:
    return record.is_of_frame
