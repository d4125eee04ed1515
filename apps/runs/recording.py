"""Writes down what a running attempt reports: progress, log parts, outputs; and keeps its lease.

One thread per attempt, at most one short transaction a second. The database or the storage may go
away meanwhile: what cannot be written now is kept and written later. A worker that dies loses at
most the last second of the log.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from apps.background.database_errors import first_line
from apps.background.patience import DATABASE_AWAY, patiently
from apps.engine.contract import (
    Event,
    LogLine,
    Network,
    OutputFile,
    Progress,
    Started,
    StopReason,
    Withdrawn,
)
from apps.live import events
from apps.orgs.models import Org
from apps.orgs.tenancy import org_scope
from apps.runs import followed, leases, snapshots, states
from apps.runs.exceptions import LeaseLost
from apps.runs.leases import Claim
from apps.runs.models import Attempt, LogPart, Output
from apps.runs.outputs import logs
from apps.runs.usage import counting as usage

logger = structlog.get_logger(__name__)

EVERY = 1.0  # seconds between writes
MEASURE_EVERY = 5.0  # seconds between looks at the org's limits
PUT_PATIENCE = 0.5  # seconds a turn waits for storage to take a part
LAST_PATIENCE = 5.0  # seconds the end of an attempt waits for it
MOST_WAITING = 8 * 1024 * 1024  # bytes of log lines kept while storage is away; the oldest go first


class Recorder:
    """Feed it the engine's events from the thread that runs the child; ask it whether to stop."""

    def __init__(self, claim: Claim, shutdown: threading.Event) -> None:
        self.claim = claim
        self.latest: Progress | None = None
        self.over: usage.Measure | None = None  # the org's limit that this run reached
        self.fault: Exception | None = None  # a bug in here; the run must not go on unseen
        self._shutdown = shutdown
        self._deadline = time.monotonic() + claim.timeout_left
        self._reason: StopReason | None = None
        self._lock = threading.Lock()
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self._draft = logs.Draft(claim.log_lines)
        self._put: Put | None = None  # on its way to storage, or there and not in the database yet
        self._outputs: list[OutputFile | Withdrawn] = []
        self._launched = False
        self._network: Network | None = None  # what is not written yet
        self._unwritten = False  # progress, outputs or the launch
        self._rate = Rate()
        self._renewed = self._measured = time.monotonic()
        self._wake = threading.Event()
        self._done = False
        self._thread = threading.Thread(target=self._work, name=f"record {claim.run_id}")

    def start(self) -> None:
        self._thread.start()

    def take(self, event: Event) -> None:
        """One event of the child."""
        with self._lock:
            if isinstance(event, LogLine):
                self._add_line(event)
            elif isinstance(event, Progress):
                self.latest, self._unwritten = event, True
            elif isinstance(event, OutputFile | Withdrawn):
                self._outputs.append(event)
                self._unwritten = True
            elif isinstance(event, Network):
                self._network, self._unwritten = event, True
            elif isinstance(event, Started):
                self._launched = self._unwritten = True
                self._wake.set()

    def stop_reason(self) -> StopReason | None:
        """Why the child should stop, if it should."""
        if self._reason is None and self._shutdown.is_set():
            self._reason = "shutdown"
        if self._reason is None and time.monotonic() > self._deadline:
            self._reason = "timeout"
        return self._reason

    def close(self) -> None:
        """Write what is left and end the thread. Call it before the attempt is concluded."""
        self._done = True
        self._wake.set()
        self._thread.join()

    def _add_line(self, line: LogLine) -> None:
        self._lines.append(line)
        self._bytes += _size(line)
        while self._bytes > MOST_WAITING:
            self._bytes -= _size(self._lines.popleft())
        if self._bytes >= logs.PART_BYTES:
            self._wake.set()

    def _work(self) -> None:
        try:
            while not self._done:
                self._wake.wait(EVERY)
                self._wake.clear()
                self._turn()
            self._finish()
        except LeaseLost:
            self._reason = self._reason or "lease_lost"
        except Exception as error:  # the outermost edge of this thread
            logger.exception("run cannot be recorded")
            self.fault, self._reason = error, self._reason or "lease_lost"
        finally:
            connection.close()

    def _turn(self) -> None:
        """One look: write what there is, renew the lease when it is time, hear about a cancel."""
        try:
            if self._has_news():
                self._write()
            elif self._renewal_is_due():
                self._renew()
            if self._reason is None and leases.cancel_wanted(self.claim):
                self._reason = "cancelled"
            if self._reason is None and time.monotonic() > self._measured + MEASURE_EVERY:
                self._measure()
        except DATABASE_AWAY as error:
            logger.warning("run cannot be recorded now", error=first_line(error))
            self._keep_lease()
        finally:
            connection.close()  # back to the pool between looks

    def _keep_lease(self) -> None:
        """Another process may hold a row of the org; the lease depends on the run's own row alone."""
        if not self._renewal_is_due():
            return
        try:
            self._renew()
        except DATABASE_AWAY as error:
            logger.warning("lease cannot be renewed now", error=first_line(error))

    def _renewal_is_due(self) -> bool:
        return time.monotonic() - self._renewed > settings.RUN_HEARTBEAT.total_seconds()

    def _finish(self) -> None:
        """Write what is left; lines that storage does not take for LAST_PATIENCE are given up."""
        deadline = time.monotonic() + LAST_PATIENCE
        while self._has_news():
            patiently(self._write, give_up=self._shutdown)
            if time.monotonic() > deadline and self._has_news():
                logger.warning("the end of the log is lost: storage does not take it")
                return
            time.sleep(0.05)

    def _has_news(self) -> bool:
        with self._lock:
            return self._unwritten or bool(self._lines) or self._put is not None

    def _measure(self) -> None:
        """Stop at a limit of the org: what is committed stays, the next run goes on from there."""
        self._measured = time.monotonic()
        with org_scope(self.claim.org_id):
            self.over = usage.over(Org.objects.get(pk=self.claim.org_id))
        if self.over is not None:
            self._reason = "timeout"

    def _renew(self) -> None:
        with leases.held(self.claim):
            self._renewed = time.monotonic()

    def _write(self) -> None:
        """Everything new in one transaction under the lease. What fails is kept for the next turn."""
        put = self._stored()
        with self._lock:
            latest, outputs, launched = self.latest, list(self._outputs), self._launched
            network = self._network
            had_news, self._unwritten = self._unwritten, False
        try:
            with leases.held(self.claim) as mine:
                if launched:
                    self._note_launch()
                news = [
                    *(self._note_part(put, mine) if put else ()),
                    *(self._note_progress(latest, mine) if latest and had_news else ()),
                ]
                self._note_outputs(outputs)
                self._note_network(network)
                events.publish(
                    followed.RUN, org_id=self.claim.org_id, key=self.claim.run_id, news=news
                )
        except BaseException:
            self._unwritten = self._unwritten or had_news
            raise
        self._renewed = time.monotonic()
        if put:
            self._put = None
            end = put.draft.first_line + put.draft.lines
            self._draft = logs.Draft(end) if put.draft.full else put.draft
        self._forget(outputs, network)

    def _forget(self, outputs: list[OutputFile | Withdrawn], network: Network | None) -> None:
        """They are written now."""
        with self._lock:
            if self._network is network:
                self._network = None
            del self._outputs[: len(outputs)]
            self._launched = False

    def _stored(self) -> Put | None:
        """The waiting lines as a part in storage; None while there are none, or storage has not taken them.

        The part travels on a thread of its own: a storage that hangs must not cost the run its lease.
        """
        if self._put is None and (lines := self._take_lines()):
            self._put = Put(self.claim, self._draft.plus(lines), lines)
        put = self._put
        if put is None or not put.done.wait(PUT_PATIENCE):
            return None
        if put.part is None:
            self._put_back(put.lines)
            self._put = None
            return None
        return put

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

    def _note_launch(self) -> None:
        claim = self.claim
        Attempt.objects.for_org(claim.org_id).filter(
            run_id=claim.run_id, number=claim.attempt, launched_at=None
        ).update(launched_at=Now())
        states.announce(org_id=claim.org_id, run_id=claim.run_id)

    def _note_network(self, network: Network | None) -> None:
        if network is None:
            return
        claim = self.claim
        attempts = Attempt.objects.for_org(claim.org_id).filter(run_id=claim.run_id)
        attempts.filter(number=claim.attempt).update(network=network.hosts)

    def _note_part(self, put: Put, mine: Any) -> list[events.New]:
        if put.part is not None:
            logs.save(put.part)
        total = put.draft.first_line + put.draft.lines
        mine.update(log_lines=total)
        lines = [logs.shown(line) for line in put.lines]
        body = {"first_line": total - len(lines), "lines": lines}
        return [events.New("log", body)]

    def _note_progress(self, latest: Progress, mine: Any) -> list[events.New]:
        rate = self._rate.after(latest.read)
        mine.update(**columns_of(latest), rate=rate, progress_at=Now())
        body = {
            "run_id": self.claim.run_id,
            "read": latest.read,
            "written": latest.written,
            "rejected": latest.rejected,
            "bytes": latest.bytes,
            "iterations": latest.iterations,
            "total": latest.total,
            "rate": rate,
            "eta_seconds": snapshots.eta(latest.total, latest.read, rate),
        }
        return [events.New("progress", body)]

    def _note_outputs(self, outputs: list[OutputFile | Withdrawn]) -> None:
        for output in outputs:
            if isinstance(output, Withdrawn):
                self._withdraw(output.prefix)
            else:
                self._note_output(output)

    def _note_output(self, output: OutputFile) -> None:
        """A name that is published again replaces the earlier one."""
        claim = self.claim
        Output.unscoped.update_or_create(
            org_id=claim.org_id,
            run_id=claim.run_id,
            name=output.name[-255:],
            defaults={
                "key": output.key,
                "bytes": output.bytes,
                "rows": output.rows,
                "media_type": output.media_type,
            },
        )

    def _withdraw(self, prefix: str) -> None:
        """Other runs of the pipeline list no file that is gone, or is ours now."""
        claim = self.claim
        Output.objects.for_org(claim.org_id).filter(
            run__pipeline_id=claim.pipeline_id, key__startswith=prefix
        ).exclude(run_id=claim.run_id).delete()


class Put:
    """A part on its way to storage. `done` is set at the end; `part` stays None when storage refused it."""

    def __init__(self, claim: Claim, draft: logs.Draft, lines: Sequence[LogLine]) -> None:
        self.draft = draft
        self.lines = lines
        self.part: LogPart | None = None
        self.done = threading.Event()
        self._claim = claim
        threading.Thread(target=self._work, name=f"log {claim.run_id}", daemon=True).start()

    def _work(self) -> None:
        claim = self._claim
        try:
            self.part = logs.store(
                self.draft, org_id=claim.org_id, run_id=claim.run_id, attempt=claim.attempt
            )
        except Exception as error:  # any backend's own: the log must not end the run it tells about
            logger.warning("log part cannot be stored now", error=repr(error))
        finally:
            self.done.set()


class Rate:
    """Records per second, smoothed over the last few looks."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._read: int | None = None
        self._value: float | None = None

    def after(self, read: int) -> float | None:
        """The rate now that `read` records were read; None before it can be known."""
        now = time.monotonic()
        before, self._read = self._read, read
        elapsed, self._at = now - self._at, now
        if before is None or elapsed <= 0:
            return None
        fresh = max(read - before, 0) / elapsed
        self._value = fresh if self._value is None else (self._value + fresh) / 2
        return round(self._value, 1)


def columns_of(latest: Progress) -> dict[str, Any]:
    """Progress as columns of the run."""
    return {
        "records_read": latest.read,
        "records_written": latest.written,
        "records_rejected": latest.rejected,
        "bytes": latest.bytes,
        "iterations": latest.iterations,
        "records_total": latest.total if latest.total is not None else F("records_total"),
    }


def _size(line: LogLine) -> int:
    return len(line.message) + 120
