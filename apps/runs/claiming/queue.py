"""Defer the jobs that wake workers.

A job of the queue `runs` only wakes a worker. It names no run: the worker claims the next run
(apps.runs.claiming.admission). So the jobs of one org do not delay the runs of other orgs. A duplicate job does no
harm, and the reconciler replaces a lost one.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from apps.background import jobs
from apps.background.registry import SYSTEM_QUEUE

RUNS = "runs"
EXECUTE_TASK = "runs.execute"
ENFORCE_CANCEL_TASK = "runs.enforce_cancel"
# Workers of the previous release need these two arguments. This release does not use them; the next one can remove
# them.
UNUSED_IDS = {"org_id": "", "run_id": ""}


def wake_worker(*, at: datetime | None = None, seconds: float = 0.0) -> None:
    """Defer one job that wakes a worker, at the time `at` or in `seconds`."""
    jobs.defer(EXECUTE_TASK, queue=RUNS, arguments=UNUSED_IDS, at=at, seconds=seconds)


def wake_workers(count: int) -> None:
    """Defer `count` jobs that wake workers now."""
    jobs.defer_many(EXECUTE_TASK, queue=RUNS, arguments=[{**UNUSED_IDS}] * count)


def enforce_cancel(*, org_id: UUID, run_id: UUID, seconds: int) -> None:
    """Defer a job that cancels the run in `seconds` if its worker has not stopped it by then."""
    arguments = {"org_id": str(org_id), "run_id": str(run_id)}
    jobs.defer(ENFORCE_CANCEL_TASK, queue=SYSTEM_QUEUE, arguments=arguments, seconds=seconds)


def count_waiting_jobs() -> int:
    """Count the jobs that are waiting for a worker now."""
    return jobs.count_waiting(EXECUTE_TASK)
