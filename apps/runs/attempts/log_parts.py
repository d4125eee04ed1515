"""The log lines of a running attempt on their way to storage."""

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

PUT_PATIENCE = 0.5  # seconds a turn waits for storage to take a part
MOST_WAITING = 8 * 1024 * 1024  # bytes of log lines kept while storage is away; the oldest go first


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that is in storage; `added` are those of its lines that no row of the run counts yet."""

    row: LogPart
    added: Sequence[LogLine]

    @property
    def end(self) -> int:
        """Number of the line after its last one."""
        return self.row.first_line + self.row.lines


class LogParts:
    """Lines go in from the thread that runs the child; stored parts come out in the one that records it."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._lock = threading.Lock()
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self._draft = logs.Draft(claim.log_lines)
        self._put: Put | None = None  # on its way to storage, or there and not in the database yet

    def add(self, line: LogLine) -> None:
        with self._lock:
            self._lines.append(line)
            self._bytes += _size(line)
            while self._bytes > MOST_WAITING:
                self._bytes -= _size(self._lines.popleft())

    @property
    def part_is_full(self) -> bool:
        """Whether the lines that wait are enough for a part."""
        return self._bytes >= logs.PART_BYTES

    @property
    def has_news(self) -> bool:
        return bool(self._lines) or self._put is not None

    def stored(self) -> StoredPart | None:
        """The waiting lines as a part in storage; None while there are none, or storage has not taken them.

        The part travels on a thread of its own: a storage that hangs must not cost the run its lease.
        """
        if self._put is None and (lines := self._take_lines()):
            self._put = Put(self._claim, self._draft.plus(lines), lines)
        put = self._put
        if put is None or not put.done.wait(PUT_PATIENCE):
            return None
        if put.row is None:
            self._put_back(put.lines)
            self._put = None
            return None
        return StoredPart(put.row, put.lines)

    def forget(self, part: StoredPart) -> None:
        """The part that `stored` answered is in the database."""
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


class Put:
    """A part on its way to storage. `done` is set at the end; `row` stays None when storage refused it."""

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
        except Exception as error:  # any backend's own: the log must not end the run it tells about
            logger.warning("log part cannot be stored now", error=repr(error))
        finally:
            self.done.set()


def _size(line: LogLine) -> int:
    return len(line.message) + 120
