"""Defer jobs in the transaction that changes the run or other row they are for, and clean up after dead workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task
from procrastinate.types import JSONDict

from apps.background import registry

# Always use Django's own connection, also inside a worker, so that a job and its row are in one transaction.
_job_manager = JobManager(DjangoConnector())


def defer(
    task: str,
    *,
    queue: str,
    arguments: Mapping[str, str | int],
    at: datetime | None = None,
    seconds: float = 0.0,
    lock: str | None = None,
    may_wait_twice: bool = False,
    waits_once_as: str | None = None,
) -> None:
    """Defer one job. It starts after this transaction is committed, and not before `at` or `seconds` from now.

    Of all jobs with the same `lock`, at most one waits and at most one runs. Raises AlreadyEnqueued if one of them is
    already waiting. With `may_wait_twice`, any number waits: then this does not wait for other transactions that defer one.
    With `waits_once_as`, one job for each of these texts waits, while only one with the same `lock` runs.
    """
    if seconds:
        at = timezone.now() + timedelta(seconds=seconds)
    job = configure_task(
        name=task,
        job_manager=_job_manager,
        queue=queue,
        schedule_at=at,
        lock=lock,
        queueing_lock=None if may_wait_twice else waits_once_as or lock,
    )
    job.defer(**arguments)


def defer_many(task: str, *, queue: str, arguments: Sequence[JSONDict]) -> None:
    """Defer one job for each of these arguments, in one statement."""
    if arguments:
        configure_task(name=task, job_manager=_job_manager, queue=queue).batch_defer(*arguments)


def count_waiting(task: str) -> int:
    """Count the jobs of this task that are waiting for a worker now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo'
               AND (scheduled_at IS NULL OR scheduled_at <= now())""",
            [task],
        )
        return int(cursor.fetchone()[0])


def remove_jobs_of_dead_workers(silent_for: timedelta) -> int:
    """Delete jobs whose worker has sent no heartbeat for `silent_for`.

    The row that a job was for, such as a run, still shows what has to be done. Jobs of queues with `retries_lost_jobs`
    have no such row, so another worker runs these jobs instead. Returns the number of deleted and retried jobs.
    """
    retried_queues = [queue.name for queue in registry.queues().values() if queue.retries_lost_jobs]
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH zombies AS (
                   SELECT j.id, j.queue_name = ANY(%s) AS is_retried FROM procrastinate_jobs j
                   WHERE j.status = 'doing' AND NOT EXISTS (
                       SELECT 1 FROM procrastinate_workers w
                       WHERE w.id = j.worker_id AND w.last_heartbeat >= %s)
               ), retried AS (
                   UPDATE procrastinate_jobs j SET status = 'todo', attempts = attempts + 1
                   FROM zombies z WHERE z.id = j.id AND z.is_retried AND j.status = 'doing'
                   RETURNING j.id
               ), removed AS (
                   DELETE FROM procrastinate_jobs j USING zombies z
                   WHERE z.id = j.id AND NOT z.is_retried AND j.status = 'doing'
                   RETURNING j.id
               )
               SELECT (SELECT count(*) FROM retried) + (SELECT count(*) FROM removed)""",
            [retried_queues, timezone.now() - silent_for],
        )
        return int(cursor.fetchone()[0])


def remove_ended(older_than: timedelta) -> int:
    """Delete jobs that ended longer ago than `older_than`. Most of these jobs have failed."""
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM procrastinate_jobs j WHERE j.status NOT IN ('todo', 'doing')
               AND NOT EXISTS (SELECT 1 FROM procrastinate_events e
                               WHERE e.job_id = j.id AND e.at >= %s)""",
            [timezone.now() - older_than],
        )
        return int(cursor.rowcount)
