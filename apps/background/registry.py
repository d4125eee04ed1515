"""The registry of what the worker process runs for each app.

Each app registers its queues, sweeps, erasers and exports in its own `background.py`. So a new app needs no change in
another app.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from django.utils.module_loading import autodiscover_modules

from apps.background.health import Finding

SYSTEM_QUEUE = "system"  # for short jobs: ticks, reconciling, sweeps


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of jobs. Each worker process runs `concurrency` of its jobs at once; None means the option --concurrency.

    `retries_lost_jobs` decides what happens to a job whose worker died. If true, another worker runs the job. If false,
    the job is deleted. The object that it was for, such as a run, is still waiting, so the reconciler defers a new job.
    """

    name: str
    concurrency: int | None
    retries_lost_jobs: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """Rows of a model that are part of an org's export.

    `record_type` is the type of their lines in the export, such as `pipeline`. `columns` must contain no secrets.
    """

    record_type: str
    model: Any  # an org-owned model
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A check of `manage.py doctor`. It needs the database; its docstring says what must be true."""

    part: str
    run: Callable[[], Finding]


TestSender = Callable[[], Iterable[Finding]]  # sends a test to operators, and returns the answers
StopCallback = Callable[[], None]  # called once when the process receives a stop signal
WorkerPart = Callable[
    [], AbstractContextManager[StopCallback]
]  # entered while the worker process runs

_queues: dict[str, Queue] = {SYSTEM_QUEUE: Queue(SYSTEM_QUEUE, concurrency=3)}
_sweeps: list[Callable[[], object]] = []
_erasers: list[Callable[[UUID], bool]] = []
_exports: list[Export] = []
_parts: list[WorkerPart] = []
_checks: list[Check] = []
_test_senders: list[TestSender] = []


def add_queue(queue: Queue) -> None:
    """Register a queue that worker processes serve."""
    _queues[queue.name] = queue


def add_sweep(sweep: Callable[[], object]) -> None:
    """Register a function that one worker calls once an hour to delete expired data.

    The function must be safe to run twice.
    """
    _sweeps.append(sweep)


def add_eraser(eraser: Callable[[UUID], bool]) -> None:
    """Register a function that is called before the rows of an org are deleted.

    The function returns False if it must be called again later. It must be safe to run twice.
    """
    _erasers.append(eraser)


def add_exports(*exports: Export) -> None:
    """Register rows for an org's export, in this order."""
    _exports.extend(exports)


def add_worker_part(part: WorkerPart) -> None:
    """Register a context manager that is entered when a worker process starts, and left when it ends."""
    _parts.append(part)


def add_checks(*checks: Check) -> None:
    """Register checks of `manage.py doctor`."""
    _checks.extend(checks)


def add_test_sender(send: TestSender) -> None:
    """Register a function that `manage.py doctor --send-test` calls."""
    _test_senders.append(send)


def queues() -> dict[str, Queue]:
    _import_registrations()
    return dict(_queues)


def sweeps() -> list[Callable[[], object]]:
    _import_registrations()
    return list(_sweeps)


def erasers() -> list[Callable[[UUID], bool]]:
    """Return the erasers in reverse order of the apps, so that an app comes before the apps it depends on."""
    _import_registrations()
    return _erasers[::-1]


def exports() -> list[Export]:
    _import_registrations()
    return list(_exports)


def worker_parts() -> list[WorkerPart]:
    _import_registrations()
    return list(_parts)


def checks() -> list[Check]:
    _import_registrations()
    return list(_checks)


def test_senders() -> list[TestSender]:
    _import_registrations()
    return list(_test_senders)


@cache
def _import_registrations() -> None:
    """Import every app's `background.py` once."""
    autodiscover_modules("background")
