"""Lock what a stream reads before its snapshot is taken, and recognise tables that were replaced.

TRUNCATE, a rewriting ALTER, VACUUM FULL and DROP with CREATE give a table a new file, or replace the table. A snapshot
that is older than the new file sees no rows in it. So a snapshot is used only if every relation below the stream has
the same file in the snapshot and now, while all of them are locked.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any

import psycopg
from loguru import logger
from psycopg import sql

from apps.engine.failures import PositionGone
from apps.engine.postgres import Connection, Cursor
from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.connection import read_transaction
from apps.engine.sources.postgres.tables import (
    NoSuchTable,
    Relation,
    TableFacts,
    read_facts,
)
from apps.json import JsonObject

MAX_TRIES = 5  # snapshots that may be older than a table, before the read fails

# The relations that a query of the stream reads: partitions, child tables, and all relations below a view. Rows of
# pg_class are those of the snapshot. The functions return what is true now.
SELECT_FILES = """
WITH RECURSIVE wanted AS (
  SELECT * FROM unnest(%(oids)s::oid[], %(names)s::text[], %(columns)s::text[]) AS wanted (oid, name, columns)
), part (root, oid) AS (
  SELECT oid, oid FROM wanted
  UNION
  SELECT part.root, related.oid FROM part, LATERAL (
    SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = part.oid
    UNION ALL
    SELECT d.refobjid
    FROM pg_class v JOIN pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
    JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
         AND d.refclassid = 'pg_class'::regclass
    WHERE v.oid = part.oid AND v.relkind = 'v'
  ) AS related (oid)
)
SELECT wanted.oid::bigint, c.oid::bigint,
       CASE c.relkind WHEN 'v' THEN hashtext(pg_get_viewdef(c.oid))::bigint ELSE c.relfilenode::bigint END,
       (c.relfilenode = 0 OR c.relfilenode = coalesce(pg_relation_filenode(c.oid), 0))
       AND (c.oid <> wanted.oid OR c.oid = to_regclass(wanted.name)),
       CASE WHEN c.oid = wanted.oid THEN (
         SELECT string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod), ',' ORDER BY a.attnum)
         FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum = ANY(string_to_array(wanted.columns, ' ')::int[])
           AND NOT a.attisdropped) END
FROM wanted JOIN part ON part.root = wanted.oid JOIN pg_class c ON c.oid = part.oid
"""
SELECT_SIZES = "SELECT oid, pg_table_size(oid::oid) FROM unnest(%s::bigint[]) oid"

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


@dataclass(frozen=True)
class LockedTable:
    """A table in an open transaction, which has locked it and all relations below it."""

    cursor: Cursor
    table: Relation
    files: TableFiles
    described: DescribedTable | None = None

    @cached_property
    def size(self) -> int:
        """The size of the table on disk, in bytes. For a view, it is the size of the relations below it."""
        if self.described is not None:
            return self.described.size
        return sum(read_sizes(self.cursor, self.files.files).values())

    def log_how_it_is_read(self, user: str, snapshot_at: str | None, *, is_whole: bool) -> None:
        """Log whether all rows are as of one moment, and whether rows may be hidden from the user."""
        if snapshot_at is not None:
            text = (
                f"Reading {{}} in the snapshot of the run: all rows as they were at {snapshot_at}"
            )
        elif is_whole:
            text = "Reading {} in one snapshot: all rows as they are at this moment"
        else:
            text = "Reading {} page by page: each row that does not change meanwhile arrives once"
        name = self.table.stream_name
        logger.bind(snapshot="whole" if is_whole else "paged").info(text, name)
        if self.facts.has_row_security:
            text = "{} has row security: rows that its policies hide from {} do not arrive"
            logger.warning(text, name, user)

    @property
    def facts(self) -> TableFacts:
        return self.described.facts if self.described else read_facts(self.cursor, [self.table])[0]


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """A table as another process has found it in a snapshot that it still holds, and its size in bytes."""

    table: Relation
    files: TableFiles
    size: int
    facts: TableFacts

    def to_json(self) -> JsonObject:
        files = [[oid, file] for oid, file in self.files.files.items()]
        return {
            "table": self.table.to_json(),
            "files": files,
            "columns": self.files.columns,
            "size": self.size,
            "facts": list(astuple(self.facts)),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> DescribedTable:
        files = TableFiles(dict(value["files"]), value["columns"])
        relation, facts = Relation.from_json(value["table"]), TableFacts(*value["facts"])
        return cls(relation, files, value["size"], facts)


def read_sizes(cursor: Cursor, relations: Collection[int]) -> dict[int, int]:
    """Return the sizes of relations on disk in bytes, by their ids. Those that are gone are left out."""
    rows = cursor.execute(SELECT_SIZES, [list(relations)]).fetchall()
    return {oid: size for oid, size in rows if size is not None}


@contextlib.contextmanager
def lock_described(
    connection: Connection, config: Config, described: DescribedTable, snapshot: str
) -> Iterator[LockedTable]:
    """Open a transaction with the snapshot in which another process has described and locked the table.

    The table is locked before the snapshot is imported. If the import succeeds, the other process still had its lock then, so
    the table is as it was described. Raises NotLocked if this user cannot lock it any more.
    """
    with read_transaction(
        connection, config, snapshot, before=lambda cursor: lock_by_name(cursor, described.table)
    ) as cursor:
        yield LockedTable(cursor, described.table, described.files, described)


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
    return read_files_of_tables(cursor, [table])[table.oid]


def read_files_of_tables(
    cursor: Cursor, tables: Sequence[Relation]
) -> dict[int, TableFiles | None]:
    """Return for each table, by its id, what `read_files` returns. Raises PositionGone if a table does not exist any more."""
    parameters = {
        "oids": [table.oid for table in tables],
        "names": [table.sql.as_string(cursor) for table in tables],
        "columns": [" ".join(str(column.number) for column in table.columns) for table in tables],
    }
    rows: dict[int, list[tuple[Any, ...]]] = {table.oid: [] for table in tables}
    for root, *row in cursor.execute(SELECT_FILES, parameters).fetchall():
        rows[root].append(tuple(row))
    return {table.oid: _files_of(table, rows[table.oid]) for table in tables}


def _files_of(table: Relation, rows: Sequence[tuple[Any, ...]]) -> TableFiles | None:
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
