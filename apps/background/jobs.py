"""Defer jobs in the transaction of the row they serve, and handle jobs whose worker died."""

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

# Always use Django's own connection, also inside a worker, so that a job and its row are in one transaction.
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
    """Defer one job, which starts when this transaction is committed, at the time `at` or in `seconds`.

    With a `lock`, only one such job waits and one runs at a time; raises AlreadyEnqueued if one is already
    waiting.
    """
    if seconds:
        at = timezone.now() + timedelta(seconds=seconds)
    job = configure_task(
        name=task, job_manager=_jobs, queue=queue, schedule_at=at, lock=lock, queueing_lock=lock
    )
    job.defer(**about)


def defer_many(task: str, *, queue: str, about: JSONDict, count: int) -> None:
    """Defer several identical jobs in one statement."""
    configure_task(name=task, job_manager=_jobs, queue=queue).batch_defer(*[about] * count)


def waiting(task: str) -> int:
    """Count the jobs of this task that are waiting for a worker now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo'
               AND (scheduled_at IS NULL OR scheduled_at <= now())""",
            [task],
        )
        return int(cursor.fetchone()[0])


def remove_zombies(silent_for: timedelta) -> int:
    """Delete jobs whose worker has died: the rows they served tell what has to be done.

    Jobs of queues with `handed_on` have no row, so they are given to another worker instead.
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
    """Delete jobs that ended this long ago, most of them failed ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM procrastinate_jobs j WHERE j.status NOT IN ('todo', 'doing')
               AND NOT EXISTS (SELECT 1 FROM procrastinate_events e
                               WHERE e.job_id = j.id AND e.at >= %s)""",
            [timezone.now() - older_than],
        )
        return int(cursor.rowcount)
