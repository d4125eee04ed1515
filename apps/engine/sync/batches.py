"""Combine pages into batches that are large enough to stage.

Pages are typed early, so that only a few thousand rows are kept as Python objects. All frames of a batch
have the same schema: when it widens, the current batch is returned first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from apps.engine.frames.decoding import Rejected, StreamSchema
from apps.engine.sync.pages import OBJECT_FACTOR, QueuedPage

MAX_OBJECTS = 10_000  # rows kept as Python objects before they are typed
FLUSH_ROWS = 200_000  # bytes of frames
FLUSH_RECORDS = 50_000  # bytes of pages of records, which use more memory
FLUSH_BYTES = 32 << 20
FLUSH_SECONDS = 10.0
# The rows of a slow source are shown soon; the interval doubles from here.
FIRST_FLUSH_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Gathered:
    """A batch ready to be staged: pages `first` to `last` as one typed frame."""

    first: int
    last: int
    frame: pl.DataFrame
    rejected: list[Rejected]
    pagination: Mapping[str, Any]  # token of the page that follows
    next_state: Mapping[str, Any] | None


@dataclass(slots=True)
class _Span:
    """Consecutive pages, and the token of the page after them."""

    first: int | None = None
    last: int = -1
    pagination: Mapping[str, Any] = field(default_factory=dict)
    next_state: Mapping[str, Any] | None = None

    def reach(self, first: int, last: int, pagination: Mapping[str, Any], state: Any) -> None:
        if self.first is None:
            self.first = first
        self.last, self.pagination = last, pagination
        self.next_state = state or self.next_state


@dataclass(slots=True)
class _Raw(_Span):
    """Pages as the source returned them."""

    rows: list[Any] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)
    fullness: float = 0.0

    def add(self, page: QueuedPage) -> None:
        self.reach(page.iteration, page.iteration, page.next, page.next_state)
        self.fullness += _fullness(page)
        if page.frame is None:
            self.rows.extend(page.rows)
        elif page.frame.width:
            self.frames.append(page.frame)

    def accepts(self, page: QueuedPage) -> bool:
        """Frames and rows are not mixed, nor are frames of different schemas."""
        if page.frame is None:
            return not self.frames
        return not self.rows and (not self.frames or self.frames[0].schema == page.frame.schema)


@dataclass(slots=True)
class _Batch(_Span):
    """Typed pages since the last checkpoint."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    fullness: float = 0.0  # a checkpoint is due at 1
    since: float = field(default_factory=time.monotonic)

    def accepts(self, frame: pl.DataFrame) -> bool:
        return not frame.width or not self.frames or self.frames[0].schema == frame.schema

    def add(self, raw: _Raw, frame: pl.DataFrame, rejected: list[Rejected]) -> None:
        assert raw.first is not None  # noqa: S101 - only pages that were read are typed
        self.reach(raw.first, raw.last, raw.pagination, raw.next_state)
        self.rejected.extend(rejected)
        self.fullness += raw.fullness
        if frame.width:
            self.frames.append(frame)


class Gathering:
    """Pages since the last checkpoint."""

    def __init__(self, schema: StreamSchema) -> None:
        self._schema = schema
        self._interval = FIRST_FLUSH_SECONDS
        self._raw = _Raw()
        self._batch = _Batch()

    def add(self, page: QueuedPage) -> Iterator[Gathered]:
        """Add a page. Returns the current batch if the page's columns do not fit into it."""
        if not self._raw.accepts(page):
            yield from self._settle()
        self._raw.add(page)
        if len(self._raw.rows) >= MAX_OBJECTS:
            yield from self._settle()

    @property
    def due(self) -> bool:
        """Whether a checkpoint is due."""
        batch, raw = self._batch, self._raw
        if batch.fullness + raw.fullness >= 1:
            return True
        waiting = batch.first is not None or raw.first is not None
        return waiting and time.monotonic() - batch.since >= self._interval

    def take(self) -> Iterator[Gathered]:
        """Return everything gathered, as one batch or, if the columns have just changed, two."""
        yield from self._settle()
        yield from self._given_out()
        self._interval = min(self._interval * 2, FLUSH_SECONDS)

    def _settle(self) -> Iterator[Gathered]:
        """Type the pages and append them to the batch."""
        raw, self._raw = self._raw, _Raw()
        if raw.first is None:
            return
        frame, rejected = self._typed(raw)
        if not self._batch.accepts(frame):
            yield from self._given_out()
        self._batch.add(raw, frame, rejected)

    def _given_out(self) -> Iterator[Gathered]:
        batch, self._batch = self._batch, _Batch()
        if batch.first is None:
            return
        yield Gathered(
            first=batch.first,
            last=batch.last,
            frame=pl.concat(batch.frames) if batch.frames else pl.DataFrame(),
            rejected=batch.rejected,
            pagination=batch.pagination,
            next_state=batch.next_state,
        )

    def _typed(self, raw: _Raw) -> tuple[pl.DataFrame, list[Rejected]]:
        if raw.rows:
            decoded = self._schema.decode(raw.rows)
            return decoded.frame, decoded.rejected
        if not raw.frames:
            return pl.DataFrame(), []
        return self._schema.conform(pl.concat(raw.frames)), []


def _fullness(page: QueuedPage) -> float:
    """Return the fraction of a full batch that the page makes up."""
    if page.frame is None:
        return max(page.count / FLUSH_RECORDS, page.size / OBJECT_FACTOR / FLUSH_BYTES)
    return max(page.count / FLUSH_ROWS, page.size / FLUSH_BYTES)
