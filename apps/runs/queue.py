"""Asking for a worker: jobs deferred in the transaction of the row they serve.

A job of the queue `runs` is a ticket, not a bond: whichever worker gets it runs whichever run's
turn it is (apps.runs.admission). So a flood of one org's jobs delays nobody else's run, and a lost
or doubled ticket does no harm; the reconciler makes the missing ones.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from procrastinate.contrib.django import app
from procrastinate.types import JSONDict

RUNS = "runs"  # long work: one run each
SYSTEM = "system"  # short work: ticks, reconciling, enforcing
EXECUTE = "runs.execute"
ENFORCE_CANCEL = "runs.enforce_cancel"


def ask_for_worker(*, org_id: UUID, run_id: UUID, at: datetime | None = None) -> int:
    """One ticket because of this run, good from `at` on. Answers the job's id."""
    job = app.configure_task(EXECUTE, queue=RUNS, schedule_at=at)
    return job.defer(org_id=str(org_id), run_id=str(run_id))


def ask_for_workers(count: int) -> None:
    """Tickets for runs that wait already."""
    job = app.configure_task(EXECUTE, queue=RUNS)
    nobodys: JSONDict = {"org_id": "", "run_id": ""}
    job.batch_defer(*[nobodys] * count)


def enforce_cancel(*, org_id: UUID, run_id: UUID, seconds: int) -> None:
    """Look again in `seconds` whether the run has stopped."""
    job = app.configure_task(ENFORCE_CANCEL, queue=SYSTEM, schedule_in={"seconds": seconds})
    job.defer(org_id=str(org_id), run_id=str(run_id))
