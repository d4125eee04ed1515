"""The table that records published jobs, so that no job is published twice."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from apps.engine.destinations.postgres.identifiers import PUBLICATIONS, TableName
from apps.engine.destinations.postgres.tables import Table, look
from apps.engine.postgres import Cursor

MAKE = """
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
COMPLETE = "ALTER TABLE {} ADD COLUMN IF NOT EXISTS owner text"
LAST = "SELECT relid, shape, unknown FROM {} WHERE target = %s ORDER BY at DESC LIMIT 1"
RECORD = """
INSERT INTO {} (job_id, target, rows, at, relid, shape, unknown, owner)
VALUES (%s, %s, %s, clock_timestamp(), %s, %s, %s, %s)"""
# Keep the newest publication, which describes the table, and the owner's newest one with rows, which shows that the
# table contains some of its rows.
FORGET = """
DELETE FROM {table} WHERE target = %(target)s AND (owner = %(owner)s OR owner IS NULL)
AND job_id <> coalesce((SELECT job_id FROM {table} WHERE target = %(target)s ORDER BY at DESC LIMIT 1), '')
AND job_id NOT IN (SELECT job_id FROM {table} WHERE target = %(target)s AND owner = %(owner)s
                   ORDER BY at DESC LIMIT 1)
AND job_id NOT IN (SELECT job_id FROM {table} WHERE target = %(target)s AND owner = %(owner)s AND rows > 0
                   ORDER BY at DESC LIMIT 1)"""
OTHERS = "SELECT EXISTS (SELECT FROM {} WHERE target = %s AND rows > 0 AND owner <> %s)"


@dataclass(frozen=True, slots=True)
class LastPublication:
    """The target's state when a job was last published to it.

    `relid` and `shape` are set if Drover created the table; `unknown` lists the columns that are text only
    because they had no values.
    """

    relid: int | None = None
    shape: str | None = None
    unknown: frozenset[str] = frozenset()


class Publications:
    """The publications of one schema. Every method runs in the cursor's transaction."""

    def __init__(self, target: TableName) -> None:
        self._target = target
        self._table = target.beside(PUBLICATIONS)

    def lock(self, cursor: Cursor) -> None:
        """Wait for other publications to the same target. Holds the lock until the end of the transaction."""
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"drover:{self._target}",)
        )

    def make(self, cursor: Cursor) -> None:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"drover:{self._table}",)
        )
        found = look(cursor, self._table)
        if found is None:
            cursor.execute(sql.SQL(MAKE).format(self._table.quoted()))
        elif "owner" not in found.columns:  # The table was created by an older release.
            cursor.execute(sql.SQL(COMPLETE).format(self._table.quoted()))

    def rows(self, cursor: Cursor, job_id: str) -> int | None:
        """Return the number of rows that the job published, or None if it has not been published."""
        if look(cursor, self._table) is None:
            return None
        query = sql.SQL("SELECT rows FROM {} WHERE job_id = %s").format(self._table.quoted())
        found = cursor.execute(query, (job_id,)).fetchone()
        return int(found[0]) if found else None

    def last(self, cursor: Cursor) -> LastPublication:
        query = sql.SQL(LAST).format(self._table.quoted())
        found = cursor.execute(query, (str(self._target),)).fetchone()
        return (
            LastPublication(found[0], found[1], frozenset(found[2])) if found else LastPublication()
        )

    def forget_older(self, cursor: Cursor, owner: str) -> None:
        """Delete the owner's older publications to the target, which are not needed any more."""
        query = sql.SQL(FORGET).format(table=self._table.quoted())
        cursor.execute(query, {"target": str(self._target), "owner": owner})

    def others_published(self, cursor: Cursor, owner: str) -> bool:
        """Whether a pipeline other than `owner` has written rows to the target."""
        query = sql.SQL(OTHERS).format(self._table.quoted())
        found = cursor.execute(query, (str(self._target), owner)).fetchone()
        return bool(found and found[0])

    def record(
        self,
        cursor: Cursor,
        *,
        job_id: str,
        rows: int,
        made: Table | None,
        unknown: set[str],
        owner: str,
    ) -> None:
        """Record the job; `made` is the target if Drover created the table."""
        oid, shape = (made.oid, shape_of(made)) if made else (None, None)
        cursor.execute(
            sql.SQL(RECORD).format(self._table.quoted()),
            (job_id, str(self._target), rows, oid, shape, sorted(unknown), owner),
        )


def shape_of(table: Table) -> str:
    """Return the columns and their types, to detect changes made outside Drover."""
    return "\n".join(f"{name} {column.type}" for name, column in table.columns.items())
