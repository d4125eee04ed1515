"""Repair the state after crashes: runs without a worker, missing jobs, jobs of dead workers.

Any worker may do this at any time: every step is a guarded update and is safe to repeat.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from apps.background import jobs
from apps.background.retries import apply_to_rows
from apps.background.sweeping import remove_in_batches
from apps.engine import Failed, FailureClass
from apps.engine.sync import state as engine_state
from apps.orgs.walls.scope import org_scope
from apps.runs import states
from apps.runs.claiming import admission, queue, retries
from apps.runs.keeping import closing
from apps.runs.models import Attempt, Run, Status
from apps.runs.services import CANCEL_ENFORCED_AFTER
from apps.runs.snapshots import failure_columns

logger = structlog.get_logger(__name__)

AT_ONCE = 200  # rows of a kind handled per call; the next call handles the rest
MAX_JOBS = 100  # jobs deferred at once
SILENT_WORKER = timedelta(seconds=30)
EVENTS_KEPT = timedelta(days=1)  # progress and log events of ended runs; the log has them too


@dataclass(frozen=True, slots=True)
class Report:
    """The number of repairs of each kind."""

    recovered: int
    cancelled: int
    jobs: int
    zombies: int
    closed: int  # suspended or deleted orgs whose runs were told to end


def reconcile() -> Report:
    """Run every repair once."""
    report = Report(
        recovered=recover_expired(),
        cancelled=enforce_cancels(),
        jobs=defer_missing_jobs(),
        zombies=jobs.remove_jobs_of_dead_workers(SILENT_WORKER),
        closed=closing.stop_closed(),
    )
    if any(asdict(report).values()):
        logger.info("reconciled", **asdict(report))
    return report


def recover_expired() -> int:
    """Retry runs whose lease has expired, or fail them if their worker died too often."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, run_id, lease FROM runs_expired(%s)", [AT_ONCE])
        found = cursor.fetchall()
    return apply_to_rows(
        found, lambda org, run, lease: recover(org_id=org, run_id=run, lease=lease)
    )


def recover(*, org_id: UUID, run_id: UUID, lease: UUID, worker_died: bool = False) -> bool:
    """Take the run from a worker that does not respond. False if it has responded meanwhile.

    `worker_died` means that the process is known to be dead, so the lease need not expire first.
    """
    with org_scope(org_id):
        mine = Run.objects.for_org(org_id).filter(pk=run_id, status=Status.RUNNING, lease=lease)
        if not worker_died:
            mine = mine.filter(lease_until__lt=Now())
        run = mine.select_for_update(of=("self",)).first()
        if run is None:
            return False
        _close_attempt(run)
        if run.cancel_requested_at is not None:
            return _end(run, Status.CANCELLED, finished_at=Now())
        if run.crashes + 1 >= retries.POISON:
            failure = failure_columns(POISONED)
            return _end(run, Status.FAILED, finished_at=Now(), crashes=run.crashes + 1, **failure)
        queue.ask_for_worker()
        return _end(run, Status.PENDING, crashes=run.crashes + 1)


POISONED = Failed(
    FailureClass.CRASHED,
    f"The process that did the work died {retries.POISON} times.",
    ("No worker renewed the run's lease in time.",),
    retryable=True,
)


def enforce_cancel(*, org_id: UUID, run_id: UUID) -> bool:
    """Cancel a run whose worker was told to stop and does not respond. The worker loses its lease."""
    with org_scope(org_id):
        run = (
            Run.objects.for_org(org_id)
            .filter(pk=run_id, status=Status.RUNNING, cancel_requested_at__isnull=False)
            .select_for_update(of=("self",))
            .first()
        )
        if run is None:
            return False
        _close_attempt(run, outcome="cancelled")
        return _end(run, Status.CANCELLED, finished_at=Now())


def enforce_cancels() -> int:
    """Cancel all overdue runs, in case the job that checks one of them was lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, run_id FROM runs_overdue_cancels(%s)", [CANCEL_ENFORCED_AFTER]
        )
        found = cursor.fetchall()
    return apply_to_rows(found, lambda org, run: enforce_cancel(org_id=org, run_id=run))


def defer_missing_jobs() -> int:
    """Defer missing jobs, so that there is one for every run that could start now."""
    missing = min(admission.startable() - queue.waiting_jobs(), MAX_JOBS)
    if missing > 0:
        queue.ask_for_workers(missing)
    return max(missing, 0)


def forget_details() -> None:
    """Delete progress and log events of ended runs, and finished jobs of the engine."""
    remove_in_batches("runs_remove_old_events", timezone.now() - EVENTS_KEPT)
    engine_state.prune(settings.ENGINE_DATABASE_URL)


def _close_attempt(run: Run, outcome: str = "failed") -> None:
    Attempt.objects.for_org(run.org_id).filter(run_id=run.pk, finished_at=None).update(
        finished_at=Now(),
        outcome=outcome,
        failure_class=FailureClass.CRASHED if outcome == "failed" else "",
        failure_message="The worker stopped answering." if outcome == "failed" else "",
        failure_retryable=True if outcome == "failed" else None,
        records_read=run.records_read,
        records_written=run.records_written,
    )


def _end(run: Run, after: Status, **changes: Any) -> bool:
    return states.move(
        org_id=run.org_id,
        run_id=run.pk,
        before=Status.RUNNING,
        after=after,
        lease=run.lease,
        **changes,
    )
