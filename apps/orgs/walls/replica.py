"""Read lists from a read replica (`DROVER_REPLICA_URL`), and never older rows than the primary server has.

A replica is behind its primary server, so a user could miss what they have just saved. Each request therefore reads
the position of the primary's log when it checks the credential, and uses the replica only if it has replayed that
position. It waits a short time for it. Otherwise the primary server answers. docs/adr/0093 has the measurements.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.conf import settings
from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    OperationalError,
    connection,
    connections,
)

LONGEST_WAIT = 0.2  # seconds that a request waits until the replica has replayed the position
SECONDS_BETWEEN_LOOKS = 0.005
# After a failure, this process does not ask the replica for this number of seconds, so that not every list waits.
PAUSE_SECONDS = 5.0
ALIAS = "replica"

logger = logging.getLogger(__name__)
_paused_until = 0.0  # of time.monotonic()


class ReplicaUnusable(Exception):
    """The replica cannot answer now. The message says why."""


def may_be_used() -> bool:
    """Return whether there is a replica that did not fail a moment ago."""
    return ALIAS in settings.DATABASES and time.monotonic() >= _paused_until


def primary_position() -> str:
    """Return the position up to which the primary server has written its log. Every committed change is before it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_flush_lsn()")
        return str(cursor.fetchone()[0])


@contextmanager
def reading(position: str) -> Iterator[None]:
    """Send all queries of this thread to the replica, which has replayed `position`.

    Call it outside every transaction. Raises ReplicaUnusable, also if the replica fails while it is used.
    """
    primary = connections[DEFAULT_DB_ALIAS]
    try:
        _wait_for(position)
        connections[DEFAULT_DB_ALIAS] = connections[ALIAS]
        yield
    except (InterfaceError, OperationalError) as error:
        raise _pause(str(error)) from error
    finally:
        connections[DEFAULT_DB_ALIAS] = primary
        connections[ALIAS].close()


def _wait_for(position: str) -> None:
    if _system_identifier(ALIAS) != _system_identifier(DEFAULT_DB_ALIAS):
        raise _pause("it is not a replica of the server of DATABASE_URL")
    deadline = time.monotonic() + LONGEST_WAIT
    with connections[ALIAS].cursor() as cursor:
        while True:
            # A replica that was promoted to a primary server no longer follows, and answers NULL or false.
            cursor.execute(
                "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]
            )
            if cursor.fetchone()[0]:
                return
            if time.monotonic() > deadline:
                raise _pause(f"it does not follow, or is more than {LONGEST_WAIT} seconds behind")
            time.sleep(SECONDS_BETWEEN_LOOKS)


@cache
def _system_identifier(alias: str) -> int:
    """Return the number that a server has in common with its replicas only."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        identifier: int = cursor.fetchone()[0]
    return identifier


def _pause(reason: str) -> ReplicaUnusable:
    global _paused_until
    _paused_until = time.monotonic() + PAUSE_SECONDS
    logger.warning("The read replica is not used for %s seconds: %s", PAUSE_SECONDS, reason)
    return ReplicaUnusable(reason)
