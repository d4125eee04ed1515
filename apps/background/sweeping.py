"""Delete expired data once an hour, with the functions that the apps have registered."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import connection

from apps.background import jobs, registry

logger = structlog.get_logger(__name__)

JOBS_KEPT = timedelta(days=7)
ROWS_AT_ONCE = 5000


def sweep() -> None:
    """Call every registered function. If one fails, the others still run; the first error is raised at the end."""
    failed: list[Exception] = []
    for one in (lambda: jobs.remove_ended(JOBS_KEPT), *registry.sweeps()):
        try:
            one()
        except Exception as error:  # raised below
            logger.exception("a sweep failed")
            failed.append(error)
    if failed:
        raise failed[0]


def remove_in_batches(function: str, before: datetime) -> None:
    """Call a SQL function `(before, batch size)` until it has nothing left to delete."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"SELECT {function}(%s, %s)", [before, ROWS_AT_ONCE])
            if not cursor.fetchone()[0]:
                return
