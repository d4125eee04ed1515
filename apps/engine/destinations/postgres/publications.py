"""The table that records published jobs, so that no job is published twice."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from apps.engine.destinations.postgres.identifiers import PUBLICATIONS_TABLE, TableName
from apps.engine.destinations.postgres.tables import Table, find_table, table_exists
from apps.engine.postgres import Cursor

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
SELECT_LAST = "SELECT relid, shape, unknown FROM {} WHERE target = %s ORDER BY at DESC LIMIT 1"
INSERT_PUBLICATION = """
INSERT INTO {} (job_id, target, rows, at, relid, shape, unknown, owner)
VALUES (%s, %s, %s, clock_timestamp(), %s, %s, %s, %s)"""
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


class Publications:
    """The publications to one table. Every method runs in the cursor's transaction."""

    def __init__(self, target: TableName) -> None:
        self._target = target
        self._table = target.sibling(PUBLICATIONS_TABLE)

    def lock(self, cursor: Cursor) -> None:
        """Lock the target until the end of the transaction, after other publications to it have finished."""
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"drover:{self._target}",)
        )

    def create_table(self, cursor: Cursor) -> None:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"drover:{self._table}",)
        )
        table = find_table(cursor, self._table)
        if table is None:
            cursor.execute(sql.SQL(CREATE_PUBLICATIONS_TABLE).format(self._table.identifier()))
        elif "owner" not in table.columns:  # The table was created by an older release.
            cursor.execute(sql.SQL(ADD_OWNER).format(self._table.identifier()))

    def published_row_count(self, cursor: Cursor, job_id: str) -> int | None:
        """Return the number of rows that the job published, or None if it has not been published."""
        if not table_exists(cursor, self._table):
            return None
        query = sql.SQL("SELECT rows FROM {} WHERE job_id = %s").format(self._table.identifier())
        row = cursor.execute(query, (job_id,)).fetchone()
        return int(row[0]) if row else None

    def has_published(self, cursor: Cursor, job_id: str) -> bool:
        """Whether the job has published to this table."""
        if not table_exists(cursor, self._table):
            return False
        query = sql.SQL("SELECT FROM {} WHERE job_id = %s AND target = %s")
        cursor.execute(query.format(self._table.identifier()), (job_id, str(self._target)))
        return cursor.fetchone() is not None

    def last_publication(self, cursor: Cursor) -> LastPublication:
        """Return the last publication to the target; it has no values if nothing was published."""
        query = sql.SQL(SELECT_LAST).format(self._table.identifier())
        row = cursor.execute(query, (str(self._target),)).fetchone()
        return LastPublication(row[0], row[1], frozenset(row[2])) if row else LastPublication()

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
        cursor.execute(
            sql.SQL(INSERT_PUBLICATION).format(self._table.identifier()),
            (job_id, str(self._target), rows, oid, shape, sorted(unknown_columns), owner),
        )


def table_shape(table: Table) -> str:
    """Return the columns and their types, to detect changes made outside Drover."""
    return "\n".join(f"{name} {column.type}" for name, column in table.columns.items())
