"""Write the log lines of a running attempt to storage."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from apps.engine.contract import LogLine
from apps.runs.claiming.leases import Claim
from apps.runs.models import LogPart
from apps.runs.outputs import logs

logger = structlog.get_logger(__name__)

PUT_PATIENCE = 0.5  # seconds the recorder waits for storage to write a part
# bytes of log lines kept in memory while storage is not available; the oldest are dropped first
MAX_WAITING = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that is in storage; `added` are the lines that the run's row does not count yet."""

    row: LogPart
    added: Sequence[LogLine]

    @property
    def end(self) -> int:
        """The number of the line after its last one."""
        return self.row.first_line + self.row.lines


class LogParts:
    """The thread that runs the child adds lines; the thread that records the attempt takes stored parts."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._lock = threading.Lock()
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self._draft = logs.Draft(claim.log_lines)
        self._put: PartUpload | None = (
            None  # being written to storage, or stored and not yet recorded in the database
        )

    def add(self, line: LogLine) -> None:
        with self._lock:
            self._lines.append(line)
            self._bytes += _size(line)
            while self._bytes > MAX_WAITING:
                self._bytes -= _size(self._lines.popleft())

    @property
    def part_is_full(self) -> bool:
        """Whether there are enough waiting lines for a part."""
        return self._bytes >= logs.PART_BYTES

    @property
    def has_news(self) -> bool:
        return bool(self._lines) or self._put is not None

    def stored(self) -> StoredPart | None:
        """Write the waiting lines to storage as a part.

        Returns None if there are none, or storage has not accepted them.
        The part is written in a separate thread, so that a hanging storage does not cost the run its lease.
        """
        if self._put is None and (lines := self._take_lines()):
            self._put = PartUpload(self._claim, self._draft.plus(lines), lines)
        put = self._put
        if put is None or not put.done.wait(PUT_PATIENCE):
            return None
        if put.row is None:
            self._put_back(put.lines)
            self._put = None
            return None
        return StoredPart(put.row, put.lines)

    def forget(self, part: StoredPart) -> None:
        """Mark the part returned by `stored` as recorded in the database."""
        if self._put is not None:
            self._draft = logs.Draft(part.end) if self._put.draft.full else self._put.draft
            self._put = None

    def _take_lines(self) -> list[LogLine]:
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
            self._bytes = 0
        return lines

    def _put_back(self, lines: Sequence[LogLine]) -> None:
        with self._lock:
            self._lines.extendleft(reversed(lines))
            self._bytes += sum(map(_size, lines))


class PartUpload:
    """Writes a part to storage. `done` is set at the end; `row` stays None if storage refused it."""

    def __init__(self, claim: Claim, draft: logs.Draft, lines: Sequence[LogLine]) -> None:
        self.draft = draft
        self.lines = lines
        self.row: LogPart | None = None
        self.done = threading.Event()
        self._claim = claim
        threading.Thread(target=self._work, name=f"log {claim.run_id}", daemon=True).start()

    def _work(self) -> None:
        claim = self._claim
        try:
            self.row = logs.store(
                self.draft, org_id=claim.org_id, run_id=claim.run_id, attempt=claim.attempt
            )
        except (
            Exception
        ) as error:  # Each backend raises its own exceptions, and a log must not end its run.
            logger.warning("log part cannot be stored now", error=repr(error))
        finally:
            self.done.set()


def _size(line: LogLine) -> int:
    return len(line.message) + 120
