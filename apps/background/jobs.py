"""Asking for a job in the transaction of the row it serves, and what becomes of jobs whose worker died."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task
from procrastinate.types import JSONDict

from apps.background import registry

# Always Django's own connection, also inside a worker, so that a job and its row are one transaction.
_jobs = JobManager(DjangoConnector())


def defer(
    task: str,
    *,
    queue: str,
    about: Mapping[str, str | int],
    at: datetime | None = None,
    seconds: float = 0.0,
    lock: str | None = None,
) -> None:
    """One job, which begins when this transaction is committed, from `at` on or in `seconds`.

    With a `lock` one such job waits and one runs at a time; raises AlreadyEnqueued when one waits already.
    """
    if seconds:
        at = timezone.now() + timedelta(seconds=seconds)
    job = configure_task(
        name=task, job_manager=_jobs, queue=queue, schedule_at=at, lock=lock, queueing_lock=lock
    )
    job.defer(**about)


def defer_many(task: str, *, queue: str, about: JSONDict, count: int) -> None:
    """So many jobs alike, in one statement."""
    configure_task(name=task, job_manager=_jobs, queue=queue).batch_defer(*[about] * count)


def waiting(task: str) -> int:
    """How many jobs of this task wait for a worker now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo'
               AND (scheduled_at IS NULL OR scheduled_at <= now())""",
            [task],
        )
        return int(cursor.fetchone()[0])


def remove_zombies(silent_for: timedelta) -> int:
    """Delete jobs whose worker has died: the rows they served say what is to be done.

    Jobs of queues that are handed on serve no row, so they are given to another worker instead.
    """
    handed_on = [queue.name for queue in registry.queues().values() if queue.handed_on]
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
            [handed_on, timezone.now() - silent_for],
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
