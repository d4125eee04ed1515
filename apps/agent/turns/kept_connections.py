"""Connections of ended turns that a worker keeps open for its next turns.

Opening a connection takes longer than all statements of a short turn.
"""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

# Prepared statements are kept, unlike with DISCARD ALL. Nothing else of a turn stays in its connection's session.
RELEASE = "SELECT pg_advisory_unlock_all(), set_config('app.current_org', '', false)"
MAX_IDLE = 30.0  # seconds until an unused connection is closed

Connection = psycopg.AsyncConnection[Any]


class KeptConnections:
    """At most `limit` unused connections of one event loop. They have no lock and no org."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._unused: dict[Connection, asyncio.TimerHandle] = {}  # with what closes it
        self._closing: set[asyncio.Task[None]] = set()

    def take(self) -> Connection | None:
        """Return the connection that was used last, or None. The database may have closed it meanwhile."""
        if not self._unused:
            return None
        connection, closing = self._unused.popitem()
        closing.cancel()
        return connection

    async def keep(self, connection: Connection) -> None:
        """Release the connection's locks and settings, and keep it. Close it if it cannot be used again."""
        try:
            if connection.info.transaction_status != TransactionStatus.IDLE:
                raise psycopg.InterfaceError("a statement was not finished")
            await connection.execute(RELEASE)
        except psycopg.Error:
            await connection.close()
            return
        if len(self._unused) >= self._limit:
            await connection.close()
            return
        loop = asyncio.get_running_loop()
        self._unused[connection] = loop.call_later(MAX_IDLE, self._close_later, connection)

    def _close_later(self, connection: Connection) -> None:
        del self._unused[connection]
        task = asyncio.create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
