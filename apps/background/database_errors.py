"""How errors of PostgreSQL are told apart and written down, wherever they are caught."""

from __future__ import annotations

from psycopg import errors

# The statement waited in vain for what another session holds.
HELD = (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled)


def first_line(error: BaseException) -> str:
    """What happened, without the row: PostgreSQL's second line quotes values.

    Django and Procrastinate wrap the error of the driver, the latter without its words.
    """
    said = str(error.__cause__ or error).strip() or type(error).__name__
    return said.partition("\n")[0]
