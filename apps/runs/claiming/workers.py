"""Start and stop the execution of runs in a worker process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import connection

from apps.background.identity import host_prefix, is_alive, worker_name
from apps.background.registry import StopCallback
from apps.background.retries import apply_to_rows
from apps.engine import EngineSupervisor
from apps.runs.claiming import reconciler
from apps.runs.execute import Worker

logger = structlog.get_logger(__name__)

_worker: Worker | None = None


def current_worker() -> Worker:
    """Return the worker of this process. Raises LookupError in other processes."""
    if _worker is None:
        raise LookupError("only a process started by `manage.py worker` executes runs")
    return _worker


@contextmanager
def execute_runs() -> Iterator[StopCallback]:
    """Execute runs in this process until the block ends. First releases the runs of this machine's dead workers."""
    with start_worker() as worker:
        release_runs_of_dead_workers()
        yield lambda: stop_runs(worker)


@contextmanager
def start_worker() -> Iterator[Worker]:
    """Start the engine, and make this process a worker until the block ends."""
    global _worker
    engine = EngineSupervisor(memory=settings.CHILD_MEMORY, silence=settings.RUN_SILENCE)
    _worker = Worker(worker_name(os.getpid()), engine, threading.Event())
    _worker.engine.start()
    try:
        yield _worker
    finally:
        _worker.engine.close()
        _worker = None


def stop_runs(worker: Worker) -> None:
    """Make the worker's runs stop at their next checkpoint, so that other workers can continue them."""
    logger.info("stopping runs at their next checkpoint")
    worker.shutdown.set()


def release_runs_of_dead_workers() -> int:
    """Release the runs of dead worker processes of this machine, without waiting for their leases to expire."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, run_id, lease, worker FROM runs_held(%s)", [host_prefix()])
        owned_runs = cursor.fetchall()
    orphaned_runs = [
        (org, run, lease) for org, run, lease, worker in owned_runs if not is_alive(worker)
    ]
    return apply_to_rows(
        orphaned_runs,
        lambda org, run, lease: reconciler.recover(
            org_id=org, run_id=run, lease=lease, worker_died=True
        ),
    )
