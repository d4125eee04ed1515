"""The worker process: Procrastinate's workers around one engine, kept going while PostgreSQL comes and goes.

A queue for each kind of work, so that ticks and rescues wait neither behind runs nor behind
removals. Procrastinate's worker stops itself when its connection to the database breaks; here a new
one takes over at once, while the jobs of the old one come to their end.
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
from procrastinate import App
from procrastinate.contrib.django import app as drover_app
from procrastinate.exceptions import ProcrastinateException
from procrastinate.psycopg_connector import PsycopgConnector
from procrastinate.worker import Worker as QueueWorker

from apps.auth import mail
from apps.connectors import repositories
from apps.engine import EngineSupervisor
from apps.pipelines import removal
from apps.runs import queue, reconciler
from apps.runs.execute import Worker
from apps.runs.patience import each

logger = structlog.get_logger(__name__)

POLL = 1.0  # seconds between looks for jobs nobody announced
SYSTEM_JOBS = 3  # of the short kind at once
REMOVALS = 1  # at once
MAILS = 2  # at once
REPOSITORIES = 1  # at once
SPARE_THREADS = 4
GIVE_UP = 30.0  # seconds after which a stopping worker leaves its jobs to the reconciler
DATABASE_ERRORS = (ProcrastinateException, psycopg.Error, OSError)

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
    threads = concurrency + SYSTEM_JOBS + REMOVALS + MAILS + REPOSITORIES + SPARE_THREADS
    loop.set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="job"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stopper(worker, stop))
    while not stop.is_set():
        try:
            with drover_app.replace_connector(_connector()) as opened:
                async with opened.open_async():
                    await _until_stopped(opened, stop, concurrency)
        except DATABASE_ERRORS as error:
            logger.warning("worker cannot reach the queue", error=str(error).partition("\n")[0])
            await _pause(stop, POLL)


async def _until_stopped(app: App, stop: asyncio.Event, concurrency: int) -> None:
    generations = [
        asyncio.create_task(_generations(app, stop, queue.RUNS, concurrency)),
        asyncio.create_task(_generations(app, stop, queue.SYSTEM, SYSTEM_JOBS)),
        asyncio.create_task(_generations(app, stop, removal.QUEUE, REMOVALS)),
        asyncio.create_task(_generations(app, stop, mail.QUEUE, MAILS)),
        asyncio.create_task(_generations(app, stop, repositories.QUEUE, REPOSITORIES)),
    ]
    try:
        await asyncio.gather(*generations)
    finally:
        for task in generations:
            task.cancel()
        await asyncio.gather(*generations, return_exceptions=True)


async def _generations(app: App, stop: asyncio.Event, name: str, concurrency: int) -> None:
    """One queue worker after the other; the old ones end in their own time."""
    ending: set[asyncio.Task[None]] = set()
    while not stop.is_set():
        worker = _Generation(app, name, concurrency)
        task: asyncio.Task[None] = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
        ending.add(task)
        await _first_of(task, stop.wait(), worker.stopping.wait())
        worker.stop()
        for done in [task for task in ending if task.done()]:
            ending.discard(done)
            _say_how_it_ended(done)
        await _pause(stop, POLL)
    if ending:
        await asyncio.wait(ending, timeout=GIVE_UP)


class _Generation(QueueWorker):
    """A queue worker that says when it stops fetching, which it does of itself when the database goes away."""

    def __init__(self, app: App, name: str, concurrency: int) -> None:
        options: dict[str, Any] = {
            **app.worker_defaults,  # Django's: connections are closed after each job
            "queues": [name],
            "name": f"{name} {_name(os.getpid())}",
            "concurrency": concurrency,
            "fetch_job_polling_interval": POLL,
            "delete_jobs": "successful",
            "install_signal_handlers": False,
        }
        super().__init__(app, **options)
        self.stopping = asyncio.Event()

    def stop(self) -> None:
        super().stop()  # type: ignore[no-untyped-call]
        self.stopping.set()


def _connector() -> PsycopgConnector:
    """Of the worker's own: LISTEN needs a connection, not a pooled one of Django's."""
    from procrastinate.contrib.django.utils import connector_params

    parameters: dict[str, Any] = connector_params()
    parameters.pop("pool", None)
    return PsycopgConnector(
        kwargs=parameters, configure=_commit_at_once, min_size=1, max_size=6, timeout=5.0
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


async def _first_of(*waits: Any) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks[1:]:
            task.cancel()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    await _first_of(asyncio.ensure_future(asyncio.sleep(seconds)), stop.wait())


def _say_how_it_ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("queue worker ended", error=str(error).partition("\n")[0])


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
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return int(fields[19])
