"""Compare the number of PostgreSQL connections that the processes may need with the server's limit.

A web process has its pool, one connection for events and one for operators. A worker has its pool, a few
to fetch jobs and one for LISTEN; each run has one for the engine's state.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from apps.background.database_errors import first_line
from apps.background.health import Finding, rows

logger = structlog.get_logger(__name__)

WEB_ALONE = 2  # events, operators
LISTENING = 1

# Our processes identify themselves, as `drover-worker 4711@host`. Connections of other programs are not available
# to us.
SERVER = """
    SELECT current_setting('max_connections')::int,
           current_setting('superuser_reserved_connections')::int
               + coalesce(current_setting('reserved_connections', true), '0')::int,
           count(*) FILTER (WHERE application_name NOT LIKE 'drover-%%'),
           count(DISTINCT application_name) FILTER (WHERE application_name LIKE 'drover-web %%'),
           count(DISTINCT application_name) FILTER (WHERE application_name LIKE 'drover-worker %%')
    FROM pg_stat_activity WHERE backend_type = 'client backend'
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The server's connections and our processes; at least one web process and one worker are counted."""

    most: int
    reserved: int
    others: int
    webs: int
    workers: int

    @property
    def needed(self) -> int:
        """Return the maximum that our processes use at once."""
        runs = min(self.workers * settings.WORKER_CONCURRENCY, settings.MAX_RUNNING_PLATFORM)
        return self.webs * of_web() + self.workers * of_worker() + runs

    @property
    def free(self) -> int:
        return self.most - self.reserved - self.others


def of_web() -> int:
    """Return the maximum of one web process."""
    return settings.WEB_POOL + WEB_ALONE


def of_worker() -> int:
    """Return the maximum of one worker, without those of its runs."""
    return settings.WORKER_POOL + settings.QUEUE_POOL + LISTENING


def look() -> Server:
    ((most, reserved, others, webs, workers),) = rows(SERVER)
    return Server(most, reserved, others, max(webs, 1), max(workers, 1))


def finding() -> Finding:
    """Check whether the server has the connections that the running processes may need."""
    server = look()
    seen = (
        f"{server.webs} web and {server.workers} worker processes may need {server.needed}; "
        f"the server has {server.free} for them"
    )
    enough = server.needed + server.reserved + server.others
    step = (
        f"Set max_connections of PostgreSQL to {enough} or more, or lower DROVER_DB_POOL, "
        "DROVER_WORKER_CONCURRENCY, DROVER_MAX_RUNNING or the number of processes."
    )
    return Finding("connections", server.needed <= server.free, seen, step)


def warn() -> None:
    """Log a warning at the start of a process if the server has too few connections."""
    try:
        found = finding()
    except DatabaseError as error:
        logger.warning("connections cannot be counted now", error=first_line(error))
        return
    finally:
        connection.close()
    if not found.ok:
        logger.warning("too few connections", seen=found.seen, next_step=found.next_step)
