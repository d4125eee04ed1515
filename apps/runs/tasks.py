"""Procrastinate tasks. Each task makes one call and is safe to run twice.

The queue retries only removals: after a deletion, no row is left from which the removal could be started again.
"""

from __future__ import annotations

from uuid import UUID

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from apps.background.registry import SYSTEM_QUEUE
from apps.connectors.storage import REMOVE_DATABASE_TASK
from apps.pipelines import removal
from apps.runs import scheduling
from apps.runs.backfills import chunks
from apps.runs.claiming import queue, reconciler, workers
from apps.runs.dependents import starting
from apps.runs.execute import work_once
from apps.runs.file_watches import looking
from apps.runs.keeping import retention
from apps.runs.outputs import databases, leftovers

# Each wait between two tries is a minute longer than the previous wait. All tries take about three and a half days.
RETRY_FOR_DAYS = RetryStrategy(max_attempts=100, linear_wait=60)


@app.task(name=queue.EXECUTE_TASK, queue=queue.RUNS)
def execute(*, org_id: str = "", run_id: str = "") -> None:
    """Claim the next run and execute it. The ids are ignored: jobs of the previous release still have them."""
    work_once(workers.current_worker())


@app.task(name=queue.ENFORCE_CANCEL_TASK, queue=SYSTEM_QUEUE)
def enforce_cancel(*, org_id: str, run_id: str) -> None:
    reconciler.enforce_cancel(org_id=UUID(org_id), run_id=UUID(run_id))


@app.task(name=removal.TASK, queue=removal.QUEUE, retry=RETRY_FOR_DAYS)
def remove_leftovers(*, org_id: str, pipeline_id: str) -> None:
    leftovers.remove(org_id=UUID(org_id), pipeline_id=UUID(pipeline_id))


@app.task(name=REMOVE_DATABASE_TASK, queue=removal.QUEUE, retry=RETRY_FOR_DAYS)
def remove_database(*, org_id: str, connector_id: str) -> None:
    databases.remove_if_deleted(org_id=UUID(org_id), connector_id=UUID(connector_id))


@app.periodic(cron="* * * * * */5")
@app.task(name="runs.tick", queue=SYSTEM_QUEUE, queueing_lock="runs.tick")
def tick(timestamp: int) -> None:
    scheduling.tick()


@app.periodic(cron="* * * * * */5")
@app.task(name="runs.backfill", queue=SYSTEM_QUEUE, queueing_lock="runs.backfill")
def backfill(timestamp: int) -> None:
    chunks.start_due()


@app.task(name=starting.START_TASK, queue=SYSTEM_QUEUE)
def start_dependents(*, org_id: str, pipeline_id: str) -> None:
    starting.start_around(org_id=UUID(org_id), pipeline_id=UUID(pipeline_id))


@app.periodic(cron="* * * * * */5")
@app.task(name="runs.depend", queue=SYSTEM_QUEUE, queueing_lock="runs.depend")
def depend(timestamp: int) -> None:
    starting.tick()


@app.task(name=looking.LOOK_TASK, queue=looking.QUEUE)
def look_for_files(*, org_id: str, pipeline_id: str) -> None:
    looking.look(org_id=UUID(org_id), pipeline_id=UUID(pipeline_id))


# A look ends some time after its tick. With a tick each minute, the next one would come just before it is due again.
@app.periodic(cron="* * * * * */10")
@app.task(name="runs.watch_files", queue=SYSTEM_QUEUE, queueing_lock="runs.watch_files")
def watch_files(timestamp: int) -> None:
    looking.tick()


@app.periodic(cron="* * * * * */10")
@app.task(name="runs.reconcile", queue=SYSTEM_QUEUE, queueing_lock="runs.reconcile")
def reconcile(timestamp: int) -> None:
    reconciler.reconcile()


@app.periodic(cron="37 * * * *")
@app.task(name="runs.retain", queue=SYSTEM_QUEUE, queueing_lock="runs.retain")
def retain(timestamp: int) -> None:
    retention.remove_expired_data()
