"""The checkpoints of a conversation's graph, in PostgreSQL, and the lock that protects them.

A turn has one connection of its own. The connection holds the conversation's advisory lock, and all checkpoints are
written over it. So a process that has lost the lock cannot write checkpoints any more. The connection has set the org
and row-level security compares it with the conversation of each row. A worker keeps the connections of ended turns for
later turns (`turns.kept_connections`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import structlog
from django.db import connections
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from procrastinate.contrib.django.utils import connector_params
from psycopg.rows import dict_row

from apps.agent.exceptions import ThreadLocked
from apps.agent.turns.kept_connections import KeptConnections
from apps.agent.turns.thread_saver import ThreadSaver
from apps.background.database_errors import first_line

logger = structlog.get_logger(__name__)

SCHEMA = "agent"
LOCK_CLASS = 0x64726F76  # the first key of the advisory locks of conversations
PATIENCE = 1.0  # seconds
PRUNE_ATTEMPTS = 3
CLOSE_HOLDER = """
SELECT pg_terminate_backend(pid, 1000) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = %s::bigint::oid AND objid = (hashtext(%s)::bigint & 4294967295)::oid AND objsubid = 2"""


@asynccontextmanager
async def open_saver(
    org_id: UUID, conversation_id: UUID, kept: KeptConnections | None = None
) -> AsyncIterator[ThreadSaver]:
    """Lock the conversation, and yield the saver of its checkpoints over a connection of its own. Raises ThreadLocked."""
    async with (
        open_connection(org_id, kept) as connection,
        lock_thread(connection, conversation_id) as saver,
    ):
        yield saver


@asynccontextmanager
async def open_connection(
    org_id: UUID, kept: KeptConnections | None = None
) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Yield a connection that has the org's scope in its session, also between its transactions.

    With `kept`, it uses one of these connections, and keeps its connection there afterwards.
    """
    connection = await _connection_of_org(org_id, kept)
    try:
        yield connection
    except BaseException:
        await connection.close()
        raise
    if kept is None:
        await connection.close()
    else:
        await kept.keep(connection)


@asynccontextmanager
async def lock_thread(
    connection: psycopg.AsyncConnection[Any], conversation_id: UUID
) -> AsyncIterator[ThreadSaver]:
    """Lock the conversation, and yield the saver of its checkpoints. Raises ThreadLocked."""
    await _lock(connection, conversation_id)
    saver = ThreadSaver(connection)
    try:
        yield saver
    finally:
        saver.detach()


async def _connection_of_org(
    org_id: UUID, kept: KeptConnections | None
) -> psycopg.AsyncConnection[Any]:
    connection = kept.take() if kept is not None else None
    if connection is not None:
        try:
            return await _set_org(connection, org_id)
        except psycopg.OperationalError:  # the database has closed it meanwhile
            pass
    return await _set_org(await _connect(), org_id)


async def _set_org(
    connection: psycopg.AsyncConnection[Any], org_id: UUID
) -> psycopg.AsyncConnection[Any]:
    try:
        await connection.execute("SELECT set_config('app.current_org', %s, false)", [str(org_id)])
    except BaseException:
        await connection.close()
        raise
    return connection


async def prune(saver: AsyncPostgresSaver, conversation_id: UUID) -> None:
    """Delete the conversation's checkpoints, except the newest one with its open pauses.

    Call it with the lock held, after everything else. If it fails, the next turn does it.
    """
    for attempt in range(PRUNE_ATTEMPTS):
        try:
            await saver.aprune([str(conversation_id)])
        except psycopg.Error as error:
            is_last = attempt == PRUNE_ATTEMPTS - 1
            if is_last or not isinstance(error, psycopg.errors.SerializationFailure):
                logger.warning("old checkpoints were not deleted", error=first_line(error))
                return
        else:
            return


async def _connect() -> psycopg.AsyncConnection[Any]:
    parameters = {
        name: value
        for name, value in connector_params(connections["default"].alias).items()
        if name != "pool"
    }
    options = parameters.pop("options", "")
    return await psycopg.AsyncConnection.connect(
        **{
            **parameters,
            "autocommit": True,
            "row_factory": dict_row,
            "application_name": "drover-agent",
            "options": f"{options} -c search_path={SCHEMA},public",
        }
    )


async def _lock(connection: psycopg.AsyncConnection[Any], conversation_id: UUID) -> None:
    """Lock the conversation. Raises ThreadLocked.

    The caller has the lease of the conversation's turn, so another holder of the lock is ending its turn, or has lost
    its lease, for example because its process was frozen. After a second its connection is closed.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not await _try_lock(connection, conversation_id):
        if asyncio.get_running_loop().time() >= deadline:
            await connection.execute(CLOSE_HOLDER, [LOCK_CLASS, str(conversation_id)])
            if not await _try_lock(connection, conversation_id):
                raise ThreadLocked
            break
        await asyncio.sleep(0.05)


async def _try_lock(connection: psycopg.AsyncConnection[Any], conversation_id: UUID) -> bool:
    cursor = await connection.execute(
        "SELECT pg_try_advisory_lock(%s, hashtext(%s)) AS locked",
        [LOCK_CLASS, str(conversation_id)],
    )
    row = await cursor.fetchone()
    return bool(row and row["locked"])
