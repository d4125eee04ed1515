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

UPLOAD_WAIT_SECONDS = 0.5  # seconds the recorder waits for storage to write a part
# Bytes of log lines held in memory while storage is not available. The oldest lines are dropped first.
MAX_WAITING_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that is in storage. `new_lines` are not counted in the run's row yet."""

    row: LogPart
    new_lines: Sequence[LogLine]

    @property
    def end(self) -> int:
        """The number of the line after the part's last line."""
        return self.row.first_line + self.row.lines


class LogWriter:
    """The log lines of an attempt that are not recorded in the database yet.

    The thread that runs the child adds lines. The thread that records the attempt writes them to storage.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._lock = threading.Lock()
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self._draft = logs.Draft(claim.log_lines)
        # The part that is being written to storage, or is stored and not recorded yet.
        self._upload: PartUpload | None = None

    def add(self, line: LogLine) -> None:
        with self._lock:
            self._lines.append(line)
            self._bytes += _size_in_bytes(line)
            while self._bytes > MAX_WAITING_BYTES:
                self._bytes -= _size_in_bytes(self._lines.popleft())

    @property
    def has_full_part(self) -> bool:
        """Whether there are enough waiting lines for a full part."""
        return self._bytes >= logs.PART_BYTES

    @property
    def has_new_data(self) -> bool:
        return bool(self._lines) or self._upload is not None

    def store_waiting_lines(self) -> StoredPart | None:
        """Write the waiting lines to storage as a part.

        Returns None if no lines are waiting or storage has not accepted them. The part is written in a separate
        thread: if storage hangs, the caller can still renew the lease.
        """
        if self._upload is None and (lines := self._take_lines()):
            self._upload = PartUpload(self._claim, self._draft.with_lines(lines), lines)
        upload = self._upload
        if upload is None or not upload.done.wait(UPLOAD_WAIT_SECONDS):
            return None
        if upload.row is None:
            self._put_lines_back(upload.lines)
            self._upload = None
            return None
        return StoredPart(upload.row, upload.lines)

    def mark_recorded(self, part: StoredPart) -> None:
        """Mark the part returned by `store_waiting_lines` as recorded in the database."""
        if self._upload is not None:
            self._draft = logs.Draft(part.end) if self._upload.draft.is_full else self._upload.draft
            self._upload = None

    def _take_lines(self) -> list[LogLine]:
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
            self._bytes = 0
        return lines

    def _put_lines_back(self, lines: Sequence[LogLine]) -> None:
        with self._lock:
            self._lines.extendleft(reversed(lines))
            self._bytes += sum(map(_size_in_bytes, lines))


class PartUpload:
    """Writes a part to storage in its own thread. `done` is set at the end; `row` stays None after a failure."""

    def __init__(self, claim: Claim, draft: logs.Draft, lines: Sequence[LogLine]) -> None:
        self.draft = draft
        self.lines = lines
        self.row: LogPart | None = None
        self.done = threading.Event()
        self._claim = claim
        threading.Thread(target=self._store, name=f"log {claim.run_id}", daemon=True).start()

    def _store(self) -> None:
        claim = self._claim
        try:
            self.row = logs.store(
                self.draft, org_id=claim.org_id, run_id=claim.run_id, attempt=claim.attempt
            )
        # Each storage backend raises its own exceptions. A failure of the log must not end the run.
        except Exception as error:
            logger.warning("log part cannot be stored now", error=repr(error))
        finally:
            self.done.set()


def _size_in_bytes(line: LogLine) -> int:
    return len(line.message) + 120  # 120 for the line's other fields
