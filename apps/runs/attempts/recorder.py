"""Keep the rows of a running attempt up to date while the engine's child works, and tell it when to stop.

One thread per attempt, at most one short transaction per second. If the database or the storage is not
available, data is kept in memory and written later. If a worker dies, at most the last second of the log is
lost.
"""

from __future__ import annotations

import threading
import time

import structlog
from django.db import connection

from apps.background.database_errors import first_line
from apps.background.retries import DATABASE_UNAVAILABLE, retry_while_unavailable
from apps.engine.contract import Event, Failed, LogLine, Outcome, Progress, Started, StopReason
from apps.runs.attempts.limit_watch import LimitWatch
from apps.runs.attempts.log_parts import LogParts
from apps.runs.attempts.reported import Reported
from apps.runs.attempts.rows import AttemptRows
from apps.runs.attempts.stop_reasons import StopReasons
from apps.runs.claiming import leases
from apps.runs.claiming.leases import ActiveLease, Claim
from apps.runs.exceptions import LeaseLost
from apps.runs.usage.counting import Measure

logger = structlog.get_logger(__name__)

EVERY = 1.0  # seconds between writes
LAST_PATIENCE = 5.0  # seconds that the end of an attempt waits for storage


class Recorder:
    """Pass it the engine's events from the thread that runs the child, and ask it whether to stop."""

    def __init__(self, claim: Claim, shutdown: threading.Event) -> None:
        # an exception caused by a bug in this class; the run must not continue unrecorded
        self.fault: Exception | None = None
        self._claim = claim
        self._shutdown = shutdown
        self._stop = StopReasons(seconds_left=claim.timeout_left, shutdown=shutdown)
        self._limits = LimitWatch(claim.org_id)
        self._lease = ActiveLease(claim)
        self._log = LogParts(claim)
        self._reported = Reported()
        self._rows = AttemptRows(claim)
        self._wake = threading.Event()
        self._done = False
        self._thread = threading.Thread(target=self._work, name=f"record {claim.run_id}")

    @property
    def latest(self) -> Progress | None:
        """The child's latest progress."""
        return self._reported.latest

    @property
    def limit_reached(self) -> Measure | None:
        """The limit of the org that this run has reached."""
        return self._limits.reached

    def start(self) -> None:
        self._thread.start()

    def take(self, event: Event) -> None:
        """Process one event of the child."""
        if isinstance(event, LogLine):
            self._log.add(event)
            is_urgent = self._log.part_is_full
        else:
            self._reported.take(event)
            is_urgent = isinstance(event, Started)
        if is_urgent:
            self._wake.set()

    def stop_reason(self) -> StopReason | None:
        """Return the reason why the child should stop, or None."""
        return self._stop.first()

    def take_end(self, outcome: Outcome) -> None:
        """Add the last line of the attempt's log: how it ended, with the class and message that are recorded."""
        if not isinstance(outcome, Failed):
            return
        if self.stop_reason() in {"cancelled", "shutdown"}:
            self.take(LogLine.now("info", f"Stopped: {outcome.message}"))
        else:
            words = outcome.failure_class.replace("_", " ")
            self.take(LogLine.now("error", f"Failed ({words}): {outcome.message}"))

    def close(self) -> None:
        """Write the remaining data and end the thread. Call it before the attempt is concluded."""
        self._done = True
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._done:
                self._wake.wait(EVERY)
                self._wake.clear()
                self._record_once()
            self._finish()
        except LeaseLost:
            self._stop.give("lease_lost")
        except Exception as error:  # outermost handler of this thread
            logger.exception("run cannot be recorded")
            self.fault = error
            self._stop.give("lease_lost")
        finally:
            connection.close()

    def _record_once(self) -> None:
        """Write new data, renew the lease if due, and check for a reason to stop."""
        try:
            if self._has_news():
                self._write()
            elif self._lease.renewal_is_due:
                self._lease.renew()
            self._look_for_a_reason_to_stop()
        except DATABASE_UNAVAILABLE as error:
            logger.warning("run cannot be recorded now", error=first_line(error))
            self._keep_lease()
        finally:
            connection.close()  # Return the connection to the pool until the next round.

    def _look_for_a_reason_to_stop(self) -> None:
        if self._stop.first() is None and leases.cancel_wanted(self._claim):
            self._stop.give("cancelled")
        if self._stop.first() is None and self._limits.is_reached():
            self._stop.give("limit")

    def _keep_lease(self) -> None:
        """Renew the lease separately: another process may lock rows of the org, but the lease needs only the run's
        own row.
        """
        if not self._lease.renewal_is_due:
            return
        try:
            self._lease.renew()
        except DATABASE_UNAVAILABLE as error:
            logger.warning("lease cannot be renewed now", error=first_line(error))

    def _finish(self) -> None:
        """Write the remaining data. Lines that storage does not accept within LAST_PATIENCE are dropped."""
        deadline = time.monotonic() + LAST_PATIENCE
        while self._has_news():
            retry_while_unavailable(self._write, give_up=self._shutdown)
            if time.monotonic() > deadline and self._has_news():
                logger.warning("the end of the log is lost: storage does not accept it")
                return
            time.sleep(0.05)

    def _has_news(self) -> bool:
        return self._reported.has_news or self._log.has_news

    def _write(self) -> None:
        """Write all new data in one transaction under the lease. If that fails, it is kept for the next round."""
        part = self._log.stored()
        news = self._reported.news()
        with self._lease.held() as mine:
            self._rows.write(mine, news, part)
        self._reported.forget(news)
        if part is not None:
            self._log.forget(part)
