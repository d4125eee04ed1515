"""The table that records published jobs, so that no job is published twice."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from apps.engine.destinations.postgres.identifiers import (
    BATCHES_TABLE,
    PUBLICATIONS_TABLE,
    TableName,
)
from apps.engine.destinations.postgres.tables import (
    Table,
    find_table,
    read_table,
    select_table,
    table_exists,
)
from apps.engine.postgres import Cursor, fetch_together

CREATE_PUBLICATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS {} (
    job_id text PRIMARY KEY,
    target text NOT NULL,
    rows bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    relid bigint,
    shape text,
    unknown text[] NOT NULL DEFAULT '{{}}',
    owner text
)"""
ADD_OWNER = "ALTER TABLE {} ADD COLUMN IF NOT EXISTS owner text"
SELECT_EXISTING = """
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass({}) AND attname = 'owner' AND NOT attisdropped),
       to_regclass({}) IS NOT NULL, to_regclass({}) IS NOT NULL"""
SELECT_ROWS = "SELECT rows FROM {} WHERE job_id = {}"
SELECT_LAST = "SELECT relid, shape, unknown FROM {} WHERE target = {} ORDER BY at DESC LIMIT 1"
INSERT_PUBLICATION = """
INSERT INTO {} (job_id, target, rows, at, relid, shape, unknown, owner)
VALUES ({}, {}, {}, clock_timestamp(), {}, {}, {}, {})"""
# Three publications are kept: the newest one, which describes the table; the owner's newest one; and the owner's newest
# one with rows, which shows that the table contains rows of the owner.
DELETE_OLDER_PUBLICATIONS = """
DELETE FROM {table} WHERE target = %(target)s AND (owner = %(owner)s OR owner IS NULL)
AND job_id <> coalesce((SELECT job_id FROM {table} WHERE target = %(target)s ORDER BY at DESC LIMIT 1), '')
AND job_id NOT IN (SELECT job_id FROM {table} WHERE target = %(target)s AND owner = %(owner)s
                   ORDER BY at DESC LIMIT 1)
AND job_id NOT IN (SELECT job_id FROM {table} WHERE target = %(target)s AND owner = %(owner)s AND rows > 0
                   ORDER BY at DESC LIMIT 1)"""
# The record of a table is gone with its schema.
HAD_NO_ROWS = "SELECT bool_and(rows = 0) FROM {} WHERE target = %s AND owner = %s"
# The table of an older release has no column `owner`, or no value in it.
IS_WRITTEN_BY = """
SELECT EXISTS (SELECT FROM {} p WHERE target = %s AND coalesce(to_jsonb(p) ->> 'owner', %s) = %s)"""
HAS_ROWS_OF_OTHER_PIPELINES = (
    "SELECT EXISTS (SELECT FROM {} WHERE target = %s AND rows > 0 AND owner <> %s)"
)


@dataclass(frozen=True, slots=True)
class LastPublication:
    """The target's state when a job was last published to it.

    `relid` and `shape` are set if Drover created the table. `unknown_columns` are text columns whose type is unknown,
    because they had no values.
    """

    relid: int | None = None
    shape: str | None = None
    unknown_columns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ExistingTables:
    """Which of Drover's tables exist. `publications` is false for a table of an older release."""

    publications: bool
    batches: bool
    staging: bool


@dataclass(frozen=True, slots=True)
class TargetState:
    """What a job finds in the destination: the rows that it has published itself, the last publication, and the target."""

    published_rows: int | None
    has_publications: bool
    last_publication: LastPublication
    table: Table | None


class Publications:
    """The publications to one table. Every method runs in the cursor's transaction."""

    def __init__(self, target: TableName) -> None:
        self._target = target
        self._table = target.sibling(PUBLICATIONS_TABLE)

    def lock_and_read(self, cursor: Cursor, job_id: str) -> TargetState:
        """Lock the target until the end of the transaction, after other publications to it have finished, and read it."""
        lock = sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))")
        return self.read(cursor, job_id, lock.format(sql.Literal(f"drover:{self._target}")))

    def read(self, cursor: Cursor, job_id: str, *before: sql.Composable) -> TargetState:
        """Read the target and its publications in one request, after other statements. The table must exist."""
        publications = self._table.identifier()
        *_, published, last, rows = fetch_together(
            cursor,
            *before,
            sql.SQL(SELECT_ROWS).format(publications, sql.Literal(job_id)),
            sql.SQL(SELECT_LAST).format(publications, sql.Literal(str(self._target))),
            select_table(self._target),
        )
        return TargetState(
            published_rows=int(published[0][0]) if published else None,
            has_publications=bool(last),
            last_publication=LastPublication(last[0][0], last[0][1], frozenset(last[0][2]))
            if last
            else LastPublication(),
            table=read_table(cursor, self._target, rows),
        )

    def find_existing(self, cursor: Cursor, staging: TableName) -> ExistingTables:
        """Find out by one query which of Drover's tables exist, so that nothing has to be created for each stream."""
        tables = (self._table, self._table.sibling(BATCHES_TABLE), staging)
        names = [sql.Literal(table.identifier().as_string(cursor)) for table in tables]
        [(publications, batches, staged)] = cursor.execute(
            sql.SQL(SELECT_EXISTING).format(*names)
        ).fetchall()
        return ExistingTables(publications=publications, batches=batches, staging=staged)

    def create_table(self, cursor: Cursor) -> None:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"drover:{self._table}",)
        )
        table = find_table(cursor, self._table)
        if table is None:
            cursor.execute(sql.SQL(CREATE_PUBLICATIONS_TABLE).format(self._table.identifier()))
        elif "owner" not in table.columns:  # The table was created by an older release.
            cursor.execute(sql.SQL(ADD_OWNER).format(self._table.identifier()))

    def has_published(self, cursor: Cursor, job_id: str) -> bool:
        """Whether the job has published to this table."""
        if not table_exists(cursor, self._table):
            return False
        query = sql.SQL("SELECT FROM {} WHERE job_id = %s AND target = %s")
        cursor.execute(query.format(self._table.identifier()), (job_id, str(self._target)))
        return cursor.fetchone() is not None

    def is_written_by(self, cursor: Cursor, owner: str) -> bool:
        """Whether the pipeline `owner` has published to this table."""
        if not table_exists(cursor, self._table):
            return False
        query = sql.SQL(IS_WRITTEN_BY).format(self._table.identifier())
        row = cursor.execute(query, (str(self._target), owner, owner)).fetchone()
        return bool(row and row[0])

    def delete_older(self, cursor: Cursor, owner: str) -> None:
        """Delete the records of older publications to the target by the owner, or by no recorded owner."""
        query = sql.SQL(DELETE_OLDER_PUBLICATIONS).format(table=self._table.identifier())
        cursor.execute(query, {"target": str(self._target), "owner": owner})

    def had_no_rows(self, cursor: Cursor, owner: str) -> bool:
        """Whether the pipeline `owner` has published to the table without rows, so that there may be no table."""
        query = sql.SQL(HAD_NO_ROWS).format(self._table.identifier())
        row = cursor.execute(query, (str(self._target), owner)).fetchone()
        return bool(row and row[0])

    def has_rows_of_other_pipelines(self, cursor: Cursor, owner: str) -> bool:
        """Whether a pipeline other than `owner` has written rows to the target."""
        query = sql.SQL(HAS_ROWS_OF_OTHER_PIPELINES).format(self._table.identifier())
        row = cursor.execute(query, (str(self._target), owner)).fetchone()
        return bool(row and row[0])

    def record(
        self,
        cursor: Cursor,
        *,
        job_id: str,
        rows: int,
        created_table: Table | None,
        unknown_columns: set[str],
        owner: str,
    ) -> None:
        """Record the job. `created_table` is the target if Drover created the table."""
        oid, shape = (
            (created_table.oid, table_shape(created_table)) if created_table else (None, None)
        )
        values = (job_id, str(self._target), rows, oid, shape, sorted(unknown_columns), owner)
        record = sql.SQL(INSERT_PUBLICATION)
        cursor.execute(record.format(self._table.identifier(), *map(sql.Literal, values)))


def lock_job(staging: TableName) -> sql.Composed:
    """Return the statement that locks a job until the end of the transaction, so that only one attempt writes its rows.

    A transaction of an earlier attempt that stages and publishes at once has ended then, so what it has done is known.
    """
    return sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(
        sql.Literal(f"drover:{staging}")
    )


def table_shape(table: Table) -> str:
    """Return the columns and their types, to detect changes made outside Drover."""
    return "\n".join(f"{name} {column.type}" for name, column in table.columns.items())
