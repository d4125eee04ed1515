"""What the apps give the worker process to do. Each app registers its own in its `background.py`.

A new app adds its queue, its sweeps, what is erased and exported of it; no other app is edited for it.
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
    """A queue of jobs. `places` is how many one worker process does at once; None means its --concurrency.

    `handed_on` says what becomes of a job whose worker died: it is given to another worker, or it is deleted,
    because a row says what is to be done and the reconciler asks again.
    """

    name: str
    places: int | None
    handed_on: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """Rows of a model that an org may take along: the name of the record, and the columns that are no secrets."""

    record: str
    model: Any  # an org-owned model
    columns: tuple[str, ...]


Stop = Callable[[], None]  # called once when the process is asked to stop
Part = Callable[[], AbstractContextManager[Stop]]  # lives as long as the worker process

_queues: dict[str, Queue] = {SYSTEM: Queue(SYSTEM, places=3)}
_sweeps: list[Callable[[], object]] = []
_erasers: list[Callable[[UUID], bool]] = []
_exports: list[Export] = []
_parts: list[Part] = []


def add_queue(queue: Queue) -> None:
    """A queue that worker processes serve."""
    _queues[queue.name] = queue


def swept(sweep: Callable[[], object]) -> None:
    """Called once an hour by one worker: remove what nobody reads any more. Safe to run twice."""
    _sweeps.append(sweep)


def erased(eraser: Callable[[UUID], bool]) -> None:
    """Called for an org that is erased, before its rows go. False: not yet, ask again. Safe to run twice."""
    _erasers.append(eraser)


def exported(*exports: Export) -> None:
    """Records of an org's export, in this order."""
    _exports.extend(exports)


def lives_in_worker(part: Part) -> None:
    """A context manager that is entered when a worker process starts, and left when it ends."""
    _parts.append(part)


def queues() -> dict[str, Queue]:
    _know_all()
    return dict(_queues)


def sweeps() -> list[Callable[[], object]]:
    _know_all()
    return list(_sweeps)


def erasers() -> list[Callable[[UUID], bool]]:
    """In the reverse order of the apps: the one that knows the others goes first."""
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
    """Import every app's `background.py`, once and only where it is asked for."""
    autodiscover_modules("background")
