"""Asking for a worker: jobs deferred in the transaction of the row they serve.

A job of the queue `runs` is a ticket. It only wakes a worker, which then takes the run whose turn
it is (apps.runs.admission). So a flood of one org's jobs delays nobody else's run, and a lost
or doubled ticket does no harm; the reconciler makes the missing ones.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task
from procrastinate.types import JSONDict

from apps.auth import mail
from apps.connectors.repositories import services as repositories
from apps.pipelines import removal

RUNS = "runs"  # long work: one run each
SYSTEM = "system"  # short work: ticks, reconciling, enforcing
EXECUTE = "runs.execute"
ENFORCE_CANCEL = "runs.enforce_cancel"

# Always Django's own connection, also inside a worker, so that a job and its row are one transaction.
_jobs = JobManager(DjangoConnector())


def ask_for_worker(
    *, org_id: UUID, run_id: UUID, at: datetime | None = None, seconds: float = 0.0
) -> int:
    """One ticket because of this run, good from `at` on or in `seconds`. Answers the job's id."""
    if seconds:
        at = timezone.now() + timedelta(seconds=seconds)
    job = configure_task(name=EXECUTE, job_manager=_jobs, queue=RUNS, schedule_at=at)
    return job.defer(org_id=str(org_id), run_id=str(run_id))


def ask_for_workers(count: int) -> None:
    """Tickets for runs that wait already."""
    job = configure_task(name=EXECUTE, job_manager=_jobs, queue=RUNS)
    nobodys: JSONDict = {"org_id": "", "run_id": ""}
    job.batch_defer(*[nobodys] * count)


def enforce_cancel(*, org_id: UUID, run_id: UUID, seconds: int) -> None:
    """Look again in `seconds` whether the run has stopped."""
    job = configure_task(
        name=ENFORCE_CANCEL,
        job_manager=_jobs,
        queue=SYSTEM,
        schedule_in={"seconds": seconds},
    )
    job.defer(org_id=str(org_id), run_id=str(run_id))


def tickets() -> int:
    """How many tickets wait for a worker now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo'
               AND (scheduled_at IS NULL OR scheduled_at <= now())""",
            [EXECUTE],
        )
        return int(cursor.fetchone()[0])


def remove_zombies(silent_for: timedelta) -> int:
    """Delete jobs whose worker has died: the rows they served say what is to be done.

    Removals, mail and syncs serve no row, so they are given to another worker instead.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH zombies AS (
                   SELECT j.id, j.queue_name = ANY(%s) AS goes_on FROM procrastinate_jobs j
                   WHERE j.status = 'doing' AND NOT EXISTS (
                       SELECT 1 FROM procrastinate_workers w
                       WHERE w.id = j.worker_id AND w.last_heartbeat >= %s)
               ), given AS (
                   UPDATE procrastinate_jobs j SET status = 'todo', attempts = attempts + 1
                   FROM zombies z WHERE z.id = j.id AND z.goes_on AND j.status = 'doing'
                   RETURNING j.id
               ), removed AS (
                   DELETE FROM procrastinate_jobs j USING zombies z
                   WHERE z.id = j.id AND NOT z.goes_on AND j.status = 'doing'
                   RETURNING j.id
               )
               SELECT (SELECT count(*) FROM given) + (SELECT count(*) FROM removed)""",
            [[removal.QUEUE, mail.QUEUE, repositories.QUEUE], timezone.now() - silent_for],
        )
        return int(cursor.fetchone()[0])


def remove_ended(older_than: timedelta) -> int:
    """Delete jobs that ended, most of them in an error, this long ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM procrastinate_jobs j WHERE j.status NOT IN ('todo', 'doing')
               AND NOT EXISTS (SELECT 1 FROM procrastinate_events e
                               WHERE e.job_id = j.id AND e.at >= %s)""",
            [timezone.now() - older_than],
        )
        return int(cursor.rowcount)
