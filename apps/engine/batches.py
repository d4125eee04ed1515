"""Gather pages into batches worth staging."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from apps.engine.frames import Rejected, StreamSchema
from apps.engine.pages import Page

FLUSH_ROWS = 50_000
FLUSH_BYTES = 64 << 20
FLUSH_SECONDS = 10.0
# A slow source shows its first rows soon; the interval doubles from there.
FIRST_FLUSH_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Gathered:
    """A batch ready to be staged: pages `first` to `last` as one typed frame."""

    first: int
    last: int
    frame: pl.DataFrame
    rejected: list[Rejected]
    pagination: Mapping[str, Any]  # of the page that follows
    next_state: Mapping[str, Any] | None


class Gathering:
    """Pages since the last checkpoint. Frames of one batch share one schema; rows are typed when taken."""

    def __init__(
        self, schema: StreamSchema, *, flush_rows: int = FLUSH_ROWS, flush_bytes: int = FLUSH_BYTES
    ) -> None:
        self._schema = schema
        self._flush_rows, self._flush_bytes = flush_rows, flush_bytes
        self._interval = FIRST_FLUSH_SECONDS
        self._open = _Open()

    def add(self, page: Page) -> None:
        """Take a page that `accepts` has been asked about."""
        batch = self._open
        if page.frame is not None:
            batch.frames.append(page.frame)
        else:
            batch.rows.extend(page.rows)
        if batch.first is None:
            batch.first = page.iteration
        batch.last, batch.pagination = page.iteration, page.next
        batch.next_state = page.next_state or batch.next_state
        batch.count += page.count
        batch.size += page.size

    def accepts(self, page: Page) -> bool:
        """Whether the page can join this batch: frames and rows do not mix, nor do different schemas."""
        batch = self._open
        if page.frame is None:
            return not batch.frames
        if batch.rows:
            return False
        return not batch.frames or batch.frames[0].schema == page.frame.schema

    @property
    def due(self) -> bool:
        batch = self._open
        if batch.first is None:
            return False
        full = batch.count >= self._flush_rows or batch.size >= self._flush_bytes
        return full or time.monotonic() - batch.since >= self._interval

    def take(self) -> Gathered | None:
        """The batch, and begin the next one. None when nothing was gathered."""
        batch, self._open = self._open, _Open()
        if batch.first is None:
            return None
        self._interval = min(self._interval * 2, FLUSH_SECONDS)
        frame, rejected = self._typed(batch)
        return Gathered(
            batch.first, batch.last, frame, rejected, batch.pagination, batch.next_state
        )

    def _typed(self, batch: _Open) -> tuple[pl.DataFrame, list[Rejected]]:
        if batch.rows:
            decoded = self._schema.decode(batch.rows)
            return decoded.frame, decoded.rejected
        if not batch.frames:
            return pl.DataFrame(), []
        frame = pl.concat(batch.frames) if len(batch.frames) > 1 else batch.frames[0]
        return (self._schema.conform(frame) if frame.width else frame), []


@dataclass(slots=True)
class _Open:
    """The batch being gathered."""

    rows: list[Any] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)
    first: int | None = None
    last: int = -1
    pagination: Mapping[str, Any] = field(default_factory=dict)
    next_state: Mapping[str, Any] | None = None
    count: int = 0
    size: int = 0
    since: float = field(default_factory=time.monotonic)
