"""A queue worker that stops at a failed statement is replaced at once, and the concurrency limit still applies."""

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
from structlog.testing import capture_logs

from apps.background import generations, registry, workers
from apps.background import jobs as background_jobs
from apps.background.database_errors import first_line
from apps.runs import execute
from apps.runs.claiming import queue
from apps.runs.claiming import workers as run_workers

PLACES = 2


class Jobs:
    """The jobs of this test: the first one runs until it is told to end."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.most = 0
        self._running = 0
        self._lock = threading.Lock()
        self.long_may_end = threading.Event()

    def run(self, worker: Any) -> bool:
        with self._lock:
            number = len(self.begun)
            self.begun.append(number)
            self._running += 1
            self.most = max(self.most, self._running)
        if number == 0:
            assert self.long_may_end.wait(60)
        with self._lock:
            self._running -= 1
        return True


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, committed_db: None) -> Jobs:
    made = Jobs()
    monkeypatch.setattr(execute, "work_once", made.run)
    monkeypatch.setattr(run_workers, "_worker", object())
    return made


def test_after_a_failed_fetch_other_jobs_run_while_the_long_one_continues(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()
    plain = JobManager.fetch_job

    async def fetch(manager: JobManager, queues: Any, worker_id: int) -> Any:
        if jobs.begun and not failed.is_set():  # the event: the long job is running
            failed.set()
            raise ConnectorException
        return await plain(manager, queues, worker_id)

    monkeypatch.setattr(JobManager, "fetch_job", fetch)

    async def go() -> None:
        stop = asyncio.Event()
        with app.replace_connector(workers._connector()) as opened:
            async with opened.open_async():
                work = generations.work(opened, stop, {queue.RUNS: PLACES}, "tests")
                task = asyncio.create_task(work)
                await ask(1)
                await until(lambda: len(jobs.begun) == 1)
                await asyncio.wait_for(failed.wait(), 30)
                await ask(6)
                await until(lambda: len(jobs.begun) == 7)
                assert not jobs.long_may_end.is_set()
                jobs.long_may_end.set()
                stop.set()
                await asyncio.wait_for(task, 30)

    asyncio.run(go())
    assert jobs.most <= PLACES


def test_a_job_whose_end_cannot_be_recorded_is_released_and_logged_once(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.long_may_end.set()
    failed, unhandled = asyncio.Event(), list[Any]()
    plain = JobManager.finish_job

    async def finish(manager: JobManager, *args: Any, **options: Any) -> None:
        if not failed.is_set():
            failed.set()
            raise ConnectorException
        await plain(manager, *args, **options)

    monkeypatch.setattr(JobManager, "finish_job", finish)

    async def go() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: unhandled.append(told))
        stop = asyncio.Event()
        with app.replace_connector(workers._connector()) as opened:
            async with opened.open_async():
                work = generations.work(opened, stop, {queue.RUNS: PLACES}, "tests")
                task = asyncio.create_task(work)
                await ask(1)
                await asyncio.wait_for(failed.wait(), 30)
                await until_released()
                gc.collect()  # asyncio reports a lost exception when its task is garbage-collected
                stop.set()
                await asyncio.wait_for(task, 30)

    with capture_logs() as logs:
        asyncio.run(go())
    assert unhandled == []
    assert [one["event"] for one in logs if "error" in one] == ["the end of a job was not stored"]
    assert background_jobs.remove_jobs_of_dead_workers(timedelta(minutes=1)) == 1


async def until_released() -> None:
    """Wait until the job's worker is gone, so that no living worker has the job any more."""

    def held() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM procrastinate_jobs WHERE worker_id IS NOT NULL")
            (found,) = cursor.fetchone()
        connection.close()
        return int(found)

    for _ in range(600):
        if not await asyncio.to_thread(held):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("its worker holds it still")


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


def test_procrastinates_error_shows_the_drivers_message() -> None:
    with pytest.raises(ConnectorException) as raised, wrap_exceptions():
        raise psycopg.OperationalError("the server closed the connection\nunexpectedly")
    assert first_line(raised.value) == "the server closed the connection"


async def ask(count: int) -> None:
    def tickets() -> None:
        queue.wake_workers(count)
        connection.close()

    await asyncio.to_thread(tickets)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen")


def test_a_worker_holds_few_connections_while_it_has_nothing_to_do(jobs: Jobs) -> None:
    async def go() -> list[str]:
        stop = asyncio.Event()
        slots = {each.name: each.slots or 8 for each in registry.queues().values()}
        with app.replace_connector(workers._connector()) as opened:
            async with opened.open_async():
                task = asyncio.create_task(generations.work(opened, stop, slots, "tests"))
                await until_listening()
                names = await asyncio.to_thread(sessions)
                stop.set()
                await asyncio.wait_for(task, 30)
        return names

    names = asyncio.run(go())
    assert names.count("drover-queue") <= 3


async def until_listening() -> None:
    for _ in range(600):
        if any("LISTEN" in one for one in await asyncio.to_thread(last_statements)):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody listens")


def sessions() -> list[str]:
    return column("application_name")


def last_statements() -> list[str]:
    return column("query")


def column(name: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {name} FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'drover-queue'"""
        )
        found = [str(row[0]) for row in cursor.fetchall()]
    connection.close()
    return found
