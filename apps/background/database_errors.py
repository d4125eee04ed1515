"""Recognize and format PostgreSQL's errors."""

from __future__ import annotations

from psycopg import errors

# Errors of a statement that waited too long for another session's lock.
LOCK_ERRORS = (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled)


def first_line(error: BaseException) -> str:
    """Return the first line of the error. The second line is left out, because it quotes values of the row.

    Django and Procrastinate wrap the driver's error. Procrastinate's wrapper does not contain the message.
    """
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.partition("\n")[0]
