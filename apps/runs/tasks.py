"""Procrastinate tasks: each takes an id and makes one call. Safe to run twice.

The queue retries only removals, because no row is left from which they could be started again.
"""

from __future__ import annotations

from uuid import UUID

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from apps.background.registry import SYSTEM
from apps.pipelines import removal
from apps.runs import execute as attempts
from apps.runs import scheduling
from apps.runs.claiming import queue, reconciler, workers
from apps.runs.keeping import retention
from apps.runs.outputs import leftovers

# retries a minute longer apart each time: three days in all
PATIENTLY = RetryStrategy(max_attempts=100, linear_wait=60)


@app.task(name=queue.EXECUTE, queue=queue.RUNS)
def execute(*, org_id: str = "", run_id: str = "") -> None:
    """Claim the next run and execute it. The ids are ignored: jobs of the previous release still have them."""
    attempts.work_once(workers.current())


@app.task(name=queue.ENFORCE_CANCEL, queue=SYSTEM)
def enforce_cancel(*, org_id: str, run_id: str) -> None:
    reconciler.enforce_cancel(org_id=UUID(org_id), run_id=UUID(run_id))


@app.task(name=removal.REMOVE, queue=removal.QUEUE, retry=PATIENTLY)
def remove_leftovers(*, org_id: str, pipeline_id: str) -> None:
    leftovers.remove(org_id=UUID(org_id), pipeline_id=UUID(pipeline_id))


@app.periodic(cron="* * * * * */5")
@app.task(name="runs.tick", queue=SYSTEM, queueing_lock="runs.tick")
def tick(timestamp: int) -> None:
    scheduling.tick()


@app.periodic(cron="* * * * * */10")
@app.task(name="runs.reconcile", queue=SYSTEM, queueing_lock="runs.reconcile")
def reconcile(timestamp: int) -> None:
    reconciler.reconcile()


@app.periodic(cron="37 * * * *")
@app.task(name="runs.retain", queue=SYSTEM, queueing_lock="runs.retain")
def retain(timestamp: int) -> None:
    retention.apply()
