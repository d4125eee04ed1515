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

ROWS_PER_CALL = 200  # rows handled per call; the next call handles more
MAX_JOBS = 100  # jobs deferred at once
WORKER_TIMEOUT = timedelta(seconds=30)
# Progress and log events of ended runs are deleted after this time, because the log has the same data.
EVENT_DETAILS_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Report:
    """The number of repairs of each kind."""

    recovered: int
    cancelled: int
    jobs: int  # missing jobs that were deferred
    zombies: int  # jobs of dead workers
    closed: int  # suspended orgs, and orgs that will be deleted, whose runs were cancelled


def reconcile() -> Report:
    """Run every repair once."""
    report = Report(
        recovered=recover_expired_runs(),
        cancelled=enforce_overdue_cancels(),
        jobs=defer_missing_jobs(),
        zombies=jobs.remove_jobs_of_dead_workers(WORKER_TIMEOUT),
        closed=closing.cancel_runs_of_closed_orgs(),
    )
    if any(asdict(report).values()):
        logger.info("reconciled", **asdict(report))
    return report


def recover_expired_runs() -> int:
    """Retry runs whose lease has expired. A run whose workers died too often fails instead."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, run_id, lease FROM runs_expired(%s)", [ROWS_PER_CALL])
        rows = cursor.fetchall()
    return apply_to_rows(rows, lambda org, run, lease: recover(org_id=org, run_id=run, lease=lease))


def recover(*, org_id: UUID, run_id: UUID, lease: UUID, worker_died: bool = False) -> bool:
    """Take the run from a worker that does not respond. Returns False if the worker still owns the run.

    With `worker_died` the process is known to be dead, so the lease does not have to expire first.
    """
    with org_scope(org_id):
        expired_run = Run.objects.for_org(org_id).filter(
            pk=run_id, status=Status.RUNNING, lease=lease
        )
        if not worker_died:
            expired_run = expired_run.filter(lease_until__lt=Now())
        run = expired_run.select_for_update(of=("self",)).first()
        if run is None:
            return False
        _close_attempt(run)
        if run.cancel_requested_at is not None:
            return _move_from_running(run, Status.CANCELLED, finished_at=Now())
        if run.crashes + 1 >= retries.MAX_CRASHES:
            failure = failure_columns(CRASHED_TOO_OFTEN)
            return _move_from_running(
                run, Status.FAILED, finished_at=Now(), crashes=run.crashes + 1, **failure
            )
        queue.wake_worker()
        return _move_from_running(run, Status.PENDING, crashes=run.crashes + 1)


CRASHED_TOO_OFTEN = Failed(
    FailureClass.CRASHED,
    f"The process that did the work died {retries.MAX_CRASHES} times.",
    ("No worker renewed the run's lease in time.",),
    retryable=True,
)


def enforce_cancel(*, org_id: UUID, run_id: UUID) -> bool:
    """Cancel a run whose worker has not stopped it in time. The worker loses its lease."""
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
        return _move_from_running(run, Status.CANCELLED, finished_at=Now())


def enforce_overdue_cancels() -> int:
    """Cancel all runs whose workers have not stopped them in time, in case the job for one of them was lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, run_id FROM runs_overdue_cancels(%s)", [CANCEL_ENFORCED_AFTER]
        )
        rows = cursor.fetchall()
    return apply_to_rows(rows, lambda org, run: enforce_cancel(org_id=org, run_id=run))


def defer_missing_jobs() -> int:
    """Defer jobs until there is one for every run that could start now. Returns the number of new jobs."""
    missing = min(admission.count_startable() - queue.count_waiting_jobs(), MAX_JOBS)
    if missing > 0:
        queue.wake_workers(missing)
    return max(missing, 0)


def delete_old_details() -> None:
    """Delete progress and log events of ended runs, and finished jobs of the engine."""
    remove_in_batches("runs_remove_old_events", timezone.now() - EVENT_DETAILS_LIFETIME)
    engine_state.prune(settings.ENGINE_DATABASE_URL)


def _close_attempt(run: Run, outcome: str = "failed") -> None:
    Attempt.objects.for_org(run.org_id).filter(run_id=run.pk, finished_at=None).update(
        finished_at=Now(),
        outcome=outcome,
        failure_class=FailureClass.CRASHED if outcome == "failed" else "",
        failure_message="The worker stopped responding." if outcome == "failed" else "",
        failure_retryable=True if outcome == "failed" else None,
        records_read=run.records_read,
        records_written=run.records_written,
    )


def _move_from_running(run: Run, after: Status, **changes: Any) -> bool:
    return states.move(
        org_id=run.org_id,
        run_id=run.pk,
        before=Status.RUNNING,
        after=after,
        lease=run.lease,
        **changes,
    )
