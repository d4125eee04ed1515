"""The worker process. It runs Procrastinate's workers, and continues after interruptions of PostgreSQL.

Each kind of job has its own queue, so that schedules and recoveries do not wait for runs or removals.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import connection
from procrastinate.contrib.django import app as drover_app
from procrastinate.psycopg_connector import PsycopgConnector

from apps.background import generations, registry
from apps.background.database_errors import first_line
from apps.background.identity import worker_name
from apps.background.registry import StopCallback

logger = structlog.get_logger(__name__)

EXTRA_THREADS = 4  # threads of the worker besides one thread per job


def work(*, concurrency: int) -> None:
    """Run as a worker process until SIGTERM or SIGINT, with everything that the apps have registered."""
    with ExitStack() as lifetime:
        stop_callbacks = [lifetime.enter_context(part()) for part in registry.worker_parts()]
        connection.close()
        asyncio.run(serve(stop_callbacks, concurrency=concurrency))


async def serve(stop_callbacks: Sequence[StopCallback], *, concurrency: int) -> None:
    """Work until SIGTERM or SIGINT, then call `stop_callbacks`. Running jobs get time to finish."""
    loop = asyncio.get_running_loop()
    max_jobs = {
        queue.name: queue.concurrency or concurrency for queue in registry.queues().values()
    }
    thread_count = sum(max_jobs.values()) + EXTRA_THREADS
    loop.set_default_executor(ThreadPoolExecutor(thread_count, thread_name_prefix="job"))
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, _stop_handler(stop_callbacks, stop))
    while not stop.is_set():
        try:
            with drover_app.replace_connector(_connector()) as open_app:
                async with open_app.open_async():
                    await generations.work(open_app, stop, max_jobs, worker_name(os.getpid()))
        except generations.DATABASE_ERRORS as error:
            logger.warning("worker cannot reach the queue", error=first_line(error))
            await generations.pause(stop, generations.POLL_INTERVAL)


def _connector() -> PsycopgConnector:
    """Create the worker's own connector, because LISTEN needs a connection outside Django's pool."""
    from procrastinate.contrib.django.utils import connector_params

    parameters: dict[str, Any] = {**connector_params(), "application_name": "drover-queue"}
    parameters.pop("pool", None)
    return PsycopgConnector(
        kwargs=parameters,
        configure=_commit_at_once,
        min_size=1,
        max_size=settings.QUEUE_POOL,
        timeout=5.0,
        reconnect_timeout=settings.POOL_RECONNECT,
    )


async def _commit_at_once(connection: psycopg.AsyncConnection[Any]) -> None:
    """Commit each statement of the queue, so that no transaction is open if the process freezes in between."""
    await connection.set_autocommit(True)


def _stop_handler(
    stop_callbacks: Sequence[StopCallback], stop: asyncio.Event
) -> Callable[[], None]:
    def handle_signal() -> None:
        logger.info("worker stops")
        for call_stop in stop_callbacks:
            call_stop()
        stop.set()

    return handle_signal
