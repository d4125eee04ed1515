"""Retry while the database is unavailable or another process has locked a row."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, InternalError, OperationalError, connection

from apps.background.database_errors import HELD, first_line

logger = structlog.get_logger(__name__)

T = TypeVar("T")

# The server raises InternalError after it ended a transaction that was idle too long, because we were frozen.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)


def retry_while_unavailable(
    act: Callable[[], T], *, give_up: threading.Event, most: float = 300.0
) -> T:
    """Repeat `act` while the database is unavailable, for at most `most` seconds, or 10 once `give_up` is set.

    Raises the exception of the last try.
    """
    began = time.monotonic()
    wait = 0.1
    while True:
        try:
            return act()
        except DATABASE_AWAY as error:
            connection.close()
            if time.monotonic() - began > (10.0 if give_up.is_set() else most):
                raise
            logger.warning("database cannot be used now", error=first_line(error))
        time.sleep(wait)
        wait = min(wait * 2, 2.0)


def each(rows: Iterable[tuple[Any, ...]], act: Callable[..., bool]) -> int:
    """Return how often `act(*row)` did something. Rows locked by another process are left for the next call."""
    done = 0
    for row in rows:
        try:
            done += act(*row)
        except OperationalError as error:
            if not is_held(error):
                raise
            logger.warning("left for the next round", row=str(row[-1]), error=first_line(error))
    return done


def is_held(error: Exception) -> bool:
    """Whether the statement timed out waiting for another process, while the database itself is available."""
    return isinstance(error.__cause__, HELD)
