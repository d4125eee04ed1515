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

# Connections outside the pools: a web process has one for events and one for operators, a worker one for LISTEN.
WEB_EXTRA = 2
WORKER_EXTRA = 1

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
    """The connections of the server, and the number of our processes: at least one web process and one worker."""

    max_connections: int
    reserved: int
    others: int
    webs: int
    workers: int

    @property
    def needed(self) -> int:
        """Return the maximum number of connections that our processes use at once."""
        runs = min(self.workers * settings.WORKER_CONCURRENCY, settings.MAX_RUNNING_PLATFORM)
        return self.webs * per_web() + self.workers * per_worker() + runs

    @property
    def free(self) -> int:
        return self.max_connections - self.reserved - self.others


def per_web() -> int:
    """Return the maximum number of connections of one web process."""
    return settings.WEB_POOL + WEB_EXTRA


def per_worker() -> int:
    """Return the maximum number of connections of one worker, not counting its runs."""
    return settings.WORKER_POOL + settings.QUEUE_POOL + WORKER_EXTRA


def read_server() -> Server:
    """Count the connections and processes that the server has now."""
    ((limit, reserved, others, webs, workers),) = rows(SERVER)
    return Server(limit, reserved, others, max(webs, 1), max(workers, 1))


def finding() -> Finding:
    """Check whether the server has the connections that the running processes may need."""
    server = read_server()
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
