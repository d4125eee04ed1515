"""Keep one snapshot for several streams of a run, so that the tables agree with each other.

All tables are locked before the snapshot is taken. Otherwise TRUNCATE or a rewriting ALTER between the snapshot and the
lock of a later stream would make its table look empty. The snapshot exists as long as this transaction is open.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString

import orjson
import psycopg
from psycopg import sql

from apps.engine.failures import PositionGone
from apps.engine.postgres import Connection, Cursor
from apps.engine.shared_snapshots import HeldSnapshot
from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.connection import read_transaction
from apps.engine.sources.postgres.files import (
    MAX_TRIES,
    NOT_LOCKABLE,
    DescribedTable,
    TableFiles,
    lock_statement,
    query_statement,
    read_files_of_tables,
    read_sizes,
)
from apps.engine.sources.postgres.tables import (
    NoSuchTable,
    Relation,
    find_relation,
    find_relations,
    read_facts,
)
from apps.json import JsonObject

MAX_DESCRIPTIONS = 2 << 20  # bytes of all descriptions, which are sent in one message
# The beginnings of SQLSTATEs of errors that a table is not the reason of: lost connections, conflicts and deadlocks, lack
# of resources, locks of other sessions, and cancelled queries.
NOT_OF_THE_TABLE = ("08", "40", "53", "55P03", "57", "58", "XX")


@contextlib.contextmanager
def hold_snapshot(
    connection: Connection, config: Config, streams: Sequence[str], *, max_bytes: int | None
) -> Iterator[HeldSnapshot]:
    """Lock the tables of the streams, and keep a snapshot of them until the block ends.

    A stream that does not exist, or that cannot be read, is left out, and its own child reports it. Without a snapshot, the
    answer has the reason: the tables are larger than `max_bytes`, or they are replaced again and again. Raises SourceError
    if another session locks a table for too long.
    """
    for _ in range(MAX_TRIES):
        with read_transaction(connection, config) as cursor:
            tables = _find_tables(cursor, config, streams)
        with read_transaction(connection, config) as cursor:
            try:
                at, locked = _lock_and_take(cursor, tables)
                files = _files_if_current(cursor, locked)
            except PositionGone:
                continue
            if files is None:
                continue
            sizes = read_sizes(cursor, {oid for each in files.values() for oid in each.files})
            if max_bytes is not None and sum(sizes.values()) > max_bytes:
                yield HeldSnapshot(
                    reason=f"the tables have {sum(sizes.values()) / 1e9:,.0f} GB, which takes long to read"
                )
                return
            described = _describe(cursor, config, locked, files, sizes)
            token = _export(cursor)
            yield HeldSnapshot(token, at.isoformat(), streams=tuple(locked), tables=described)
            return
    yield HeldSnapshot(reason="tables were replaced again and again while they were locked")


def _find_tables(cursor: Cursor, config: Config, streams: Sequence[str]) -> dict[str, Relation]:
    """Return the tables that exist, by stream."""
    by_name = {table.stream_name: table for table in find_relations(cursor, config.schemas)}
    tables: dict[str, Relation] = {}
    for stream in streams:
        with contextlib.suppress(NoSuchTable):  # The child of the stream reports it.
            tables[stream] = by_name.get(stream) or find_relation(cursor, config.schemas, stream)
    return tables


def _lock_and_take(
    cursor: Cursor, tables: Mapping[str, Relation]
) -> tuple[datetime, dict[str, Relation]]:
    """Lock the tables by name, take the snapshot, and lock the others and what is below views by queries.

    Returns the time of the snapshot, and the tables that can be read, by stream.
    """
    not_locked = {name for name, table in tables.items() if not _lock_by_name(cursor, table)}
    (at,) = _only_row(cursor, "SELECT clock_timestamp()")  # The first query takes the snapshot.
    locked = {
        name: table
        for name, table in tables.items()
        if (name not in not_locked and table.relkind != "v") or _lock_by_query(cursor, table)
    }
    taken_at: datetime = at.astimezone(UTC)
    return taken_at, locked


def _lock_by_name(cursor: Cursor, table: Relation) -> bool:
    """Lock the table without taking a snapshot. Returns whether that is possible: some views cannot be locked by name."""
    if not table.can_be_locked:
        return False
    error = _try(cursor, lock_statement(table))
    if error is not None and not isinstance(error, NOT_LOCKABLE):
        raise error
    return error is None


def _lock_by_query(cursor: Cursor, table: Relation) -> bool:
    """Lock the table and everything below it by a query. Returns whether the table can be read."""
    error = _try(cursor, query_statement(table))
    if error is not None and (error.sqlstate or "").startswith(NOT_OF_THE_TABLE):
        raise error
    return error is None


def _try(cursor: Cursor, statement: sql.Composed) -> psycopg.Error | None:
    """Execute the statement. If it fails, return the error; the transaction goes on. Raises psycopg.Error if that is impossible."""
    try:
        cursor.execute(
            sql.SQL("SAVEPOINT one_table; {}; RELEASE SAVEPOINT one_table").format(statement)
        )
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        cursor.execute("ROLLBACK TO SAVEPOINT one_table; RELEASE SAVEPOINT one_table")
        return error
    return None


def _files_if_current(
    cursor: Cursor, tables: Mapping[str, Relation]
) -> dict[str, TableFiles] | None:
    """Return what identifies the contents of each table, or None if the snapshot is older than one of them."""
    by_oid = read_files_of_tables(
        cursor, list({table.oid: table for table in tables.values()}.values())
    )
    files = {stream: by_oid[table.oid] for stream, table in tables.items()}
    current = {stream: found for stream, found in files.items() if found is not None}
    return current if len(current) == len(files) else None


def _describe(
    cursor: Cursor,
    config: Config,
    locked: Mapping[str, Relation],
    files: Mapping[str, TableFiles],
    sizes: Mapping[int, int],
) -> dict[str, JsonObject]:
    """Describe the locked tables as they are in the snapshot, as far as the descriptions fit into one message.

    The children of their streams need not ask for them, because a table that is locked by name does not change.
    """
    relations = {relation.oid: relation for relation in find_relations(cursor, config.schemas)}
    described: dict[str, JsonObject] = {}
    total = 0
    facts = read_facts(cursor, list(locked.values()))
    for (stream, table), facts_of_table in zip(locked.items(), facts, strict=True):
        relation = relations.get(table.oid)
        is_locked_by_name = table.can_be_locked and table.relkind in {"r", "p"}
        if not is_locked_by_name or relation is None or relation.sql != table.sql:
            continue
        size = sum(sizes.get(oid, 0) for oid in files[stream].files)
        table_files = files[stream]
        description = DescribedTable(relation, table_files, size, facts_of_table).to_json()
        total += len(orjson.dumps(description))
        if total > MAX_DESCRIPTIONS:
            break
        described[stream] = description
    return described


def _export(cursor: Cursor) -> str:
    """Return the identifier with which other transactions import the snapshot."""
    (token,) = _only_row(cursor, "SELECT pg_export_snapshot()")
    return str(token)


def _only_row(cursor: Cursor, query: LiteralString) -> tuple[Any, ...]:
    row = cursor.execute(query).fetchone()
    if row is None:
        raise LookupError("the query returns one row")
    return row
