"""Read pages from a source in a separate thread, a limited number of rows ahead of the writer."""

from __future__ import annotations

import json
import re
import threading
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import polars as pl
from bizon.source.models import SourceIncrementalState, SourceIteration
from polars.exceptions import PanicException

from apps.engine.failures import SourceError
from apps.engine.field_rules import NO_RULES, FieldRules
from apps.engine.frames.copied import CopiedRows
from apps.engine.frames.kept_records import FindSource
from apps.engine.frames.left_out import LeftOutRecords
from apps.engine.frames.native import NativeTable
from apps.engine.library import trails
from apps.engine.process.progress import progress
from apps.engine.sources.base import FrameIteration, RowsIteration, StreamSource
from apps.engine.sync.fields import FieldChanges
from apps.engine.sync.repeats import Repeats
from apps.engine.sync.seen_columns import SeenColumns
from apps.engine.sync.transforms import Transform

# The limits of the queue
MAX_ROWS = 200_000  # rows of frames
MAX_OBJECTS = 10_000  # rows as Python objects
MAX_BYTES = 8 << 20
# An escaped NUL in JSON. An escaped backslash before u0000 does not match.
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
OBJECT_FACTOR = 4  # the memory of a dict, relative to the size of its JSON


class BrokenSource(SourceError):
    """The code of the source returned an invalid page. A retry of the same code cannot help."""

    retryable = False


@dataclass(frozen=True, slots=True)
class QueuedPage:
    """One page of the source: a frame or rows, and the token of the next page (empty on the last page)."""

    iteration: int
    frame: pl.DataFrame | None
    rows: Sequence[Any]
    next_token: Mapping[str, Any]
    next_state: Mapping[str, Any] | None
    size: int  # bytes, estimated
    left_out: LeftOutRecords | None = None
    is_transformed: bool = False
    native: NativeTable | None = None
    copied: CopiedRows | None = None  # rows that are not in the frame
    find_source: FindSource | None = None  # set if rules or a transform have changed the records

    @property
    def count(self) -> int:
        if self.copied is not None:
            return self.copied.row_count
        return len(self.rows) if self.frame is None else self.frame.height

    @property
    def queue_share(self) -> float:
        """Return the fraction of the queue that the page uses.

        A row that is a Python object counts as much as 20 rows of a frame.
        """
        limit = MAX_OBJECTS if self.frame is None else MAX_ROWS
        return max(self.count / limit, self.size / MAX_BYTES)


class QueueClosed(Exception):
    """The writer accepts no more pages."""


class PageQueue:
    """A queue with a limited number of rows and bytes. An empty queue accepts a page of any size."""

    def __init__(self) -> None:
        self._pages: deque[QueuedPage] = deque()
        self._used_share = 0.0  # The queue is full at 1.
        self._changed = threading.Condition()
        self._closed = self._finished = False
        self.error: BaseException | None = None

    def put(self, page: QueuedPage) -> None:
        """Wait until the queue has room, and add a page. Raises `QueueClosed` if the writer has closed the queue."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(page))
            if self._closed:
                raise QueueClosed
            self._pages.append(page)
            self._used_share += page.queue_share
            self._changed.notify_all()

    def get(self, timeout: float) -> QueuedPage | None:
        """Return the next page, or None after `timeout` seconds or if the queue `is_finished` or was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._pages or self._finished or self._closed, timeout)
            return self._take_first() if self._pages else None

    @property
    def is_finished(self) -> bool:
        """Whether all pages were taken and no more will be added. `error` is set if reading failed."""
        with self._changed:
            return self._finished and not self._pages

    def finish(self, error: BaseException | None = None) -> None:
        """Mark the end of reading, with the error if reading failed."""
        with self._changed:
            self._finished, self.error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Drop the remaining pages, and wake up a reader that is waiting."""
        with self._changed:
            self._closed = True
            self._pages.clear()
            self._changed.notify_all()

    def _has_room(self, page: QueuedPage) -> bool:
        return not self._pages or self._used_share + page.queue_share <= 1

    def _take_first(self) -> QueuedPage:
        page = self._pages.popleft()
        self._used_share = self._used_share - page.queue_share if self._pages else 0.0
        self._changed.notify_all()
        return page


class PageReader:
    """Requests all pages of the source, changes their records and puts them into the queue."""

    def __init__(
        self,
        source: StreamSource,
        queue: PageQueue,
        *,
        since: SourceIncrementalState | None,
        pagination: Mapping[str, Any],
        iteration: int,
        total: int | None,
        fields: FieldRules = NO_RULES,
        hashed: Sequence[str] = (),
        transform: Transform | None = None,
        primary_key: Sequence[str] = (),
    ) -> None:
        self.total = total
        self.columns = SeenColumns()
        self._repeats = Repeats(primary_key, shows_records=not fields.hides_values)
        self._source = source
        self._fields = FieldChanges(fields, hashed=hashed) if fields else None
        self._transform = transform
        self._queue = queue
        self._since = since
        self._first_pagination = pagination
        self._iteration = iteration
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self._read()
        except QueueClosed:
            self._queue.finish()
        except (Exception, PanicException) as error:
            # This is the outermost handler of the thread: the writer raises the error.
            # Release the memory of pages that were not queued.
            traceback.clear_frames(error.__traceback__)
            self._queue.finish(error)
        except BaseException as error:  # Report SystemExit instead of exiting.
            self._queue.finish(BrokenSource(f"The source raised {type(error).__name__}."))
        else:
            self._queue.finish()

    def _read(self) -> None:
        # A transform changes the number of records, so the total of the source would be wrong.
        is_total_correct = self._transform is None
        if self._iteration == 0 and self._since is None and is_total_correct:
            self.total = _known_total(self._source.get_total_records_count())
        pagination: Mapping[str, Any] = self._first_pagination
        trail = trails.Trail()
        trail.add(trails.digest(pagination))
        while True:
            result = self._fetch(dict(pagination))
            self.columns.add(result)
            self._require_new_records(result)
            page = self._to_page(result)
            progress.report()
            if page.next_token and trail.add(trails.digest(page.next_token)):
                raise BrokenSource(
                    "The source returned the token of a page that it has returned before as the token of the next page.",
                    evidence=(f"pagination={json.dumps(page.next_token)[:300]}",),
                )
            if not page.next_token:
                # Conclude before the last page is queued. If it fails, a retry reads that page again.
                self._conclude()
            self._queue.put(page)
            if not page.next_token:
                return
            pagination = page.next_token
            self._iteration += 1

    def _require_new_records(self, result: object) -> None:
        """Raise RepeatedRecords. Pages without a token for the next page end the stream anyway."""
        if isinstance(result, SourceIteration) and result.next_pagination:
            rows, frame = _rows_or_frame(result)
            if frame is None:
                self._repeats.add(rows)

    def _conclude(self) -> None:
        self._source.conclude()
        if self._transform is not None:
            self._transform.conclude()

    def _to_page(self, result: object) -> QueuedPage:
        if self._fields is not None and isinstance(result, SourceIteration):
            result = self._fields.apply(result, self._iteration)
        page = _queued_page(result, self._iteration)
        if self._transform is None or not isinstance(result, SourceIteration):
            return page
        transformed = self._transform.apply(result, self._iteration)
        return replace(_queued_page(transformed, self._iteration), is_transformed=True)

    def _fetch(self, pagination: dict[str, Any]) -> object:
        if self._since is None:
            return self._source.get(pagination)
        return self._source.get_records_after(self._since, pagination)


def _known_total(total: object) -> int | None:
    return total if isinstance(total, int) and not isinstance(total, bool) and total > 0 else None


def _queued_page(result: object, iteration: int) -> QueuedPage:
    if not isinstance(result, SourceIteration):
        raise BrokenSource(
            f"The source returned {_describe_type(result)} instead of a page.",
            evidence=(f"iteration={iteration}",),
        )
    rows, frame = _rows_or_frame(result)
    copied: CopiedRows | None = getattr(result, "copied", None)
    return QueuedPage(
        iteration=iteration,
        frame=frame,
        rows=rows,
        next_token=_stored_token(result.next_pagination, "next_pagination") or {},
        next_state=_stored_state(result.next_state),
        size=_frame_size(frame, copied) if frame is not None else _estimated_size(rows),
        left_out=getattr(result, "left_out", None),
        native=getattr(result, "native", None),
        copied=copied,
        find_source=getattr(result, "find_source", None),
    )


def _frame_size(frame: pl.DataFrame, copied: CopiedRows | None) -> int:
    return copied.size if copied is not None else int(frame.estimated_size())


def _rows_or_frame(page: SourceIteration) -> tuple[Sequence[Any], pl.DataFrame | None]:
    if isinstance(page, FrameIteration):
        if not isinstance(page.frame, pl.DataFrame):
            raise BrokenSource(
                f"The source's frame is {_describe_type(page.frame)}, not a DataFrame."
            )
        return (), page.frame
    rows = page.rows if isinstance(page, RowsIteration) else page.records
    if not isinstance(rows, (list, tuple)):
        raise BrokenSource(f"The source's records are {_describe_type(rows)}, not a list.")
    return rows, None


def _stored_token(value: object, name: str) -> dict[str, Any] | None:
    """Return the token as the database will return it, so that the source receives the same value after a retry."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise BrokenSource(f"The source's {name} is {_describe_type(value)}, not an object.")
    try:
        stored: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise BrokenSource(f"The source's {name} cannot be stored as JSON: {error}.") from error
    return stored


def _stored_state(value: object) -> dict[str, Any] | None:
    """Convert the state like a token, and check that PostgreSQL can store it: no NUL, no lone surrogates."""
    stored = _stored_token(value, "next_state")
    stored_text = json.dumps(stored, ensure_ascii=False)
    if _ESCAPED_NUL.search(stored_text) or not _is_text(stored_text):
        raise BrokenSource("The source's next_state contains text that cannot be stored.")
    return stored


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _describe_type(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _estimated_size(rows: Sequence[Any]) -> int:
    """Estimate the size from three rows, because measuring all rows would take as long as reading them."""
    if not rows:
        return 0
    indexes = {0, len(rows) // 2, len(rows) - 1}
    sample_size = sum(_row_size(rows[index]) for index in indexes)
    return OBJECT_FACTOR * sample_size * len(rows) // len(indexes)


def _row_size(row: Any) -> int:
    try:
        return len(
            orjson.dumps(getattr(row, "data", row), default=str, option=orjson.OPT_NON_STR_KEYS)
        )
    except (TypeError, ValueError):
        return len(repr(row))
