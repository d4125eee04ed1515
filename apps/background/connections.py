"""How many connections to PostgreSQL the processes may need, and whether the server has them.

A web process has its pool, one connection for events and one for operators. A worker has its pool, a few
to fetch jobs and one that listens; each run has one of its own for the engine's state.
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

# Every process of ours names itself: `drover-worker 4711@host`. What others use of the server is not ours to have.
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
    """What the server offers, and who is there: at least one web process and one worker are counted."""

    most: int
    reserved: int
    others: int
    webs: int
    workers: int

    @property
    def needed(self) -> int:
        """What our processes hold at once at the most."""
        runs = min(self.workers * settings.WORKER_CONCURRENCY, settings.MAX_RUNNING_PLATFORM)
        return self.webs * of_web() + self.workers * of_worker() + runs

    @property
    def free(self) -> int:
        return self.most - self.reserved - self.others


def of_web() -> int:
    """The most connections of one web process."""
    return settings.WEB_POOL + WEB_ALONE


def of_worker() -> int:
    """The most connections of one worker, without those of its runs."""
    return settings.WORKER_POOL + settings.QUEUE_POOL + LISTENING


def look() -> Server:
    ((most, reserved, others, webs, workers),) = rows(SERVER)
    return Server(most, reserved, others, max(webs, 1), max(workers, 1))


def finding() -> Finding:
    """Whether the server has the connections that the processes running now may need."""
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
    """Say at the start of a process when it is one too many for the server."""
    try:
        found = finding()
    except DatabaseError as error:
        logger.warning("connections cannot be counted now", error=first_line(error))
        return
    finally:
        connection.close()
    if not found.ok:
        logger.warning("too few connections", seen=found.seen, next_step=found.next_step)
