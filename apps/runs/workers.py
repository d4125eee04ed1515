"""The worker process: Procrastinate's workers around one engine, kept going while PostgreSQL comes and goes.

A queue for each kind of work, so that ticks and rescues wait neither behind runs nor behind removals.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import connection
from procrastinate.contrib.django import app as drover_app
from procrastinate.psycopg_connector import PsycopgConnector

from apps.auth import mail
from apps.background.database_errors import first_line
from apps.connectors.repositories import services as repositories
from apps.engine import EngineSupervisor
from apps.pipelines import removal
from apps.runs import generations, queue, reconciler
from apps.runs.execute import Worker
from apps.runs.patience import each

logger = structlog.get_logger(__name__)

OTHER_JOBS = {queue.SYSTEM: 3, removal.QUEUE: 1, mail.QUEUE: 2, repositories.QUEUE: 1}  # at once
SPARE_THREADS = 4

_current: Worker | None = None


def current() -> Worker:
    """The worker this process is. Raises LookupError elsewhere."""
    if _current is None:
        raise LookupError("only a process started by `manage.py worker` executes runs")
    return _current


@contextmanager
def this_process() -> Iterator[Worker]:
    """Be a worker, with a warm engine, until the block ends."""
    global _current
    engine = EngineSupervisor(memory=settings.CHILD_MEMORY, silence=settings.RUN_SILENCE)
    _current = Worker(_name(os.getpid()), engine, threading.Event())
    _current.engine.start()
    try:
        yield _current
    finally:
        _current.engine.close()
        _current = None


def release_dead() -> int:
    """Free the runs of worker processes of this machine that are gone, without waiting for their leases."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, run_id, lease, worker FROM runs_held(%s)", [_host()])
        held = cursor.fetchall()
    dead = [(org, run, lease) for org, run, lease, worker in held if not _is_alive(worker)]
    return each(
        dead,
        lambda org, run, lease: reconciler.recover(
            org_id=org, run_id=run, lease=lease, worker_died=True
        ),
    )


async def serve(worker: Worker, *, concurrency: int) -> None:
    """Work until told to stop by SIGTERM or SIGINT. Runs get time to checkpoint, then are given back."""
    loop = asyncio.get_running_loop()
    places = {queue.RUNS: concurrency, **OTHER_JOBS}
    threads = sum(places.values()) + SPARE_THREADS
    loop.set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="job"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stopper(worker, stop))
    while not stop.is_set():
        try:
            with drover_app.replace_connector(_connector()) as opened:
                async with opened.open_async():
                    await generations.work(opened, stop, places, _name(os.getpid()))
        except generations.DATABASE_ERRORS as error:
            logger.warning("worker cannot reach the queue", error=first_line(error))
            await generations.pause(stop, generations.POLL)


def _connector() -> PsycopgConnector:
    """Of the worker's own: LISTEN needs a connection, not a pooled one of Django's."""
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
    """Each statement of the queue stands alone: no transaction is open when the process freezes between two."""
    await connection.set_autocommit(True)


def _stopper(worker: Worker, stop: asyncio.Event) -> Any:
    def begin() -> None:
        logger.info("worker stops: runs are asked to checkpoint")
        worker.shutdown.set()
        stop.set()

    return begin


def _name(pid: int) -> str:
    return f"{_host()}{pid}/{_started(pid) or 0}"


def _host() -> str:
    """This machine, or this container: where process ids mean something."""
    try:
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        space = ""
    return f"{socket.gethostname()[:60]}/{space}/"


def _is_alive(worker: str) -> bool:
    """Whether the process of that name still is the one that took the name."""
    pid, _, started = worker.removeprefix(_host()).partition("/")
    if not pid.isdigit():
        return True
    if _started(int(pid)) is None and not Path("/proc/self").exists():
        return _exists(int(pid))
    return (_started(int(pid)) or 0) == int(started or 0) and _started(int(pid)) is not None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> int | None:
    """When the process began, in clock ticks since boot (proc(5), field 22); None when there is none."""
    try:
        # Bytes: the name in it is the process's own choice, and need not be text.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return None
    return int(fields[19])
