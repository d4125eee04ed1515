"""Compare the number of PostgreSQL connections that the processes may need with the server's limit.

A web process has a pool, one connection for events and one for operators. A worker has a pool, a few connections to
fetch jobs, one for LISTEN, and one for each turn of the agent. Each run has one connection for the engine's state.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from apps.background.database_errors import first_line
from apps.background.health import Finding, fetch_rows

logger = structlog.get_logger(__name__)

# Connections outside the pools: a web process has one for events and one for operators, a worker one for LISTEN.
WEB_EXTRA = 2
WORKER_EXTRA = 1

# Our processes set an application name like `drover-worker 4711@host 0.1.0`. Other programs use some of the connections too.
# PostgreSQL hides the backend type of sessions of other roles. Its own processes have no role or no database.
CONNECTIONS_SQL = """
    SELECT current_setting('max_connections')::int,
           current_setting('superuser_reserved_connections')::int
               + coalesce(current_setting('reserved_connections', true), '0')::int,
           count(*) FILTER (WHERE application_name NOT LIKE 'drover-%%'),
           count(DISTINCT application_name) FILTER (WHERE application_name LIKE 'drover-web %%'),
           count(DISTINCT application_name) FILTER (WHERE application_name LIKE 'drover-worker %%')
    FROM pg_stat_activity
    WHERE usesysid IS NOT NULL AND datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
"""


@dataclass(frozen=True, slots=True)
class ServerConnections:
    """The server's connections, and the numbers of our processes (at least one web process and one worker)."""

    max_connections: int
    reserved: int
    used_by_others: int
    web_processes: int
    worker_processes: int

    @property
    def needed(self) -> int:
        """Return the maximum number of connections that our processes use at once."""
        runs = min(
            self.worker_processes * settings.WORKER_CONCURRENCY, settings.MAX_RUNNING_PLATFORM
        )
        return (
            self.web_processes * connections_per_web_process()
            + self.worker_processes * connections_per_worker()
            + runs
        )

    @property
    def free(self) -> int:
        return self.max_connections - self.reserved - self.used_by_others


def connections_per_web_process() -> int:
    """Return the maximum number of connections of one web process."""
    return settings.WEB_POOL + WEB_EXTRA


def connections_per_worker() -> int:
    """Return the maximum number of connections of one worker, not counting its runs."""
    return settings.WORKER_POOL + settings.QUEUE_POOL + settings.AGENT_TURNS + WORKER_EXTRA


def read_server_connections() -> ServerConnections:
    """Count the current connections and processes."""
    ((limit, reserved, used_by_others, web_processes, worker_processes),) = fetch_rows(
        CONNECTIONS_SQL
    )
    return ServerConnections(
        limit, reserved, used_by_others, max(web_processes, 1), max(worker_processes, 1)
    )


def check_connections() -> Finding:
    """Check whether the server has the connections that the running processes may need."""
    server = read_server_connections()
    seen = (
        f"{server.web_processes} web and {server.worker_processes} worker processes may need {server.needed}; "
        f"the server has {server.free} for them"
    )
    required = server.needed + server.reserved + server.used_by_others
    next_step = (
        f"Set max_connections of PostgreSQL to {required} or more, or lower DROVER_DB_POOL, "
        "DROVER_WORKER_CONCURRENCY, DROVER_MAX_RUNNING or the number of processes."
    )
    return Finding("connections", server.needed <= server.free, seen, next_step)


def warn_if_too_few() -> None:
    """Log a warning at the start of a process if the server has too few connections."""
    try:
        finding = check_connections()
    except DatabaseError as error:
        logger.warning("connections cannot be counted now", error=first_line(error))
        return
    finally:
        connection.close()
    if not finding.ok:
        logger.warning("too few connections", seen=finding.seen, next_step=finding.next_step)
