"""Delete expired data once an hour, with the functions that the apps have registered."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import connection

from apps.background import jobs, registry

logger = structlog.get_logger(__name__)

ENDED_JOBS_RETENTION = timedelta(days=7)
BATCH_SIZE = 5000


def sweep() -> None:
    """Delete ended jobs, and call every registered function. After an error, still call the functions that follow.

    Raises the first error at the end.
    """
    errors: list[Exception] = []
    for run_sweep in (lambda: jobs.remove_ended(ENDED_JOBS_RETENTION), *registry.sweeps()):
        try:
            run_sweep()
        except Exception as error:  # The first error is raised below.
            logger.exception("a sweep failed")
            errors.append(error)
    if errors:
        raise errors[0]


def remove_in_batches(function_name: str, before: datetime) -> None:
    """Call a SQL function `(before, batch size)` until it deletes no more rows."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"SELECT {function_name}(%s, %s)", [before, BATCH_SIZE])
            if not cursor.fetchone()[0]:
                return
