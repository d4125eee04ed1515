"""Recognize and format PostgreSQL's errors."""

from __future__ import annotations

from psycopg import errors

# Errors of a statement that waited too long for a lock of another transaction.
LOCK_ERRORS = (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled)


def is_lock_error(error: BaseException) -> bool:
    """Return whether Django raised the error because a statement waited too long for a lock."""
    return isinstance(error.__cause__, LOCK_ERRORS)


def first_line(error: BaseException) -> str:
    """Return the first line of the error. The other lines are left out, because they may quote values of a row.

    Django and Procrastinate wrap the driver's error. Procrastinate's wrapper does not contain the message.
    """
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.partition("\n")[0]
