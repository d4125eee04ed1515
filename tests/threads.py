"""Threads of tests that use Django's database connections."""

from __future__ import annotations

import threading
import time

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper


class DatabaseThread(threading.Thread):
    """A thread that returns its database connections to the pool when it ends.

    Django returns the connections of a request. Nobody returns those of a thread that ends, and a pool whose
    connections were not returned makes later tests of the process wait for one.
    """

    def run(self) -> None:
        try:
            super().run()
        finally:
            connections.close_all()


def used_connections() -> int:
    """Return how many connections of the pool are in use."""
    connection = connections["default"]
    if not isinstance(connection, DatabaseWrapper) or connection.pool is None:
        return 0
    counts: dict[str, int] = connection.pool.get_stats()
    return counts.get("pool_size", 0) - counts.get("pool_available", 0)


def wait_for_returned_connections(allowed: int, seconds: float = 10) -> int:
    """Wait until at most `allowed` connections are in use, and return how many are."""
    deadline = time.monotonic() + seconds
    while (used := used_connections()) > allowed and time.monotonic() < deadline:
        time.sleep(0.05)
    return used
