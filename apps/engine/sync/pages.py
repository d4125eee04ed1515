"""Read pages from a source in a separate thread, a limited distance ahead of the writer."""

from __future__ import annotations

import json
import re
import threading
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl
from bizon.source.models import SourceIncrementalState, SourceIteration

from apps.engine.failures import SourceError
from apps.engine.process.signs import signs
from apps.engine.sources.base import FrameIteration, RowsIteration, StreamSource
from apps.engine.sync.transforms import Transform

MAX_ROWS = 200_000
MAX_OBJECTS = 10_000
MAX_BYTES = 24 << 20
_NUL = re.compile(
    r"(?<!\\)(?:\\\\)*\\u0000"
)  # an escaped NUL in JSON, not a backslash followed by u0000
OBJECT_FACTOR = 4  # a dict's memory relative to the same as JSON


class BrokenSource(SourceError):
    """The source's code returned an invalid page; retrying without changes cannot help."""

    retryable = False


@dataclass(frozen=True, slots=True)
class QueuedPage:
    """One page of the source: a frame or rows, and the token of the next page (empty after the last)."""

    iteration: int
    frame: pl.DataFrame | None
    rows: Sequence[Any]
    next: Mapping[str, Any]
    next_state: Mapping[str, Any] | None
    size: int  # bytes, estimated

    @property
    def count(self) -> int:
        return len(self.rows) if self.frame is None else self.frame.height

    @property
    def room(self) -> float:
        """Return the fraction of a queue it uses; rows as Python objects count ten times a frame's."""
        most = MAX_OBJECTS if self.frame is None else MAX_ROWS
        return max(self.count / most, self.size / MAX_BYTES)


class Closed(Exception):
    """The writer accepts no more pages."""


class PageQueue:
    """A queue with a limited number of rows and bytes; one page always fits, however large."""

    def __init__(self) -> None:
        self._pages: deque[QueuedPage] = deque()
        self._taken_up = 0.0  # full at 1
        self._changed = threading.Condition()
        self._closed = self._finished = False
        self.error: BaseException | None = None

    def put(self, page: QueuedPage) -> None:
        """Add a page, waiting for room. Raises `Closed` if the writer is gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(page))
            if self._closed:
                raise Closed
            self._pages.append(page)
            self._taken_up += page.room
            self._changed.notify_all()

    def get(self, timeout: float) -> QueuedPage | None:
        """Return the next page, or None if `timeout` seconds passed or the queue has `ended`."""
        with self._changed:
            self._changed.wait_for(lambda: self._pages or self._finished or self._closed, timeout)
            return self._taken() if self._pages else None

    @property
    def ended(self) -> bool:
        """Whether all pages were taken and no more follow; `error` is set if reading failed."""
        with self._changed:
            return self._finished and not self._pages

    def finish(self, error: BaseException | None = None) -> None:
        """Mark the end of reading, with the error if it failed."""
        with self._changed:
            self._finished, self.error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Wake up a waiting reader, and drop the remaining pages."""
        with self._changed:
            self._closed = True
            self._pages.clear()
            self._changed.notify_all()

    def _has_room(self, page: QueuedPage) -> bool:
        return not self._pages or self._taken_up + page.room <= 1

    def _taken(self) -> QueuedPage:
        page = self._pages.popleft()
        self._taken_up = self._taken_up - page.room if self._pages else 0.0
        self._changed.notify_all()
        return page


class PageReader:
    """Requests all pages of the source, transforms them and puts them into the queue."""

    def __init__(
        self,
        source: StreamSource,
        queue: PageQueue,
        *,
        since: SourceIncrementalState | None,
        pagination: Mapping[str, Any],
        iteration: int,
        total: int | None,
        transform: Transform | None = None,
    ) -> None:
        self.total = total
        self._source = source
        self._transform = transform
        self._queue = queue
        self._since = since
        self._start = pagination
        self._iteration = iteration
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self._read()
        except Closed:
            self._queue.finish()
        except (
            Exception
        ) as error:  # outermost handler of a thread: any exception of a source ends the run
            traceback.clear_frames(
                error.__traceback__
            )  # Release the memory of pages that were not queued.
            self._queue.finish(error)
        except BaseException as error:  # Report SystemExit instead of exiting.
            self._queue.finish(BrokenSource(f"The source raised {type(error).__name__}."))
        else:
            self._queue.finish()

    def _read(self) -> None:
        # A transform changes the number of records, so the source's total would be wrong.
        counts = self._transform is None
        if self._iteration == 0 and self._since is None and counts:
            self.total = _count(self._source.get_total_records_count())
        pagination: Mapping[str, Any] = self._start
        while True:
            page = self._page(self._fetch(dict(pagination)))
            signs.moved()
            if page.next and page.next == pagination:
                raise BrokenSource(
                    "The source returned the requested page as the next page again.",
                    evidence=(f"pagination={json.dumps(page.next)[:300]}",),
                )
            if not page.next:
                # Checked before the last page is queued, so that a retried run reads that page again.
                self._conclude()
            self._queue.put(page)
            if not page.next:
                return
            pagination = page.next
            self._iteration += 1

    def _conclude(self) -> None:
        self._source.conclude()
        if self._transform is not None:
            self._transform.conclude()

    def _page(self, answer: object) -> QueuedPage:
        page = _page(answer, self._iteration)
        if self._transform is None or not isinstance(answer, SourceIteration):
            return page
        return _page(self._transform.apply(answer), self._iteration)

    def _fetch(self, pagination: dict[str, Any]) -> object:
        if self._since is None:
            return self._source.get(pagination)
        return self._source.get_records_after(self._since, pagination)


def _count(total: object) -> int | None:
    return total if isinstance(total, int) and not isinstance(total, bool) and total > 0 else None


def _page(answer: object, iteration: int) -> QueuedPage:
    if not isinstance(answer, SourceIteration):
        raise BrokenSource(
            f"The source returned {_described(answer)} instead of a page.",
            evidence=(f"iteration={iteration}",),
        )
    rows, frame = _content(answer)
    return QueuedPage(
        iteration=iteration,
        frame=frame,
        rows=rows,
        next=_token(answer.next_pagination, "next_pagination") or {},
        next_state=_state(answer.next_state),
        size=int(frame.estimated_size()) if frame is not None else _size(rows),
    )


def _content(answer: SourceIteration) -> tuple[Sequence[Any], pl.DataFrame | None]:
    if isinstance(answer, FrameIteration):
        if not isinstance(answer.frame, pl.DataFrame):
            raise BrokenSource(f"The source's frame is {_described(answer.frame)}.")
        return (), answer.frame
    rows = answer.rows if isinstance(answer, RowsIteration) else answer.records
    if not isinstance(rows, (list, tuple)):
        raise BrokenSource(f"The source's records are {_described(rows)}, not a list.")
    return rows, None


def _token(value: object, name: str) -> dict[str, Any] | None:
    """Convert the token as the database will return it, so that continuing and resuming get the same value."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise BrokenSource(f"The source's {name} is {_described(value)}, not an object.")
    try:
        stored: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise BrokenSource(f"The source's {name} cannot be stored as JSON: {error}.") from error
    return stored


def _state(value: object) -> dict[str, Any] | None:
    """Convert the state as `_token` does, and check that PostgreSQL can store it: no NUL, no lone surrogates."""
    stored = _token(value, "next_state")
    text = json.dumps(stored, ensure_ascii=False)
    if _NUL.search(text) or not _is_text(text):
        raise BrokenSource("The source's next_state contains text that cannot be stored.")
    return stored


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _described(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _size(rows: Sequence[Any]) -> int:
    """Estimate the size from three rows: measuring all would take as long as reading them."""
    if not rows:
        return 0
    sample = {0, len(rows) // 2, len(rows) - 1}
    measured = sum(_measured(rows[index]) for index in sample)
    return OBJECT_FACTOR * measured * len(rows) // len(sample)


def _measured(row: Any) -> int:
    try:
        return len(
            orjson.dumps(getattr(row, "data", row), default=str, option=orjson.OPT_NON_STR_KEYS)
        )
    except (TypeError, ValueError):
        return len(repr(row))
