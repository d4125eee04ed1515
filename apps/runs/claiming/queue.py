"""Asking for a worker for a run.

A job of the queue `runs` is only a wake-up and names no run: the worker takes the run whose turn it is
(apps.runs.claiming.admission). So a flood of one org's jobs delays nobody else's run, and a lost or doubled job does no harm;
the reconciler makes the missing ones.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from apps.background import jobs
from apps.background.registry import SYSTEM

RUNS = "runs"  # long work: one run each
EXECUTE = "runs.execute"
ENFORCE_CANCEL = "runs.enforce_cancel"
# Workers of the release before fail without these two; nobody uses them. Remove them in the next release.
UNUSED_IDS = {"org_id": "", "run_id": ""}


def ask_for_worker(*, at: datetime | None = None, seconds: float = 0.0) -> None:
    """One job that wakes a worker, from `at` on or in `seconds`."""
    jobs.defer(EXECUTE, queue=RUNS, about=UNUSED_IDS, at=at, seconds=seconds)


def ask_for_workers(count: int) -> None:
    """Jobs for runs that wait already."""
    jobs.defer_many(EXECUTE, queue=RUNS, about={**UNUSED_IDS}, count=count)


def enforce_cancel(*, org_id: UUID, run_id: UUID, seconds: int) -> None:
    """Look again in `seconds` whether the run has stopped."""
    about = {"org_id": str(org_id), "run_id": str(run_id)}
    jobs.defer(ENFORCE_CANCEL, queue=SYSTEM, about=about, seconds=seconds)


def tickets() -> int:
    """How many jobs wait for a worker now."""
    return jobs.waiting(EXECUTE)
