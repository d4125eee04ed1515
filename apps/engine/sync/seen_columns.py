"""Collect which columns the pages of a source have, before anything changes their records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bizon.source.models import SourceIteration

from apps.engine.source_columns import MAX_COLUMNS, MAX_NAME_LENGTH, SourceColumns
from apps.engine.sources.base import FrameIteration, RowsIteration


class SeenColumns:
    """The names of the columns of the pages so far. The reader adds pages while the writer may ask for the result."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._has_rows = False
        self._are_all_frames = True

    def add(self, page: object) -> None:
        if len(self._names) > MAX_COLUMNS:
            return
        if isinstance(page, FrameIteration):
            self._names.update(page.frame.columns)
            self._has_rows = self._has_rows or page.frame.height > 0
        elif isinstance(page, SourceIteration):
            self._are_all_frames = False
            self._names.update(*_records_of(page))

    def result(
        self,
        declared: SourceColumns | None,
        *,
        is_everything_read: bool,
        left_out: Iterable[str],
    ) -> SourceColumns | None:
        """Return what the source has declared about the stream, or else what its pages have had.

        Returns None if there is no column, or too many.
        Objects of JSON may leave out a field, so only frames tell that a column does not exist.
        """
        reported_left_out = sorted(filter(_is_reportable, left_out))[:MAX_COLUMNS]
        if declared is not None:
            columns = {
                name: type_ if _is_storable(type_) else ""
                for name, type_ in declared.columns.items()
                if _is_reportable(name)
            }
            key = declared.key if all(map(_is_storable, declared.key or ())) else None
            found = replace(declared, columns=columns, key=key)
        else:
            names = sorted(filter(_is_reportable, list(self._names)))
            is_complete = is_everything_read and self._are_all_frames and self._has_rows
            found = SourceColumns(dict.fromkeys(names, ""), is_complete=is_complete)
        if not 0 < len(found.columns) <= MAX_COLUMNS:
            return None
        return replace(found, left_out=reported_left_out)


def _records_of(page: SourceIteration) -> list[dict[str, object]]:
    """Return the records that are objects. It is called for each page, so it is short."""
    rows: object = page.rows if isinstance(page, RowsIteration) else page.records
    if not isinstance(rows, list | tuple):
        return []
    if not isinstance(page, RowsIteration):
        rows = [getattr(row, "data", None) for row in rows]
    return [row for row in rows if type(row) is dict]


def _is_reportable(name: object) -> bool:
    """Whether PostgreSQL can store the name as JSON, and whether it is short enough."""
    return isinstance(name, str) and len(name) <= MAX_NAME_LENGTH and _is_storable(name)


def _is_storable(text: str) -> bool:
    """Whether PostgreSQL can store the text as JSON."""
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
