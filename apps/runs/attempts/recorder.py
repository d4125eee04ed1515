"""Write a running attempt's progress and log to its rows, and find out when the attempt has to stop.

Each attempt has one recording thread, which writes new data about once per second, in short transactions. If the
database or the storage is not available, data is held in memory and written later. If a worker dies, the data that
was not yet written is lost.
"""

from __future__ import annotations

import threading
import time

import structlog
from django.db import connection

from apps.background.database_errors import first_line
from apps.background.retries import DATABASE_UNAVAILABLE, retry_while_unavailable
from apps.engine.contract import Event, Failed, LogLine, Outcome, Progress, Started, StopReason
from apps.engine.source_columns import SourceColumns
from apps.runs.attempts.limit_watch import LimitWatch
from apps.runs.attempts.log_parts import LogWriter
from apps.runs.attempts.rows import AttemptRows
from apps.runs.attempts.stop_reasons import StopReasons
from apps.runs.attempts.stream_tracker import StreamTracker
from apps.runs.attempts.unwritten_events import UnwrittenEvents
from apps.runs.claiming import leases
from apps.runs.claiming.leases import ActiveLease, Claim
from apps.runs.exceptions import LeaseLost
from apps.runs.usage.counting import Measure

logger = structlog.get_logger(__name__)

WRITE_INTERVAL = 1.0  # seconds between two writes
FINISH_SECONDS = 5.0  # longest time to wait for storage at the end of an attempt


class Recorder:
    """Records one attempt. The threads that run children call `begin_stream`, `end_stream`, `add_stream_event` and
    `stop_reason`."""

    def __init__(self, claim: Claim, shutdown: threading.Event) -> None:
        # The unexpected exception that ended the recording thread, if any. It also stops the run.
        self.fault: Exception | None = None
        self._claim = claim
        self.shutdown = shutdown
        self._stop_reasons = StopReasons(seconds_left=claim.timeout_left, shutdown=shutdown)
        self._limits = LimitWatch(claim.org_id)
        self._lease = ActiveLease(claim)
        self._log = LogWriter(claim)
        self._unwritten = UnwrittenEvents()
        self._rows = AttemptRows(claim)
        self.streams = StreamTracker()
        self._wake = threading.Event()
        self._done = False
        self._thread = threading.Thread(target=self._record, name=f"record {claim.run_id}")

    @property
    def limit_reached(self) -> Measure | None:
        """The limit of the org that is reached, or None."""
        return self._limits.reached_measure

    def start(self) -> None:
        self._thread.start()

    def follow(self, streams: StreamTracker) -> None:
        """Record these streams from now on."""
        self.streams = streams

    def begin_stream(self, name: str) -> None:
        self.streams.begin(name)

    def add_stream_event(self, name: str, event: Event) -> None:
        """Process one event of a stream's child."""
        if isinstance(event, SourceColumns):
            self._unwritten.add_columns(name, event)
            return
        self.add_event(self.streams.to_run_event(name, event))

    def end_stream(self, name: str, outcome: Outcome, committed: Progress | None = None) -> None:
        """Record how a stream has ended, see `StreamTracker.end`."""
        self.streams.end(name, outcome, committed)
        if (progress := self.streams.progress) is not None:
            self.add_event(progress)

    def add_event(self, event: Event) -> None:
        """Process one event of the run."""
        if isinstance(event, LogLine):
            self._log.add(event)
            is_urgent = self._log.has_full_part
        else:
            is_urgent = isinstance(event, Started) and self._unwritten.is_first_start
            self._unwritten.add_event(event)
        if is_urgent:
            self._wake.set()

    def stop_reason(self) -> StopReason | None:
        """Return the reason why the child should stop, or None."""
        return self._stop_reasons.first_reason()

    def log_failure(self, outcome: Outcome) -> None:
        """If the attempt has failed or was stopped, add a last line with the reason to its log."""
        if not isinstance(outcome, Failed):
            return
        if self.stop_reason() in {"cancelled", "shutdown"}:
            self.add_event(LogLine.now("info", f"Stopped: {outcome.message}"))
        else:
            failure_class = outcome.failure_class.replace("_", " ")
            self.add_event(LogLine.now("error", f"Failed ({failure_class}): {outcome.message}"))

    def close(self) -> None:
        """Write the remaining data and end the thread. Call it before the attempt's result is recorded."""
        self._done = True
        self._wake.set()
        self._thread.join()

    def _record(self) -> None:
        try:
            while not self._done:
                self._wake.wait(WRITE_INTERVAL)
                self._wake.clear()
                self._record_once()
            self._finish()
        except LeaseLost:
            self._stop_reasons.add("lease_lost")
        except Exception as error:  # outermost handler of this thread
            logger.exception("run cannot be recorded")
            self.fault = error
            self._stop_reasons.add("lease_lost")
        finally:
            connection.close()

    def _record_once(self) -> None:
        """Write new data or renew the lease, then check whether the attempt has to stop."""
        try:
            if self._has_new_data():
                self._write()
            elif self._lease.renewal_is_due:
                self._lease.renew()
            self._check_stop_reasons()
        except DATABASE_UNAVAILABLE as error:
            logger.warning("run cannot be recorded now", error=first_line(error))
            self._renew_lease_separately()
        finally:
            connection.close()  # Return the connection to the pool until the next round.

    def _check_stop_reasons(self) -> None:
        if self._stop_reasons.first_reason() is None and leases.is_cancel_requested(self._claim):
            self._stop_reasons.add("cancelled")
        if self._stop_reasons.first_reason() is None and self._limits.is_reached():
            self._stop_reasons.add("limit")

    def _renew_lease_separately(self) -> None:
        """Renew the lease in its own transaction.

        Another process may have locked rows of the org that `_write` needs. Renewing needs only the run's own row.
        """
        if not self._lease.renewal_is_due:
            return
        try:
            self._lease.renew()
        except DATABASE_UNAVAILABLE as error:
            logger.warning("lease cannot be renewed now", error=first_line(error))

    def _finish(self) -> None:
        """Write the remaining data. Lines that storage does not accept within FINISH_SECONDS are dropped."""
        deadline = time.monotonic() + FINISH_SECONDS
        while self._has_new_data():
            retry_while_unavailable(self._write, give_up=self.shutdown)
            if time.monotonic() > deadline and self._has_new_data():
                logger.warning("the end of the log is lost: storage does not accept it")
                return
            time.sleep(0.05)

    def _has_new_data(self) -> bool:
        return (
            self._unwritten.has_new_data or self._log.has_new_data or bool(self.streams.changes())
        )

    def _write(self) -> None:
        """Write all new data in one transaction under the lease. If that fails, the next round tries again."""
        part = self._log.store_waiting_lines()
        new_data, changed_streams = self._unwritten.new_data(), self.streams.changes()
        with self._lease.held() as owned_run:
            self._rows.write(owned_run, new_data, part, written=self.streams.written_by_several)
            if changed_streams:
                self._rows.write_streams(
                    owned_run, list(changed_streams.values()), self.streams.counts
                )
        self._unwritten.mark_recorded(new_data)
        self.streams.mark_recorded(changed_streams)
        if part is not None:
            self._log.mark_recorded(part)
