"""Defer the jobs that wake workers.

A job of the queue `runs` only wakes a worker and names no run: the worker claims the next run
(apps.runs.claiming.admission). So many jobs of one org do not delay other orgs' runs, and a lost or duplicate
job does no harm: the reconciler adds missing ones.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from apps.background import jobs
from apps.background.registry import SYSTEM

RUNS = "runs"  # long-running work: one run per job
EXECUTE = "runs.execute"
ENFORCE_CANCEL = "runs.enforce_cancel"
# Workers of the previous release need these two arguments; they are not used. Remove them in the next release.
UNUSED_IDS = {"org_id": "", "run_id": ""}


def ask_for_worker(*, at: datetime | None = None, seconds: float = 0.0) -> None:
    """Defer one job that wakes a worker, at the time `at` or in `seconds`."""
    jobs.defer(EXECUTE, queue=RUNS, arguments=UNUSED_IDS, at=at, seconds=seconds)


def ask_for_workers(count: int) -> None:
    """Defer jobs for runs that are already waiting."""
    jobs.defer_many(EXECUTE, queue=RUNS, arguments={**UNUSED_IDS}, count=count)


def enforce_cancel(*, org_id: UUID, run_id: UUID, seconds: int) -> None:
    """Check again in `seconds` whether the run has stopped."""
    about = {"org_id": str(org_id), "run_id": str(run_id)}
    jobs.defer(ENFORCE_CANCEL, queue=SYSTEM, arguments=about, seconds=seconds)


def waiting_jobs() -> int:
    """Count the jobs that are waiting for a worker now."""
    return jobs.count_waiting(EXECUTE)
