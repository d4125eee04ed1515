"""What a worker process needs to execute runs: an engine, and a name that identifies it as a run's owner."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import connection

from apps.background.identity import host_prefix, is_alive, worker_name
from apps.background.registry import Stop
from apps.background.retries import apply_to_rows
from apps.engine import EngineSupervisor
from apps.runs.claiming import reconciler
from apps.runs.execute import Worker

logger = structlog.get_logger(__name__)

_current: Worker | None = None


def current() -> Worker:
    """Return the worker of this process. Raises LookupError in other processes."""
    if _current is None:
        raise LookupError("only a process started by `manage.py worker` executes runs")
    return _current


@contextmanager
def executing_runs() -> Iterator[Stop]:
    """Execute runs in this process until the block ends. First frees the runs of dead workers of this machine."""
    with this_process() as worker:
        release_dead()
        yield lambda: stop(worker)


@contextmanager
def this_process() -> Iterator[Worker]:
    """Be a worker, with a started engine, until the block ends."""
    global _current
    engine = EngineSupervisor(memory=settings.CHILD_MEMORY, silence=settings.RUN_SILENCE)
    _current = Worker(worker_name(os.getpid()), engine, threading.Event())
    _current.engine.start()
    try:
        yield _current
    finally:
        _current.engine.close()
        _current = None


def stop(worker: Worker) -> None:
    """Tell the runs to checkpoint, and release them."""
    logger.info("telling runs to checkpoint")
    worker.shutdown.set()


def release_dead() -> int:
    """Release the runs of dead worker processes of this machine, without waiting for their leases to expire."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, run_id, lease, worker FROM runs_held(%s)", [host_prefix()])
        held = cursor.fetchall()
    dead = [(org, run, lease) for org, run, lease, worker in held if not is_alive(worker)]
    return apply_to_rows(
        dead,
        lambda org, run, lease: reconciler.recover(
            org_id=org, run_id=run, lease=lease, worker_died=True
        ),
    )
