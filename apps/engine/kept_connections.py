"""Keep the PostgreSQL connections of a stream for the next stream that runs in the same process.

A new connection costs both sides more than all statements of a small stream: a login, a process of the server, and its
empty caches. Transactions set what they need. What functions of the database have set beyond them, such as another role,
has to be discarded, so that a kept connection behaves like a new one.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Hashable
from typing import Any, LiteralString
from weakref import WeakKeyDictionary

import psycopg
from psycopg.pq import TransactionStatus

Connection = psycopg.Connection[Any]

# The statement that makes a connection to a server of users like a new one: no role, settings, locks or temporary tables.
FORGET_SESSION: LiteralString = "DISCARD ALL"


class KeptConnections:
    """The idle connections of this process, at most one for each key. Thread-safe. Keeps none until `start`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keeps = False
        self._idle: dict[Hashable, Connection] = {}
        self._keys: WeakKeyDictionary[Connection, Hashable] = WeakKeyDictionary()

    def start(self) -> None:
        """Keep connections from now on."""
        self._keeps = True

    def take(self, key: Hashable, connect: Callable[[], Connection]) -> Connection:
        """Return the idle connection with this key, or a new one. The key has all that decides about the connection."""
        with self._lock:
            connection = self._idle.pop(key, None)
        if connection is not None and not _is_quiet(connection):
            connection.close()
            connection = None
        if connection is None:
            connection = connect()
        with self._lock:
            self._keys[connection] = key
        return connection

    def give_back(self, connection: Connection, cleaning: LiteralString = "") -> None:
        """Keep the connection if it can be used again, else close it. A kept one runs the statement `cleaning` first."""
        if not (self._keeps and _is_idle(connection) and _is_cleaned(connection, cleaning)):
            connection.close()
            return
        with self._lock:
            key = self._keys[connection]
            superfluous = self._idle.get(key)
            self._idle[key] = connection
        if superfluous is not None:
            superfluous.close()


def _is_idle(connection: Connection) -> bool:
    is_open = not connection.closed
    return is_open and connection.info.transaction_status is TransactionStatus.IDLE


def _is_cleaned(connection: Connection, statement: LiteralString) -> bool:
    autocommit = connection.autocommit
    try:
        if statement:
            connection.autocommit = True  # PostgreSQL refuses DISCARD ALL in a transaction.
            connection.execute(statement)
            connection.autocommit = autocommit
    except psycopg.Error:  # The end of the connection cleans as well.
        return False
    return True


def _is_quiet(connection: Connection) -> bool:
    """Whether the server has sent nothing since the last statement. What it sends before it ends a connection is unread."""
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return not readable


kept_connections = KeptConnections()
