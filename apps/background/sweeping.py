"""Once an hour: remove what nobody reads any more, each app its own."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import connection

from apps.background import jobs, registry

logger = structlog.get_logger(__name__)

JOBS_KEPT = timedelta(days=7)
ROWS_AT_ONCE = 5000


def sweep() -> None:
    """Everything that is registered. One that fails keeps none of the others from being done; the first error is
    raised in the end."""
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
    """Call a SQL function `(before, how many at once)` until it has nothing left to remove."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"SELECT {function}(%s, %s)", [before, ROWS_AT_ONCE])
            if not cursor.fetchone()[0]:
                return
