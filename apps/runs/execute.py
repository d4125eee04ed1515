"""Execute one attempt at a run: claim it, run the engine's child, record the result."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from apps.background.retries import retry_while_unavailable
from apps.connectors import sandboxes
from apps.engine import EngineError, EngineSupervisor, Failed, Outcome, RunSpec, Succeeded
from apps.engine.contract import Progress, StopReason
from apps.engine.failures import FailureClass
from apps.orgs.exceptions import Invalid, Unreadable
from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.pipelines.specs import engine_specs
from apps.runs import states
from apps.runs.attempts.recorder import Recorder
from apps.runs.attempts.rows import columns_of
from apps.runs.claiming import admission, leases, queue, retries
from apps.runs.claiming.leases import Claim
from apps.runs.exceptions import LeaseLost
from apps.runs.models import Attempt, Run, Status
from apps.runs.outputs import leftovers, storage
from apps.runs.positions import services as positions
from apps.runs.snapshots import failure_columns
from apps.runs.usage import counting as usage

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that executes attempts: its name, its engine, and whether it was told to stop."""

    name: str
    engine: EngineSupervisor
    shutdown: threading.Event


def work_once(worker: Worker) -> bool:
    """Claim the next run and execute it to its end, or release it. Returns False if no run may start now."""
    if worker.shutdown.is_set():
        return False
    claim = leases.claim_next(worker.name, stop=worker.shutdown)
    if claim is None:
        return False
    attempt(worker, claim)
    retry_while_unavailable(wake_waiting, give_up=worker.shutdown)
    return True


def attempt(worker: Worker, claim: Claim) -> None:
    """Execute one attempt.

    Never raises for failures of the run: they are recorded, or another worker owns the run.
    """
    recorder = Recorder(claim, worker.shutdown)
    log = logger.bind(run=str(claim.run_id), attempt=claim.attempt)
    try:
        outcome = _run(worker, claim, recorder)
        reached = recorder.latest
        if isinstance(outcome, Failed):  # Committed rows count, not the last reported progress.
            reached = positions.checkpointed(claim.org_id, claim.pipeline_id) or reached
        end = End(claim, outcome, recorder.stop_reason(), reached)
        retry_while_unavailable(end.conclude, give_up=worker.shutdown)
    except LeaseLost:
        log.warning("the run was taken over; this worker writes nothing more")
        leftovers.remove_again_if_gone(claim)
    finally:
        connection.close()


def wake_waiting() -> None:
    """Wake a worker if runs are waiting, because a slot is free. Call it after the commit that freed the slot."""
    if admission.startable():
        queue.ask_for_workers(1)


def _run(worker: Worker, claim: Claim, recorder: Recorder) -> Outcome:
    spec = retry_while_unavailable(lambda: _spec(claim), give_up=worker.shutdown)
    if isinstance(spec, Failed):
        return spec
    connection.close()  # Close the connection: a run may take hours.
    recorder.start()
    try:
        outcome = _outcome(worker, spec, recorder)
        recorder.take_end(outcome)
    finally:
        recorder.close()
    return _unrecorded(recorder.fault) if recorder.fault else outcome


def _outcome(worker: Worker, spec: RunSpec, recorder: Recorder) -> Outcome:
    """Run the child to its end. If it was stopped by a limit of the org, the failure names that limit."""
    try:
        outcome = worker.engine.run(spec, on_event=recorder.take, should_stop=recorder.stop_reason)
    except EngineError as error:
        outcome = _failed(error)
    if recorder.limit_reached is not None and not isinstance(outcome, Succeeded):
        return usage.stopped(recorder.limit_reached)
    return outcome


def _failed(error: EngineError) -> Failed:
    """Return the failure when the engine could not start a child."""
    return Failed(error.failure_class, error.message, error.evidence, error.retryable)


def _unrecorded(fault: Exception) -> Failed:
    return Failed(FailureClass.INTERNAL, "The run's events could not be recorded.", (repr(fault),))


def _spec(claim: Claim) -> RunSpec | Failed:
    """Return the specification for the child, or Failed if the pipeline's settings cannot be read."""
    with org_scope(claim.org_id):
        org = Org.objects.get(pk=claim.org_id)
        if (measure := usage.over(org)) is not None:
            return usage.stopped(measure)
        pipeline = Pipeline.objects.for_org(org).get(pk=claim.pipeline_id)
        try:
            specs = engine_specs(org=org, pipeline=pipeline, version=claim.version)
        except (Invalid, Unreadable, PipelineVersion.DoesNotExist) as error:
            return Failed(FailureClass.CONFIGURATION, str(error) or type(error).__name__)
    return RunSpec(
        run_id=str(claim.run_id),
        org_id=str(claim.org_id),
        pipeline_id=str(claim.pipeline_id),
        attempt=claim.attempt,
        lease=str(claim.lease),
        source=specs.source,
        destination=specs.destination,
        transform=specs.transform,
        state_dsn=settings.ENGINE_DATABASE_URL,
        data=storage.data_root(claim.org_id, claim.pipeline_id),
        files=storage.files_root(claim.org_id),
        allow_private_networks=settings.ALLOW_PRIVATE_NETWORKS,
        sandbox=sandboxes.spec_for_runs(),
    )


def _began(run: Run) -> datetime:
    """Return when the run, or its last manual retry, began."""
    return run.started_at or timezone.now()


@dataclass(frozen=True, slots=True)
class End:
    """The result of an attempt, to be recorded in one transaction under its lease."""

    claim: Claim
    outcome: Outcome
    reason: StopReason | None
    reached: Progress | None

    def conclude(self) -> None:
        """Record the result. Raises LeaseLost."""
        with leases.held(self.claim) as mine:
            run = mine.get()
            if isinstance(self.outcome, Succeeded):
                self._succeed(self.outcome)
            elif self.reason == "cancelled" or run.cancel_requested_at is not None:
                self._cancel()
            elif self.reason == "shutdown":
                self._release()
            else:
                self._fail(run, self.outcome)

    def _succeed(self, outcome: Succeeded) -> None:
        counts = {
            "records_read": outcome.read,
            "records_written": outcome.written,
            "records_rejected": outcome.rejected,
            "bytes": outcome.bytes,
        }
        self._note_attempt("succeeded", outcome.read, outcome.written)
        self._move(Status.SUCCEEDED, finished_at=Now(), **counts, **states.NO_FAILURE)

    def _cancel(self) -> None:
        self._note_attempt("cancelled")
        self._move(Status.CANCELLED, finished_at=Now(), **states.NO_FAILURE)

    def _release(self) -> None:
        """Release the run, because this worker is stopping: any free worker continues it at once."""
        self._note_attempt("released")
        self._again(idle_attempts=F("idle_attempts"), wait=0.0)

    def _fail(self, run: Run, failed: Failed) -> None:
        crashed = failed.failure_class is FailureClass.CRASHED
        idle = 0 if self._moved() else run.idle_attempts + 1
        failures = self._failures_before(run) + 1
        history = retries.History(failures, idle, run.crashes + crashed, run.max_attempts)
        # The time limit of the whole run is reached, so another attempt would not help.
        over = self.reason == "timeout"
        wait = None if over else retries.wait_before_next(failed, history)
        left = run.timeout_seconds - (timezone.now() - _began(run)).total_seconds()
        if wait is not None and wait > left:
            failed = retries.too_late(failed, wait=wait, left=left)
            wait = None
        self._note_attempt("failed", failed=failed)
        counts = {"idle_attempts": idle, "crashes": history.crashes, **failure_columns(failed)}
        if wait is not None:
            self._again(wait=wait, **counts)
        else:
            self._move(Status.FAILED, finished_at=Now(), **counts)

    def _failures_before(self, run: Run) -> int:
        """Count the failed attempts since the run was last started, without those that a worker released."""
        attempts = Attempt.objects.for_org(self.claim.org_id).filter(run_id=run.pk)
        failed: int = attempts.filter(outcome="failed", started_at__gte=_began(run)).count()
        return failed

    def _again(self, *, wait: float, **changes: Any) -> None:
        at = Now() + timedelta(seconds=wait)
        self._move(Status.PENDING, not_before=at if wait else None, **changes)
        queue.ask_for_worker(seconds=wait)

    def _move(self, after: Status, **changes: Any) -> None:
        claim = self.claim
        if self.reached and after is not Status.SUCCEEDED:
            changes |= columns_of(self.reached)
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

    def _moved(self) -> bool:
        return self.reached is not None and self.reached.read > self.claim.records_read

    def _note_attempt(
        self,
        outcome: str,
        read: int | None = None,
        written: int | None = None,
        *,
        failed: Failed | None = None,
    ) -> None:
        reached = self.reached or Progress(0, 0, 0, 0, 0)
        why = failure_columns(failed) if failed else states.NO_FAILURE
        Attempt.objects.for_org(self.claim.org_id).filter(
            run_id=self.claim.run_id, number=self.claim.attempt
        ).update(
            finished_at=Now(),
            outcome=outcome,
            failure_class=why["failure_class"],
            failure_message=why["failure_message"],
            failure_retryable=why["failure_retryable"],
            records_read=reached.read if read is None else read,
            records_written=reached.written if written is None else written,
        )
