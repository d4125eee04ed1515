"""The history of saved positions: read the changes of a pipeline's streams, and delete old changes.

`apps.engine.sync.state` and the end of each sync record the changes, in the transaction that changes the position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from apps.engine.contract import MAX_CURSOR
from apps.engine.sync.state import engine_conninfo, transaction

MAX_CHANGES = 1_000  # changes of one stream that are kept
BATCH = 10_000  # changes that one statement deletes


@dataclass(frozen=True, slots=True)
class PositionChange:
    """One change. The positions are JSON, None if there was none. `run_id` or `user_id` says who has changed it.

    A position with more than MAX_CURSOR characters is left out of a list, and `complete` is False then.
    """

    id: UUID
    stream: str
    at: datetime
    cause: str
    run_id: str | None
    user_id: str | None
    before: str | None
    after: str | None
    complete: bool


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes, newest first, and the number of all changes."""

    changes: list[PositionChange]
    count: int


_PAGE = """
select id, stream, at, cause, run_id, user_id,
       case when length(before) <= %(longest)s then before end as before,
       case when length(after) <= %(longest)s then after end as after,
       coalesce(length(before), 0) <= %(longest)s and coalesce(length(after), 0) <= %(longest)s as complete
from engine_position where stream_key like %(pattern)s
order by at desc, id desc offset %(offset)s limit %(limit)s
"""
_COUNT = "select count(*) from engine_position where stream_key like %(pattern)s"
_CHANGE = """
select id, stream, at, cause, run_id, user_id, before, after, true as complete
from engine_position where id = %(id)s and stream_key like %(pattern)s
"""


def read_changes(state_dsn: str, prefix: str, *, offset: int, limit: int) -> ChangePage:
    """Return the changes of the streams whose keys begin with the prefix."""
    parameters = {
        "pattern": f"{prefix}%",  # ids contain no wildcards
        "longest": MAX_CURSOR,
        "offset": offset,
        "limit": limit,
    }
    with psycopg.connect(engine_conninfo(state_dsn)) as connection:
        cursor = connection.cursor(row_factory=class_row(PositionChange))
        changes = cursor.execute(_PAGE, parameters).fetchall()
        row = connection.execute(_COUNT, parameters).fetchone()
    return ChangePage(changes, row[0] if row else 0)


def find_change(state_dsn: str, prefix: str, change_id: UUID) -> PositionChange | None:
    """Return the change with its complete positions, if it belongs to a stream whose key begins with the prefix."""
    with psycopg.connect(engine_conninfo(state_dsn)) as connection:
        cursor = connection.cursor(row_factory=class_row(PositionChange))
        return cursor.execute(_CHANGE, {"id": change_id, "pattern": f"{prefix}%"}).fetchone()


# The times are those of the engine's database, because the clocks of workers may differ. If the job of the run is gone,
# so may be later jobs.
_READ_AGAIN = """
select m.key from unnest(%s::text[], %s::text[]) as m (key, key_of_job)
left join lateral (
    select j.created_at, j.updated_at from stream_jobs j join engine_job e on e.job_id = j.id
    where j.name = m.key_of_job and j.status = 'succeeded' and e.run_id = %s
    order by j.created_at desc limit 1
) published on true
where published.created_at is null or exists (
    select 1 from stream_jobs j join engine_job e on e.job_id = j.id
    where j.name = m.key and j.status = 'succeeded' and e.since_job is null
      and j.created_at > published.created_at
) or exists (
    select 1 from engine_position p
    where p.stream_key = m.key and p.at > published.updated_at at time zone 'utc' and p.cause <> 'run'
)
"""


def read_again(state_dsn: str, run_id: UUID, keys: Mapping[str, str]) -> set[str]:
    """Return the keys of the streams that were read from the beginning after the run, or whose position was changed.

    `keys` has for each stream the key under which the run has published. Streams for which it is unknown are returned.
    """
    if not keys:
        return set()
    parameters = (list(keys), list(keys.values()), str(run_id))
    with psycopg.connect(engine_conninfo(state_dsn)) as connection:
        rows = connection.execute(_READ_AGAIN, parameters).fetchall()
    return {key for (key,) in rows}


def remove_changes(state_dsn: str, days_by_org: Mapping[UUID, int]) -> int:
    """Delete changes that are older than their org keeps them, and all but the newest MAX_CHANGES of each stream.

    Returns the number of deleted changes, at most BATCH of each kind. Call it again for the others.
    """
    with transaction(state_dsn) as connection:
        expired = connection.execute(
            """
            delete from engine_position where id in (
                select p.id from unnest(%s::text[], %s::int[]) as kept (org, days)
                join engine_position p on split_part(p.stream_key, ':', 1) = kept.org
                where p.at < now() - make_interval(days => kept.days) limit %s)
            """,
            ([str(org) for org in days_by_org], list(days_by_org.values()), BATCH),
        ).rowcount
        excess = connection.execute(
            """
            delete from engine_position where id in (
                select id from (
                    select id, row_number() over (partition by stream_key order by at desc) as place
                    from engine_position
                ) ranked where place > %s limit %s)
            """,
            (MAX_CHANGES, BATCH),
        ).rowcount
    return expired + excess
