"""Asking for a worker for a run.

A job of the queue `runs` is only a wake-up: the worker takes the run whose turn it is (apps.runs.admission), and the
run's id in the job is not used. So a flood of one org's jobs delays nobody else's run, and a lost or doubled job does
no harm; the reconciler makes the missing ones.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from apps.background import jobs
from apps.background.registry import SYSTEM

RUNS = "runs"  # long work: one run each
EXECUTE = "runs.execute"
ENFORCE_CANCEL = "runs.enforce_cancel"


def ask_for_worker(
    *, org_id: UUID, run_id: UUID, at: datetime | None = None, seconds: float = 0.0
) -> int:
    """One job because of this run, good from `at` on or in `seconds`. Answers the job's id."""
    about = {"org_id": str(org_id), "run_id": str(run_id)}
    return jobs.defer(EXECUTE, queue=RUNS, about=about, at=at, seconds=seconds)


def ask_for_workers(count: int) -> None:
    """Jobs for runs that wait already."""
    jobs.defer_many(EXECUTE, queue=RUNS, about={"org_id": "", "run_id": ""}, count=count)


def enforce_cancel(*, org_id: UUID, run_id: UUID, seconds: int) -> None:
    """Look again in `seconds` whether the run has stopped."""
    about = {"org_id": str(org_id), "run_id": str(run_id)}
    jobs.defer(ENFORCE_CANCEL, queue=SYSTEM, about=about, seconds=seconds)


def tickets() -> int:
    """How many jobs wait for a worker now."""
    return jobs.waiting(EXECUTE)
