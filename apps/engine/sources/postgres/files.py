"""Lock what a stream reads before its snapshot is taken, and recognise tables that were replaced.

TRUNCATE, a rewriting ALTER, VACUUM FULL and DROP with CREATE give a table a new file, or replace the table. A snapshot
that is older than the new file sees no rows in it. So a snapshot is used only if every relation below the stream has
the same file in the snapshot and now, while all of them are locked.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from apps.engine.failures import PositionGone
from apps.engine.postgres import Connection, Cursor
from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.connection import read_transaction
from apps.engine.sources.postgres.tables import NoSuchTable, Relation

MAX_TRIES = 5  # snapshots that may be older than a table, before the read fails

# The relations that a query of the stream reads: partitions, child tables, and all relations below a view. Rows of
# pg_class are those of the snapshot. The functions return what is true now.
SELECT_FILES = """
WITH RECURSIVE part (oid) AS (
  SELECT %(oid)s::oid
  UNION
  SELECT related.oid FROM part, LATERAL (
    SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = part.oid
    UNION ALL
    SELECT d.refobjid
    FROM pg_class v JOIN pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
    JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
         AND d.refclassid = 'pg_class'::regclass
    WHERE v.oid = part.oid AND v.relkind = 'v'
  ) AS related (oid)
)
SELECT c.oid::bigint,
       CASE c.relkind WHEN 'v' THEN hashtext(pg_get_viewdef(c.oid))::bigint ELSE c.relfilenode::bigint END,
       (c.relfilenode = 0 OR c.relfilenode = coalesce(pg_relation_filenode(c.oid), 0))
       AND (c.oid <> %(oid)s OR c.oid = to_regclass(%(name)s)),
       CASE WHEN c.oid = %(oid)s THEN (
         SELECT string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod), ',' ORDER BY a.attnum)
         FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum = ANY(%(columns)s) AND NOT a.attisdropped) END
FROM part JOIN pg_class c ON c.oid = part.oid
"""
SELECT_SIZE = (
    "SELECT coalesce(sum(pg_table_size(oid::oid)), 0)::bigint FROM unnest(%s::bigint[]) oid"
)

# The user may not lock the relation, it has no rows of its own, or the server has no LOCK.
NOT_LOCKABLE = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.WrongObjectType,
    psycopg.errors.FeatureNotSupported,
)


class NotLocked(Exception):
    """The relation cannot be locked by name, or not by this user."""


@dataclass(frozen=True, slots=True)
class TableFiles:
    """What identifies the contents of every relation that a stream reads, and the columns of the stream.

    `files` has the file of each table and the digest of each view's query, by the relation's id.
    """

    files: Mapping[int, int]
    columns: str

    @property
    def digest(self) -> str:
        text = f"{sorted(self.files.items())} {self.columns}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def contents_digest(self) -> str:
        """Identifies the rows, whatever their columns are. It changes if the table is emptied, rewritten or created anew."""
        return hashlib.sha256(str(sorted(self.files.items())).encode()).hexdigest()[:16]

    def includes(self, earlier: TableFiles) -> bool:
        """Whether every relation of an earlier page is still the same. New partitions do not matter."""
        return self.columns == earlier.columns and earlier.files.items() <= self.files.items()


@dataclass(frozen=True, slots=True)
class LockedTable:
    """A table in an open transaction, which has locked it and all relations below it."""

    cursor: Cursor
    table: Relation
    files: TableFiles

    def size(self) -> int:
        """Return the size of the table on disk, in bytes. For a view, it is the size of the relations below it."""
        row = self.cursor.execute(SELECT_SIZE, [list(self.files.files)]).fetchone()
        return int(row[0]) if row else 0


@contextlib.contextmanager
def lock_table(
    connection: Connection,
    config: Config,
    find: Callable[[Cursor], Relation],
    known: Relation | None = None,
    earlier: Relation | None = None,
    snapshot: str = "",
) -> Iterator[LockedTable]:
    """Open a transaction that sees one committed state of a table and of everything below it.

    `find` returns the description of the table, which is read in the transaction unless it is `known`. An `earlier` one
    says what to lock. With `snapshot`,
    the committed state is that of an exported snapshot. Raises PositionGone if the known table no longer exists, or if
    the table is replaced again and again, and SourceError if another session locks it for too long.
    """
    table = known or earlier or _find_unlocked(connection, config, find)
    can_be_locked = True
    for _ in range(MAX_TRIES):
        try:
            with read_transaction(connection, config, snapshot) as cursor:
                _lock(cursor, table, can_be_locked=can_be_locked)
                locked_name, table = table.sql, known or find(cursor)
                files = read_files(cursor, table)
                if files is not None and table.sql == locked_name:
                    yield LockedTable(cursor, table, files)
                    return
        except NotLocked:
            can_be_locked = False
        except NoSuchTable:
            table = _find_unlocked(connection, config, find)
    raise table_replaced(table)


def _find_unlocked(
    connection: Connection, config: Config, find: Callable[[Cursor], Relation]
) -> Relation:
    """Return the description of the table. Raises NoSuchTable if there is none, also in a second snapshot.

    A table that is replaced at this moment is in the first snapshot, but its privileges are gone.
    """
    try:
        with read_transaction(connection, config) as cursor:
            return find(cursor)
    except NoSuchTable:
        with read_transaction(connection, config) as cursor:
            return find(cursor)


def _lock(cursor: Cursor, table: Relation, *, can_be_locked: bool) -> None:
    """Lock the table and everything below it against TRUNCATE, ALTER and DROP."""
    can_be_locked = can_be_locked and table.can_be_locked
    if can_be_locked:
        lock_by_name(cursor, table)
    if not can_be_locked or table.relkind == "v":
        lock_by_query(cursor, table)


def lock_by_name(cursor: Cursor, table: Relation) -> None:
    """Lock the table without taking a snapshot. Raises NotLocked if it cannot be locked by name.

    The tables below a view are locked with the rights of the view's owner, but no materialized views.
    """
    try:
        cursor.execute(lock_statement(table))
    except NOT_LOCKABLE as error:
        raise NotLocked from error


def lock_by_query(cursor: Cursor, table: Relation) -> None:
    """Lock the table and everything below it by an empty query, which takes the snapshot before it waits."""
    cursor.execute(query_statement(table))


def lock_statement(table: Relation) -> sql.Composed:
    return sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(table.sql)


def query_statement(table: Relation) -> sql.Composed:
    return sql.SQL("SELECT FROM {} LIMIT 0").format(table.sql)


def read_files(cursor: Cursor, table: Relation) -> TableFiles | None:
    """Return the files of all relations, or None if one of them is newer than the snapshot."""
    parameters = {
        "oid": table.oid,
        "name": table.sql.as_string(cursor),
        "columns": [column.number for column in table.columns],
    }
    rows = cursor.execute(SELECT_FILES, parameters).fetchall()
    if table.oid not in {oid for oid, *_ in rows}:
        raise table_replaced(table)
    if not all(is_current for _, _, is_current, _ in rows):
        return None
    files = {oid: file for oid, file, _, _ in rows}
    return TableFiles(files, next(columns for oid, _, _, columns in rows if oid == table.oid))


def table_replaced(table: Relation) -> PositionGone:
    """Return the error for a table that is not the one that was read before."""
    return PositionGone(
        f"{table.stream_name} was truncated, rewritten or replaced while it was read",
        evidence=("With `snapshot: whole` the table is locked while it is read.",),
    )
