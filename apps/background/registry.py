"""The registry of what apps run in the worker process. Each app registers its own in its `background.py`.

A new app registers its queue, its sweeps, and what is erased and exported; no other app is edited for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from django.utils.module_loading import autodiscover_modules

SYSTEM = "system"  # short work: ticks, reconciling, sweeps


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of jobs. `slots` is the number of concurrent jobs per worker process; None means its --concurrency.

    `handed_on` decides about jobs whose worker died: they are given to another worker, or they are deleted,
    because a row tells what has to be done and the reconciler defers a new job.
    """

    name: str
    slots: int | None
    handed_on: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """Rows of a model that an org may export: the name of the record, and the columns without secrets."""

    record: str
    model: Any  # an org-owned model
    columns: tuple[str, ...]


Stop = Callable[[], None]  # called once when the process is told to stop
Part = Callable[[], AbstractContextManager[Stop]]  # active as long as the worker process

_queues: dict[str, Queue] = {SYSTEM: Queue(SYSTEM, slots=3)}
_sweeps: list[Callable[[], object]] = []
_erasers: list[Callable[[UUID], bool]] = []
_exports: list[Export] = []
_parts: list[Part] = []


def add_queue(queue: Queue) -> None:
    """Register a queue that worker processes serve."""
    _queues[queue.name] = queue


def swept(sweep: Callable[[], object]) -> None:
    """Register a function that one worker calls once an hour to delete expired data.

    It must be safe to run twice.
    """
    _sweeps.append(sweep)


def erased(eraser: Callable[[UUID], bool]) -> None:
    """Register a function that is called for an org to be erased, before its rows are deleted.

    It returns False to be called again later. It must be safe to run twice.
    """
    _erasers.append(eraser)


def exported(*exports: Export) -> None:
    """Register records of an org's export, in this order."""
    _exports.extend(exports)


def lives_in_worker(part: Part) -> None:
    """Register a context manager that is entered when a worker process starts, and left when it ends."""
    _parts.append(part)


def queues() -> dict[str, Queue]:
    _know_all()
    return dict(_queues)


def sweeps() -> list[Callable[[], object]]:
    _know_all()
    return list(_sweeps)


def erasers() -> list[Callable[[UUID], bool]]:
    """Return the erasers in reverse order of the apps, so that an app comes before those it depends on."""
    _know_all()
    return _erasers[::-1]


def exports() -> list[Export]:
    _know_all()
    return list(_exports)


def parts() -> list[Part]:
    _know_all()
    return list(_parts)


@cache
def _know_all() -> None:
    """Import every app's `background.py`, once, when it is first needed."""
    autodiscover_modules("background")
