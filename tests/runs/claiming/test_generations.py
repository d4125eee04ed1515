"""A queue worker that stops after a failed statement is replaced at once, within the limit of concurrent jobs."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from procrastinate.contrib.django import app
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager
from procrastinate.sync_psycopg_connector import wrap_exceptions
from procrastinate.worker import Worker as QueueWorker
from structlog.testing import capture_logs

from apps.background import generations, registry, workers
from apps.background import jobs as background_jobs
from apps.background.database_errors import first_line
from apps.runs import tasks
from apps.runs.claiming import queue
from apps.runs.claiming import workers as run_workers

CONCURRENCY = 2


class RecordedJobs:
    """Counts jobs instead of executing runs. The first job runs until `first_job_may_end` is set."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.max_concurrent = 0
        self._running = 0
        self._lock = threading.Lock()
        self.first_job_may_end = threading.Event()

    def run(self, worker: Any) -> bool:
        with self._lock:
            number = len(self.started)
            self.started.append(number)
            self._running += 1
            self.max_concurrent = max(self.max_concurrent, self._running)
        if number == 0:
            assert self.first_job_may_end.wait(60)
        with self._lock:
            self._running -= 1
        return True


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, committed_db: None) -> RecordedJobs:
    recorded = RecordedJobs()
    monkeypatch.setattr(tasks, "work_once", recorded.run)
    monkeypatch.setattr(run_workers, "_worker", object())
    return recorded


def test_after_a_failed_fetch_new_jobs_run_while_a_long_job_continues(
    jobs: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_failed = asyncio.Event()
    fetch_job = JobManager.fetch_job

    async def fail_once_then_fetch(manager: JobManager, queues: Any, worker_id: int) -> Any:
        if jobs.started and not has_failed.is_set():  # once the long job is running
            has_failed.set()
            raise ConnectorException
        return await fetch_job(manager, queues, worker_id)

    monkeypatch.setattr(JobManager, "fetch_job", fail_once_then_fetch)

    async def run_jobs() -> None:
        stop = asyncio.Event()
        with app.replace_connector(workers._connector()) as connected_app:
            async with connected_app.open_async():
                working = generations.work(connected_app, stop, {queue.RUNS: CONCURRENCY}, "tests")
                task = asyncio.create_task(working)
                await defer_jobs(1)
                await wait_until(lambda: len(jobs.started) == 1)
                await asyncio.wait_for(has_failed.wait(), 30)
                await defer_jobs(6)
                await wait_until(lambda: len(jobs.started) == 7)
                assert not jobs.first_job_may_end.is_set()
                jobs.first_job_may_end.set()
                stop.set()
                await asyncio.wait_for(task, 30)

    asyncio.run(run_jobs())
    assert jobs.max_concurrent <= CONCURRENCY


def test_a_job_whose_end_cannot_be_recorded_is_released_and_logged_once(
    jobs: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.first_job_may_end.set()
    has_failed, unhandled_errors = asyncio.Event(), list[Any]()
    finish_job = JobManager.finish_job

    async def fail_once_then_finish(manager: JobManager, *args: Any, **options: Any) -> None:
        if not has_failed.is_set():
            has_failed.set()
            raise ConnectorException
        await finish_job(manager, *args, **options)

    monkeypatch.setattr(JobManager, "finish_job", fail_once_then_finish)

    async def run_jobs() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: unhandled_errors.append(context)
        )
        stop = asyncio.Event()
        with app.replace_connector(workers._connector()) as connected_app:
            async with connected_app.open_async():
                working = generations.work(connected_app, stop, {queue.RUNS: CONCURRENCY}, "tests")
                task = asyncio.create_task(working)
                await defer_jobs(1)
                await asyncio.wait_for(has_failed.wait(), 30)
                await wait_until_released()
                gc.collect()  # asyncio reports a lost exception when its task is garbage-collected
                stop.set()
                await asyncio.wait_for(task, 30)

    with capture_logs() as logs:
        asyncio.run(run_jobs())
    assert unhandled_errors == []
    assert [entry["event"] for entry in logs if "error" in entry] == [
        "the end of a job was not stored"
    ]
    assert background_jobs.remove_jobs_of_dead_workers(timedelta(minutes=1)) == 1


def test_no_heartbeat_is_sent_after_the_end_although_a_cancelled_one_raises_the_error_of_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Django's connector waits for its thread when it is cancelled, and the thread may fail meanwhile."""
    cancelled: list[Any] = []

    async def fail_when_first_cancelled(worker: QueueWorker) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(worker)
            if len(cancelled) > 1:
                raise
            raise ConnectorException from None

    async def shut_down_at_once(worker: QueueWorker, side_tasks: Any) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(QueueWorker, "_update_heartbeat", fail_when_first_cancelled)
    monkeypatch.setattr(QueueWorker, "_shutdown", shut_down_at_once)

    async def shut_down() -> set[Any]:
        semaphore = generations.JobSemaphore(asyncio.Semaphore(1))
        await generations.Generation(app, semaphore, queues=["a"])._shutdown([])
        heartbeats = asyncio.all_tasks() - {asyncio.current_task()}
        _, unfinished = await asyncio.wait(heartbeats, timeout=3 * generations.POLL_INTERVAL)
        return unfinished

    assert asyncio.run(shut_down()) == set()
    assert len(cancelled) == 1


async def wait_until_released() -> None:
    """Wait until no worker has the job, because the worker that had it was removed."""

    def count_held_jobs() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM procrastinate_jobs WHERE worker_id IS NOT NULL")
            (count,) = cursor.fetchone()
        connection.close()
        return int(count)

    for _ in range(600):
        if not await asyncio.to_thread(count_held_jobs):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("a worker still has the job")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (psycopg.OperationalError("gone\nDETAIL: a row"), "gone"),
        (ConnectorException(), "Database error."),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_database_error_always_has_a_message(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_the_message_of_the_driver_is_used_for_an_error_of_procrastinate() -> None:
    with pytest.raises(ConnectorException) as raised, wrap_exceptions():
        raise psycopg.OperationalError("the server closed the connection\nunexpectedly")
    assert first_line(raised.value) == "the server closed the connection"


async def defer_jobs(count: int) -> None:
    def defer() -> None:
        queue.wake_workers(count)
        connection.close()

    await asyncio.to_thread(defer)


async def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the condition was never true")


def test_an_idle_worker_uses_at_most_three_connections_for_its_queues(jobs: RecordedJobs) -> None:
    async def read_session_names() -> list[str]:
        stop = asyncio.Event()
        max_jobs = {
            task_queue.name: task_queue.concurrency or 8
            for task_queue in registry.queues().values()
        }
        with app.replace_connector(workers._connector()) as connected_app:
            async with connected_app.open_async():
                task = asyncio.create_task(generations.work(connected_app, stop, max_jobs, "tests"))
                await wait_until_listening()
                names = await asyncio.to_thread(session_names)
                stop.set()
                await asyncio.wait_for(task, 30)
        return names

    names = asyncio.run(read_session_names())
    assert names.count("drover-queue") <= 3


async def wait_until_listening() -> None:
    for _ in range(600):
        if any("LISTEN" in statement for statement in await asyncio.to_thread(last_statements)):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no session listens")


def session_names() -> list[str]:
    return read_column("application_name")


def last_statements() -> list[str]:
    return read_column("query")


def read_column(name: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {name} FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'drover-queue'"""
        )
        values = [str(row[0]) for row in cursor.fetchall()]
    connection.close()
    return values
