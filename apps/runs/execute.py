"""Execute one attempt at a run: claim the run, run the engine's child process, record the result."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection
from django.db.models import Count, F, Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.background.retries import retry_while_unavailable
from apps.engine import EngineError, EngineSupervisor, Failed, Outcome, Succeeded
from apps.engine.contract import LogLine, Progress, StopReason
from apps.engine.failures import FailureClass
from apps.engine.process.stream_series import stop_failure
from apps.runs import states
from apps.runs.attempts import chosen_streams, traces
from apps.runs.attempts.children import LEAVES_WAITING, run_streams
from apps.runs.attempts.preparation import PreparedRun, prepare
from apps.runs.attempts.recorder import Recorder
from apps.runs.attempts.rows import progress_columns
from apps.runs.attempts.shared_snapshots import specs_in_snapshot
from apps.runs.attempts.stream_tracker import StreamTracker
from apps.runs.claiming import admission, leases, queue, retries
from apps.runs.claiming.leases import Claim
from apps.runs.exceptions import LeaseLost
from apps.runs.models import Attempt, Run, RunStream, Status
from apps.runs.outputs import leftovers
from apps.runs.snapshots import failure_columns

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that executes attempts. `shutdown` is set when it has to stop."""

    name: str
    engine: EngineSupervisor
    shutdown: threading.Event


def work_once(worker: Worker) -> bool:
    """Claim the next run and execute one attempt. Returns False if no run may start now, or the worker has to stop."""
    if worker.shutdown.is_set():
        return False
    claim = leases.claim_next(worker.name, stop=worker.shutdown)
    if claim is None:
        return False
    execute_attempt(worker, claim)
    retry_while_unavailable(wake_worker_for_waiting_run, give_up=worker.shutdown)
    return True


def execute_attempt(worker: Worker, claim: Claim) -> None:
    """Execute one attempt.

    Never raises for a failure of the run: the failure is recorded, unless another worker owns the run now.
    """
    recorder = Recorder(claim, worker.shutdown)
    log = logger.bind(run=str(claim.run_id), attempt=claim.attempt)
    try:
        with traces.attempt_span(claim) as span:
            outcome = _run_engine(worker, claim, recorder)
            traces.describe(span, outcome, recorder.streams)
            log.info("attempt ended", **traces.ending(claim, outcome))
        result = AttemptResult(claim, outcome, recorder.stop_reason(), recorder.streams.progress)
        retry_while_unavailable(result.record, give_up=worker.shutdown)
    except LeaseLost:
        log.warning("the run was taken over; this worker writes nothing more")
        leftovers.remove_again_if_deleted(claim)
    finally:
        connection.close()


def wake_worker_for_waiting_run() -> None:
    """Wake a worker if a waiting run can start. Call it after the commit that ended a run."""
    if admission.count_startable():
        queue.wake_workers(1)


def _run_engine(worker: Worker, claim: Claim, recorder: Recorder) -> Outcome:
    prepared = retry_while_unavailable(lambda: prepare(claim), give_up=worker.shutdown)
    if isinstance(prepared, Failed):
        return prepared
    connection.close()  # A run may take hours, and this thread needs no connection meanwhile.
    recorder.start()
    try:
        outcome = _run_recorded(worker, claim, recorder, prepared)
        recorder.log_failure(outcome)
    finally:
        recorder.close()
    return _recording_failure(recorder.fault) if recorder.fault else outcome


def _run_recorded(
    worker: Worker, claim: Claim, recorder: Recorder, prepared: PreparedRun
) -> Outcome:
    """Choose the streams of the run if its pipeline has patterns, and run them."""
    for warning in prepared.warnings:
        recorder.add_event(LogLine.now("warning", warning))
    if prepared.source is not None:
        failed = chosen_streams.choose_streams(worker.engine, claim, recorder, prepared.source)
        if failed is not None:
            return failed
        again = retry_while_unavailable(lambda: prepare(claim), give_up=worker.shutdown)
        connection.close()
        if isinstance(again, Failed):
            return again
        prepared = again
    recorder.follow(
        StreamTracker(
            prepared.streams,
            expected=prepared.expected,
            stops_at_failure=prepared.stops_at_failure,
        )
    )
    return _run_streams(worker, prepared, recorder)


def _run_streams(worker: Worker, prepared: PreparedRun, recorder: Recorder) -> Outcome:
    plan = prepared.snapshot_plan
    try:
        with specs_in_snapshot(worker.engine, prepared.specs, plan, recorder) as specs:
            run_streams(worker.engine, specs, recorder)
    except EngineError as error:  # The streams need a common snapshot, and there is none.
        return Failed(error.failure_class, error.message, error.evidence, error.retryable)
    reason = recorder.stop_reason()
    if reason is not None and reason in LEAVES_WAITING and recorder.streams.names_to_run:
        return stop_failure(reason)
    return recorder.streams.outcome()


def _recording_failure(fault: Exception) -> Failed:
    """Return the failure when the recorder could not record the child's events."""
    return Failed(FailureClass.INTERNAL, "The run's events could not be recorded.", (repr(fault),))


def _start_time(run: Run) -> datetime:
    """Return when the run, or its last manual retry, began."""
    return run.started_at or timezone.now()


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of an attempt, to be recorded in one transaction under its lease."""

    claim: Claim
    outcome: Outcome
    stop_reason: StopReason | None
    progress: Progress | None

    def record(self) -> None:
        """Record the result. Raises LeaseLost."""
        with leases.held(self.claim) as owned_run:
            run = owned_run.get()
            if isinstance(self.outcome, Succeeded):
                self._succeed(self.outcome)
            elif self.stop_reason == "cancelled" or run.cancel_requested_at is not None:
                self._cancel()
            elif self.stop_reason == "shutdown":
                self._release()
            else:
                self._fail(run, self.outcome)

    def _succeed(self, outcome: Succeeded) -> None:
        counts = {
            "records_read": outcome.read,
            "records_written": outcome.written,
            "records_rejected": outcome.rejected,
            "records_skipped": outcome.skipped,
            "bytes": outcome.bytes,
        }
        self._close_attempt("succeeded", outcome.read, outcome.written)
        self._move_run(Status.SUCCEEDED, finished_at=Now(), **counts, **states.NO_FAILURE)

    def _cancel(self) -> None:
        self._close_attempt("cancelled")
        self._move_streams({Status.FAILED}, Status.CANCELLED)
        self._move_run(Status.CANCELLED, finished_at=Now(), **states.NO_FAILURE)

    def _release(self) -> None:
        """Release the run, because this worker is stopping. Any free worker may continue it at once."""
        self._close_attempt("released")
        # Streams that were stopped by the end of the worker have not failed.
        self._move_streams({Status.RUNNING, Status.FAILED}, Status.PENDING, **states.NO_FAILURE)
        self._schedule_next_attempt(idle_attempts=F("idle_attempts"), wait=0.0)

    def _fail(self, run: Run, failed: Failed) -> None:
        crashed = failed.failure_class is FailureClass.CRASHED
        idle_attempts = 0 if self._made_progress() else run.idle_attempts + 1
        failures = self._failures_before(run) + 1
        history = retries.History(failures, idle_attempts, run.crashes + crashed, run.max_attempts)
        # If the run has reached its time limit, another attempt would not help.
        is_timed_out = self.stop_reason == "timeout"
        wait = None if is_timed_out else retries.wait_before_next_attempt(failed, history)
        seconds_left = run.timeout_seconds - (timezone.now() - _start_time(run)).total_seconds()
        if wait is not None and wait > seconds_left:
            failed = retries.failure_at_time_limit(failed, wait=wait, seconds_left=seconds_left)
            wait = None
        self._close_attempt("failed", failed=failed)
        counts = {
            "idle_attempts": idle_attempts,
            "crashes": history.crashes,
            **failure_columns(failed),
        }
        if wait is not None:
            self._move_streams({Status.RUNNING}, Status.PENDING)
            self._move_streams({Status.FAILED}, Status.PENDING, only_retryable=True)
            self._schedule_next_attempt(wait=wait, **counts)
        else:
            self._move_run(Status.FAILED, finished_at=Now(), **counts)

    def _move_streams(
        self,
        before: Collection[str],
        after: Status,
        *,
        only_retryable: bool = False,
        **changes: Any,
    ) -> None:
        rows = RunStream.objects.for_org(self.claim.org_id).filter(
            run_id=self.claim.run_id, status__in=before
        )
        if only_retryable:
            rows = rows.filter(failure_retryable=True)
        rows.update(status=after, **changes)

    def _count_streams(self) -> dict[str, int]:
        """Return the numbers of streams as columns of the run, after their last moves."""
        rows = RunStream.objects.for_org(self.claim.org_id).filter(run_id=self.claim.run_id)
        return rows.aggregate(
            streams_total=Count("id"),
            streams_failed=Count("id", filter=Q(status=Status.FAILED)),
            streams_succeeded=Count("id", filter=Q(status=Status.SUCCEEDED)),
        )

    def _failures_before(self, run: Run) -> int:
        """Count the failed attempts since the run, or its last manual retry, began."""
        attempts = Attempt.objects.for_org(self.claim.org_id).filter(run_id=run.pk)
        count: int = attempts.filter(outcome="failed", started_at__gte=_start_time(run)).count()
        return count

    def _schedule_next_attempt(self, *, wait: float, **changes: Any) -> None:
        start = Now() + timedelta(seconds=wait)
        self._move_run(Status.PENDING, not_before=start if wait else None, **changes)
        queue.wake_worker(seconds=wait)

    def _move_run(self, after: Status, **changes: Any) -> None:
        claim = self.claim
        if self.progress and after is not Status.SUCCEEDED:
            changes |= progress_columns(self.progress)
        if self.progress:
            changes |= self._count_streams()
        moved = states.move(
            org_id=claim.org_id,
            run_id=claim.run_id,
            before=Status.RUNNING,
            after=after,
            lease=claim.lease,
            rate=None,
            **changes,
        )
        if not moved:
            raise LeaseLost

    def _made_progress(self) -> bool:
        return self.progress is not None and self.progress.read > self.claim.records_read

    def _close_attempt(
        self,
        outcome: str,
        read: int | None = None,
        written: int | None = None,
        *,
        failed: Failed | None = None,
    ) -> None:
        progress = self.progress or Progress(0, 0, 0, 0, 0)
        failure = failure_columns(failed) if failed else states.NO_FAILURE
        Attempt.objects.for_org(self.claim.org_id).filter(
            run_id=self.claim.run_id, number=self.claim.attempt
        ).update(
            finished_at=Now(),
            outcome=outcome,
            failure_class=failure["failure_class"],
            failure_message=failure["failure_message"],
            failure_retryable=failure["failure_retryable"],
            records_read=progress.read if read is None else read,
            records_written=progress.written if written is None else written,
        )
