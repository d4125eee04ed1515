"""Combine pages into batches that are large enough to stage.

Pages are converted to typed frames early, so that only a few thousand rows are stored as Python objects. All frames
of a batch have the same schema. When the schema changes, the current batch is complete.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from apps.engine.frames.contracts import ColumnContract
from apps.engine.frames.copied import CopiedRows, join_rows
from apps.engine.frames.kept_records import FindSource, find_in_frame, find_in_rows
from apps.engine.frames.left_out import Kind, LeftOutRecords, page_position
from apps.engine.frames.records import RejectedRecord
from apps.engine.sync.pages import OBJECT_FACTOR, QueuedPage

MAX_OBJECTS = 10_000  # rows stored as Python objects before they are converted
# A batch that reaches one of these limits is staged.
FLUSH_ROWS = 200_000  # rows of frames
FLUSH_RECORDS = 50_000  # rows as Python objects, which use more memory
FLUSH_BYTES = 32 << 20
FLUSH_COPIED_BYTES = 8 << 20  # of rows that are not decoded
FLUSH_SECONDS = 10.0
# The first interval is short, so that the progress of a slow source is shown soon. Each next interval is twice as long, up to FLUSH_SECONDS.
FIRST_FLUSH_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class GatheredBatch:
    """A complete batch: the pages `first` to `last` as one typed frame, which has only the columns if rows are `copied`."""

    first: int
    last: int
    frame: pl.DataFrame
    left_out: LeftOutRecords
    pagination: Mapping[str, Any]  # token of the page that follows
    next_state: Mapping[str, Any] | None
    copied: CopiedRows | None = None

    @property
    def row_count(self) -> int:
        return self.copied.row_count if self.copied else self.frame.height

    @property
    def size(self) -> int:
        """The number of bytes in memory."""
        return self.copied.size if self.copied else int(self.frame.estimated_size())


@dataclass(slots=True)
class _PageRange:
    """A range of consecutive pages, and the token of the page after them."""

    first: int | None = None
    last: int = -1
    pagination: Mapping[str, Any] = field(default_factory=dict)
    next_state: Mapping[str, Any] | None = None

    def extend_to(self, first: int, last: int, pagination: Mapping[str, Any], state: Any) -> None:
        if self.first is None:
            self.first = first
        self.last, self.pagination = last, pagination
        self.next_state = state or self.next_state


@dataclass(slots=True)
class _UntypedPages(_PageRange):
    """Pages in the form in which the source returned them."""

    rows: list[Any] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)
    copied: list[CopiedRows] = field(default_factory=list)
    left_out: LeftOutRecords = field(default_factory=LeftOutRecords)
    # The pages, and the index of the first row of each.
    pages: list[QueuedPage] = field(default_factory=list)
    page_starts: list[int] = field(default_factory=list)
    height: int = 0  # rows of all pages
    fullness: float = 0.0

    def add(self, page: QueuedPage) -> None:
        self.extend_to(page.iteration, page.iteration, page.next_token, page.next_state)
        self.fullness += _fullness(page)
        if page.left_out is not None:
            self.left_out.extend(page.left_out)
        self.page_starts.append(self.height)
        self.pages.append(page)
        self.height += page.count
        if page.frame is None:
            self.rows.extend(page.rows)
        elif page.frame.width:
            self.frames.append(page.frame)
        if page.copied is not None:
            self.copied.append(page.copied)

    def leave_out(self, kind: Kind, records: Sequence[RejectedRecord]) -> None:
        """Leave out rows of `rows` or of the joined `frames`."""
        # By page, because a finder remembers what it has converted.
        finders: dict[int, FindSource] = {}
        for item in records:
            number = bisect_right(self.page_starts, item.index) - 1
            page, record = self.pages[number], item.index - self.page_starts[number]
            if number not in finders:
                finders[number] = _finder_of(page)
            self.left_out.add(
                kind,
                item.record,
                reason=item.reason,
                position=page_position(page.iteration, record, is_transformed=page.is_transformed),
                find_source=partial(finders[number], record),
            )

    def accepts(self, page: QueuedPage) -> bool:
        """Whether the page can be added. Frames are not mixed with rows, or with frames of another schema."""
        if page.frame is None:
            return not self.frames
        if self.rows or (self.pages and self.pages[0].native != page.native):
            return False
        if self.pages and not _can_be_joined(self.copied, page.copied):
            return False
        return not self.frames or _have_same_columns(self.frames[0], page.frame)


@dataclass(slots=True)
class _TypedPages(_PageRange):
    """The pages since the last checkpoint that were converted to typed frames."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    copied: list[CopiedRows] = field(default_factory=list)
    left_out: LeftOutRecords = field(default_factory=LeftOutRecords)
    fullness: float = 0.0  # a checkpoint is due at 1
    started_at: float = field(default_factory=time.monotonic)

    def accepts(self, frame: pl.DataFrame, copied: list[CopiedRows]) -> bool:
        if not frame.width or not self.frames:
            return True
        first = copied[0] if copied else None
        return _have_same_columns(self.frames[0], frame) and _can_be_joined(self.copied, first)

    def add(self, untyped: _UntypedPages, frame: pl.DataFrame) -> None:
        assert untyped.first is not None  # noqa: S101 - the caller passes at least one page
        self.extend_to(untyped.first, untyped.last, untyped.pagination, untyped.next_state)
        self.left_out.extend(untyped.left_out)
        self.fullness += untyped.fullness
        if frame.width:
            self.frames.append(frame)
        self.copied += untyped.copied


class BatchBuilder:
    """Builds batches from the pages since the last checkpoint."""

    def __init__(self, contract: ColumnContract) -> None:
        self._contract = contract
        self._interval = FIRST_FLUSH_SECONDS
        self._untyped = _UntypedPages()
        self._batch = _TypedPages()

    def add(self, page: QueuedPage) -> Iterator[GatheredBatch]:
        """Add a page. Yields the current batch if pages follow whose columns do not fit into it."""
        if not self._untyped.accepts(page):
            yield from self._convert_pages()
        self._untyped.add(page)
        if len(self._untyped.rows) >= MAX_OBJECTS:
            yield from self._convert_pages()

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint is due."""
        batch, untyped = self._batch, self._untyped
        if batch.fullness + untyped.fullness >= 1:
            return True
        has_pages = batch.first is not None or untyped.first is not None
        return has_pages and time.monotonic() - batch.started_at >= self._interval

    def take_all(self) -> Iterator[GatheredBatch]:
        """Yield all pages that were added, as one batch, or as two batches if the columns have just changed."""
        yield from self._convert_pages()
        yield from self._release_batch()
        self._interval = min(self._interval * 2, FLUSH_SECONDS)

    def _convert_pages(self) -> Iterator[GatheredBatch]:
        """Convert the untyped pages and append them to the batch. Yields the batch first if they do not fit."""
        untyped, self._untyped = self._untyped, _UntypedPages()
        if untyped.first is None:
            return
        frame = self._convert_rows(untyped)
        if not self._batch.accepts(frame, untyped.copied):
            yield from self._release_batch()
        self._batch.add(untyped, frame)

    def _release_batch(self) -> Iterator[GatheredBatch]:
        batch, self._batch = self._batch, _TypedPages()
        if batch.first is None:
            return
        yield GatheredBatch(
            first=batch.first,
            last=batch.last,
            frame=pl.concat(batch.frames) if batch.frames else pl.DataFrame(),
            left_out=batch.left_out,
            pagination=batch.pagination,
            next_state=batch.next_state,
            copied=join_rows(batch.copied) if batch.copied else None,
        )

    def _convert_rows(self, untyped: _UntypedPages) -> pl.DataFrame:
        native = untyped.pages[0].native
        if untyped.rows:
            decoded = self._contract.decode(untyped.rows, native)
        elif untyped.frames:
            decoded = self._contract.decode_frame(pl.concat(untyped.frames), native)
        else:
            return pl.DataFrame()
        untyped.leave_out("rejected", decoded.rejected)
        untyped.leave_out("skipped", decoded.skipped)
        return decoded.frame


def _finder_of(page: QueuedPage) -> FindSource:
    if page.find_source is not None:
        return page.find_source
    if page.frame is not None:
        return find_in_frame(page.frame, page.native)
    return find_in_rows(page.rows, page.native)


def _can_be_joined(copied: list[CopiedRows], following: CopiedRows | None) -> bool:
    """Whether pages of copied rows, or pages of frames, are followed by a page of the same form."""
    if not copied or following is None:
        return not copied and following is None
    return copied[0].can_precede(following)


def _have_same_columns(first: pl.DataFrame, second: pl.DataFrame) -> bool:
    # A comparison of the two schemas takes five times as long, and is made for each page.
    return first.columns == second.columns and first.dtypes == second.dtypes


def _fullness(page: QueuedPage) -> float:
    """Return the fraction of a full batch that the page fills."""
    if page.copied is not None:
        return page.size / FLUSH_COPIED_BYTES
    if page.frame is None:
        return max(page.count / FLUSH_RECORDS, page.size / OBJECT_FACTOR / FLUSH_BYTES)
    return max(page.count / FLUSH_ROWS, page.size / FLUSH_BYTES)
