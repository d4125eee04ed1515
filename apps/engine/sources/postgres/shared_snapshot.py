"""Keep one snapshot for several streams of a run, so that the tables agree with each other.

All tables are locked before the snapshot is taken. Otherwise TRUNCATE or a rewriting ALTER between the snapshot and the
lock of a later stream would make its table look empty. The snapshot exists as long as this transaction is open.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString

from apps.engine.failures import PositionGone
from apps.engine.postgres import Connection, Cursor
from apps.engine.shared_snapshots import HeldSnapshot
from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.connection import read_transaction
from apps.engine.sources.postgres.files import (
    MAX_TRIES,
    SELECT_SIZE,
    NotLocked,
    lock_by_name,
    lock_by_query,
    read_files,
)
from apps.engine.sources.postgres.tables import NoSuchTable, Relation, find_relation, find_relations


@contextlib.contextmanager
def hold_snapshot(
    connection: Connection, config: Config, streams: Sequence[str], *, max_bytes: int | None
) -> Iterator[HeldSnapshot]:
    """Lock the tables of the streams, and keep a snapshot of them until the block ends.

    A stream whose table does not exist is left out, and its own child reports it. Without a snapshot, the answer has the
    reason: the tables are larger than `max_bytes`, or they are replaced again and again. Raises SourceError if another
    session locks a table for too long.
    """
    not_lockable: set[int] = set()
    for _ in range(MAX_TRIES):
        with read_transaction(connection, config) as cursor:
            tables = _find_tables(cursor, config, streams)
        with read_transaction(connection, config) as cursor:
            try:
                at = _lock_and_take(cursor, tables.values(), not_lockable)
                size = _size_if_current(cursor, tables.values())
            except _TableNotLocked as error:
                not_lockable.add(error.table.oid)
                continue
            except PositionGone:
                continue
            if size is None:
                continue
            if max_bytes is not None and size > max_bytes:
                yield HeldSnapshot(
                    reason=f"the tables have {size / 1e9:,.0f} GB, which takes long to read"
                )
                return
            yield HeldSnapshot(_export(cursor), at.isoformat(), streams=tuple(tables))
            return
    yield HeldSnapshot(reason="tables were replaced again and again while they were locked")


class _TableNotLocked(Exception):
    """The table cannot be locked by name."""

    def __init__(self, table: Relation) -> None:
        super().__init__(table.stream_name)
        self.table = table


def _find_tables(cursor: Cursor, config: Config, streams: Sequence[str]) -> dict[str, Relation]:
    """Return the tables that exist, by stream."""
    by_name = {table.stream_name: table for table in find_relations(cursor, config.schemas)}
    tables: dict[str, Relation] = {}
    for stream in streams:
        with contextlib.suppress(NoSuchTable):  # The child of the stream reports it.
            tables[stream] = by_name.get(stream) or find_relation(cursor, config.schemas, stream)
    return tables


def _lock_and_take(
    cursor: Cursor, tables: Collection[Relation], not_lockable: set[int]
) -> datetime:
    """Lock the tables by name, take the snapshot, and lock the others and what is below views by queries.

    Returns the time of the snapshot. Raises _TableNotLocked.
    """
    needs_query = {table.oid for table in tables if not table.can_be_locked} | not_lockable
    for table in tables:
        if table.oid not in needs_query:
            try:
                lock_by_name(cursor, table)
            except NotLocked as error:
                raise _TableNotLocked(table) from error
    (at,) = _only_row(cursor, "SELECT clock_timestamp()")  # The first query takes the snapshot.
    for table in tables:
        if table.oid in needs_query or table.relkind == "v":
            lock_by_query(cursor, table)
    taken_at: datetime = at.astimezone(UTC)
    return taken_at


def _size_if_current(cursor: Cursor, tables: Collection[Relation]) -> int | None:
    """Return the size of all tables on disk in bytes, or None if the snapshot is older than one of them."""
    relations: set[int] = set()
    for table in tables:
        files = read_files(cursor, table)
        if files is None:
            return None
        relations.update(files.files)
    row = cursor.execute(SELECT_SIZE, [list(relations)]).fetchone()
    return int(row[0]) if row else 0


def _export(cursor: Cursor) -> str:
    """Return the identifier with which other transactions import the snapshot."""
    (token,) = _only_row(cursor, "SELECT pg_export_snapshot()")
    return str(token)


def _only_row(cursor: Cursor, query: LiteralString) -> tuple[Any, ...]:
    row = cursor.execute(query).fetchone()
    if row is None:
        raise LookupError("the query returns one row")
    return row
