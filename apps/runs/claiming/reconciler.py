"""Makes rows true again after crashes: runs nobody works on, tickets that are missing, jobs of dead workers.

Any worker may do this at any time; every step is a guarded update that changes nothing twice.
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
from apps.background.patience import each
from apps.background.sweeping import remove_in_batches
from apps.engine import Failed, FailureClass
from apps.engine.sync import state as engine_state
from apps.orgs.tenancy import org_scope
from apps.runs import states
from apps.runs.claiming import admission, queue, retries
from apps.runs.keeping import closing
from apps.runs.models import Attempt, Run, Status
from apps.runs.services import CANCEL_ENFORCED_AFTER
from apps.runs.snapshots import failure_columns

logger = structlog.get_logger(__name__)

AT_ONCE = 200  # rows of a kind handled in one go; the next go takes the rest
MOST_TICKETS = 100  # asked for at once
SILENT_WORKER = timedelta(seconds=30)
EVENTS_KEPT = timedelta(days=1)  # progress and log lines of ended runs; the log keeps them too


@dataclass(frozen=True, slots=True)
class Report:
    """What was put right."""

    recovered: int
    cancelled: int
    tickets: int
    zombies: int
    closed: int  # suspended or deleted orgs whose runs were asked to end


def reconcile() -> Report:
    """Once over everything that may be stuck."""
    report = Report(
        recovered=recover_expired(),
        cancelled=enforce_cancels(),
        tickets=issue_missing_tickets(),
        zombies=jobs.remove_zombies(SILENT_WORKER),
        closed=closing.stop_closed(),
    )
    if any(asdict(report).values()):
        logger.info("reconciled", **asdict(report))
    return report


def recover_expired() -> int:
    """Runs whose lease ran out are tried again, or fail when their worker died too often."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, run_id, lease FROM runs_expired(%s)", [AT_ONCE])
        found = cursor.fetchall()
    return each(found, lambda org, run, lease: recover(org_id=org, run_id=run, lease=lease))


def recover(*, org_id: UUID, run_id: UUID, lease: UUID, worker_died: bool = False) -> bool:
    """Take the run from a worker that does not answer. False when it answered meanwhile.

    `worker_died` says that the process is known to be gone, so the lease need not run out first.
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
    """Cancel a run whose worker was asked to stop and does not answer; its lease is void from now on."""
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
    """The same for all that are overdue, should the job that looks after one be lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, run_id FROM runs_overdue_cancels(%s)", [CANCEL_ENFORCED_AFTER]
        )
        found = cursor.fetchall()
    return each(found, lambda org, run: enforce_cancel(org_id=org, run_id=run))


def issue_missing_tickets() -> int:
    """Every run that could start now has a ticket, or one is made."""
    missing = min(admission.startable() - queue.tickets(), MOST_TICKETS)
    if missing > 0:
        queue.ask_for_workers(missing)
    return max(missing, 0)


def forget_details() -> None:
    """Progress and log lines of ended runs, whose log keeps them too, and jobs the engine has done."""
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
