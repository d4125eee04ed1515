"""Classify and format PostgreSQL's errors."""

from __future__ import annotations

from psycopg import errors

# The statement timed out while waiting for another session's lock.
HELD = (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled)


def first_line(error: BaseException) -> str:
    """Return the error without the row's values, which PostgreSQL's second line quotes.

    Django and Procrastinate wrap the driver's error; Procrastinate's wrapper does not contain its message.
    """
    said = str(error.__cause__ or error).strip() or type(error).__name__
    return said.partition("\n")[0]
