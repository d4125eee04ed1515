"""Retry while the database is unavailable or another process has locked a row."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, InternalError, OperationalError, connection

from apps.background.database_errors import LOCK_ERRORS, first_line

logger = structlog.get_logger(__name__)

T = TypeVar("T")

# InternalError: our process was frozen, so the server ended its transaction, which was idle too long.
DATABASE_UNAVAILABLE = (OperationalError, InterfaceError, InternalError)


def retry_while_unavailable(
    action: Callable[[], T], *, give_up: threading.Event, max_seconds: float = 300.0
) -> T:
    """Repeat `action` while the database is unavailable.

    Give up `max_seconds` after the first attempt. Once `give_up` is set, give up 10 seconds after the first attempt,
    which may be at once. Raises the exception of the last attempt.
    """
    started_at = time.monotonic()
    wait = 0.1
    while True:
        try:
            return action()
        except DATABASE_UNAVAILABLE as error:
            connection.close()
            if time.monotonic() - started_at > (10.0 if give_up.is_set() else max_seconds):
                raise
            logger.warning("database cannot be used now", error=first_line(error))
        time.sleep(wait)
        wait = min(wait * 2, 2.0)


def apply_to_rows(rows: Iterable[tuple[Any, ...]], action: Callable[..., bool]) -> int:
    """Call `action(*row)` for each row, and return how many calls returned True.

    Rows that another process has locked are skipped until the next call.
    """
    changed_count = 0
    for row in rows:
        try:
            changed_count += action(*row)
        except OperationalError as error:
            if not is_lock_timeout(error):
                raise
            logger.warning(
                "skipped a locked row until the next round",
                row=str(row[-1]),
                error=first_line(error),
            )
    return changed_count


def is_lock_timeout(error: Exception) -> bool:
    """Whether the statement timed out because of another process's lock. Then the database itself is available."""
    return isinstance(error.__cause__, LOCK_ERRORS)
