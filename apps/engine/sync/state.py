"""The state of the engine in PostgreSQL: install its schema `engine`, and read and reset the state of a stream.

Four tables are bizon's (jobs, two kinds of cursors, and resets), with additional indexes and 64-bit counters. Four
tables are ours: the owner of each stream (`engine_stream`), the data to resume a job (`engine_job`), the committed
batches (`engine_batch`, the manifest) and the changes of the saved positions (`engine_position`). This module needs
only psycopg, so the web process can use it without loading the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, TypedDict

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import class_row

from apps.json import JsonObject

SCHEMA = "engine"
_INSTALL_LOCK = 0x64726F7665725F65  # "drover_e" as a number; concurrent installations lock it

_TABLES = """
create schema if not exists engine;
revoke all on schema engine from public;

create table if not exists engine.stream_jobs (
    id text primary key,
    name text not null,
    source_name text not null,
    stream_name text not null,
    sync_mode text not null,
    attempt bigint default 0,
    total_records_to_fetch bigint,
    created_at timestamp not null,
    updated_at timestamp,
    incremental_state text,
    status text,
    error_message text
);
create unique index if not exists stream_jobs_one_live
    on engine.stream_jobs (name) where status in ('started', 'running');
create index if not exists stream_jobs_latest
    on engine.stream_jobs (name, source_name, stream_name, status, created_at desc);

create index if not exists stream_jobs_by_pipeline on engine.stream_jobs (name text_pattern_ops);

create table if not exists engine.source_cursors (
    id text primary key,
    job_id text references engine.stream_jobs (id) on delete cascade,
    name text not null,
    source_name text not null,
    stream_name text not null,
    iteration bigint,
    rows_fetched bigint,
    next_pagination text,
    attempt bigint default 0,
    status text,
    error_message text,
    created_at timestamp,
    updated_at timestamp
);
create index if not exists source_cursors_by_job on engine.source_cursors (job_id, iteration);

create table if not exists engine.destination_cursors (
    id text primary key,
    job_id text references engine.stream_jobs (id) on delete cascade,
    name text not null,
    source_name text not null,
    stream_name text not null,
    destination_name text not null,
    from_source_iteration bigint default 0,
    to_source_iteration bigint default 0,
    rows_written bigint default 0,
    success boolean not null,
    attempt bigint default 0,
    error_message text,
    created_at timestamp,
    updated_at timestamp,
    pagination text
);
create unique index if not exists destination_cursors_once
    on engine.destination_cursors (job_id, to_source_iteration) where success;

create table if not exists engine.stream_resets (
    id text primary key,
    name text not null,
    source_name text not null,
    stream_name text not null,
    requested_at timestamp not null,
    consumed_at timestamp,
    consumed_by_job_id text
);
create index if not exists stream_resets_pending
    on engine.stream_resets (name) where consumed_at is null;
create index if not exists stream_resets_by_name on engine.stream_resets (name);
create index if not exists stream_resets_by_job on engine.stream_resets (consumed_by_job_id);

create table if not exists engine.engine_stream (
    stream_key text primary key,
    lease text,
    run_id text not null,
    attempt bigint not null,
    taken_at timestamptz not null default now()
);

create table if not exists engine.engine_job (
    job_id text primary key references engine.stream_jobs (id) on delete cascade,
    fingerprint text not null,
    destination text not null,
    replaces boolean not null,
    since_job text,
    columns jsonb,
    next_state jsonb,
    swept boolean not null default false
);
alter table engine.engine_job add column if not exists run_id text;  -- the last run that worked on it
-- The code, key and cursor field of the job (`StreamInputs`); null for jobs of older releases.
alter table engine.engine_job add column if not exists inputs jsonb;

create table if not exists engine.engine_batch (
    id text primary key,
    job_id text not null references engine.stream_jobs (id) on delete cascade,
    first bigint not null,
    last bigint not null,
    rows bigint not null,
    rejected bigint not null,
    bytes bigint not null,
    staged boolean not null,
    committed_at timestamptz not null default now(),
    unique (job_id, first),
    check (first <= last and rows >= 0 and rejected >= 0 and bytes >= 0)
);
alter table engine.engine_batch add column if not exists
    skipped bigint not null default 0 check (skipped >= 0);

-- Each change of a stream's saved position: by a run, or by a person (`user_id`).
create table if not exists engine.engine_position (
    id uuid primary key default gen_random_uuid(),
    stream_key text not null,
    stream text not null,
    at timestamptz not null default clock_timestamp(),
    cause text not null check (cause in ('run', 'edit', 'reset', 'restore')),
    run_id text,
    user_id text,
    before text,
    after text
);
create index if not exists engine_position_newest
    on engine.engine_position (stream_key text_pattern_ops, at desc);
create index if not exists engine_position_by_org
    on engine.engine_position (split_part(stream_key, ':', 1), at);
"""

# The saved position of the stream {key}: null after a reset, until a sync of the stream has succeeded.
_SAVED_POSITION = """
(select s.incremental_state from stream_jobs s
 where s.name = {key} and s.status = 'succeeded'
   and not exists (
       select 1 from stream_resets r left join stream_jobs o on o.id = r.consumed_by_job_id
       where r.name = {key} and (r.consumed_at is null or o.status in ('started', 'running')))
 order by s.created_at desc limit 1)
"""
_RECORD_CHANGE = f"""
insert into engine_position (stream_key, stream, cause, user_id, before, after)
select %(key)s, j.stream_name, %(cause)s, %(user)s, {_SAVED_POSITION.format(key="%(key)s")}, %(after)s
from stream_jobs j where j.name = %(key)s order by j.created_at desc limit 1
"""  # noqa: S608 - constants

# The keys of older releases had no digest of the stream (`contract.stream_digest`), because a pipeline had one stream.
_ADD_DIGEST = """
update engine.{table}
   set name = name || ':' || left(encode(sha256(convert_to(stream_name, 'UTF8')), 'hex'), 26)
where name ~ '^[^:]+:[^:]+$'
"""
_TABLES_WITH_KEYS = ("stream_jobs", "source_cursors", "destination_cursors", "stream_resets")
_FORGET_OLD_OWNERS = "delete from engine.engine_stream where stream_key ~ '^[^:]+:[^:]+$'"

_GRANTS = """
grant usage on schema engine to {role};
grant select, insert, update, delete on all tables in schema engine to {role};
"""


def install(owner_dsn: str, *, role: str) -> None:
    """Create or complete the schema as its owner, and give `role` the right to read and write it.

    `role` must exist. The function may be called again, even by several processes at the same time.
    """
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (_INSTALL_LOCK,))
        connection.execute("set local client_min_messages = warning")
        connection.execute(_TABLES)
        for table in _TABLES_WITH_KEYS:
            connection.execute(sql.SQL(_ADD_DIGEST).format(table=sql.Identifier(table)))
        connection.execute(_FORGET_OLD_OWNERS)
        connection.execute(sql.SQL(_GRANTS).format(role=sql.Identifier(role)))


@lru_cache(maxsize=8)
def engine_conninfo(dsn: str, *, settings: str = "") -> str:
    """Return the connection string with the search path of the engine and a connect timeout.

    `settings` are additional settings of the session, in the form `-c name=value`.
    """
    parameters = conninfo_to_dict(dsn)
    options = f"{parameters.get('options') or ''} -c search_path={SCHEMA} {settings}".strip()
    return make_conninfo(
        dsn,
        options=options,
        connect_timeout=str(parameters.get("connect_timeout") or 10),
        application_name="drover-engine",
    )


@dataclass(frozen=True, slots=True)
class StreamState:
    """The newest job of a stream. Times are in UTC, without a time zone, as bizon stores them."""

    stream_key: str
    job_id: str
    run_id: str | None  # the last run that worked on it
    source: str
    stream: str
    sync_mode: str
    status: str
    attempts: int
    created_at: datetime
    updated_at: datetime | None
    incremental_state: str | None  # of this job
    position: str | None  # from which the next incremental sync continues; None after a reset
    next_pagination: str | None
    batches: int
    written: int
    rejected: int
    skipped: int
    bytes: int


_NEWEST_JOBS = f"""
select wanted.stream_key, j.id as job_id, e.run_id, j.source_name as source, j.stream_name as stream, j.sync_mode, j.status,
       j.attempt as attempts, j.created_at, j.updated_at, j.incremental_state,
       {_SAVED_POSITION.format(key="wanted.stream_key")} as position,
       (select c.pagination from destination_cursors c
         where c.job_id = j.id and c.success order by c.to_source_iteration desc limit 1)
         as next_pagination,
       m.batches, m.written::bigint as written, m.rejected::bigint as rejected,
       m.skipped::bigint as skipped, m.bytes::bigint as bytes
from unnest(%s::text[]) as wanted (stream_key)
cross join lateral (
    select * from stream_jobs where name = wanted.stream_key order by created_at desc limit 1
) j
left join engine_job e on e.job_id = j.id
cross join lateral (
    select count(*) as batches, coalesce(sum(rows), 0) as written,
           coalesce(sum(b.rejected), 0) as rejected, coalesce(sum(b.skipped), 0) as skipped,
           coalesce(sum(b.bytes), 0) as bytes
    from engine_batch b where b.job_id = j.id
) m
"""  # noqa: S608 - constants


def read_states(state_dsn: str, stream_keys: Sequence[str]) -> dict[str, StreamState]:
    """Return the newest job of each stream, by key. A stream that never ran is missing."""
    with psycopg.connect(engine_conninfo(state_dsn)) as connection:
        cursor = connection.cursor(row_factory=class_row(StreamState))
        rows = cursor.execute(_NEWEST_JOBS, (list(stream_keys),)).fetchall()
    return {row.stream_key: row for row in rows}


def read_state(state_dsn: str, stream_key: str) -> StreamState | None:
    """Return the newest job of the stream, or None if the stream never ran."""
    return read_states(state_dsn, [stream_key]).get(stream_key)


class PublishedColumns(TypedDict):
    """The columns of the newest finished sync of a stream, and its `StreamInputs`, both as JSON."""

    columns: JsonObject
    inputs: JsonObject | None


# A pending reset decides the columns anew, and so does a sync to another table.
_PUBLISHED_COLUMNS = """
select e.columns, e.inputs from (
    select id from stream_jobs where name = %(key)s and status = 'succeeded'
    order by created_at desc limit 1
) newest join engine_job e on e.job_id = newest.id
where e.destination = %(place)s and e.columns is not null and not exists (
    select 1 from stream_resets where name = %(key)s and consumed_at is null)
"""


def read_published_columns(
    state_dsn: str, stream_key: str, *, place: str
) -> PublishedColumns | None:
    """Return what the newest finished sync has published to the table `place`, None if the next run decides anew."""
    with psycopg.connect(engine_conninfo(state_dsn)) as connection:
        row = connection.execute(_PUBLISHED_COLUMNS, {"key": stream_key, "place": place}).fetchone()
    return {"columns": row[0], "inputs": row[1]} if row else None


def reset(state_dsn: str, stream_key: str, *, user_id: str | None = None) -> bool:
    """Request a reset of the stream: its next run reads everything again and replaces all published rows.

    A running attempt loses its lease and stops at its next checkpoint. Returns False if the stream never ran.
    `user_id` is the person who has requested it.
    """
    with transaction(state_dsn) as connection:
        connection.execute(
            "update engine_stream set lease = null where stream_key = %s", (stream_key,)
        )
        newest_job = connection.execute(
            "select source_name, stream_name from stream_jobs where name = %s"
            " order by created_at desc limit 1",
            (stream_key,),
        ).fetchone()
        if newest_job is None:
            return False
        if connection.execute(_PENDING_RESET, (stream_key,)).fetchone() is not None:
            return True
        _record_change(connection, stream_key, "reset", user_id=user_id, after=None)
        connection.execute(
            "insert into stream_resets (id, name, source_name, stream_name, requested_at)"
            " select replace(gen_random_uuid()::text, '-', ''), %s, %s, %s,"
            " now() at time zone 'utc'",
            (stream_key, *newest_job),
        )
    return True


_PENDING_RESET = "select 1 from stream_resets where name = %s and consumed_at is null limit 1"


def continue_from(
    state_dsn: str,
    stream_key: str,
    position: str,
    *,
    cause: Literal["edit", "restore"] = "edit",
    user_id: str | None = None,
) -> bool:
    """Make the next incremental sync continue from `position` (JSON), and delete a pending reset.

    Returns False if no sync of the stream has succeeded. An unfinished sync is cancelled, because it would continue
    from the old position. `cause` and `user_id` are for the history of the position.
    """
    with transaction(state_dsn) as connection:
        _record_change(connection, stream_key, cause, user_id=user_id, after=position)
        changed_jobs = connection.execute(
            "update stream_jobs set incremental_state = %s"  # `updated_at` is the time of the sync.
            " where id = (select id from stream_jobs where name = %s and status = 'succeeded'"
            "             order by created_at desc limit 1)",
            (position, stream_key),
        ).rowcount
        if not changed_jobs:
            connection.rollback()
            return False
        connection.execute(
            "delete from stream_resets where name = %s and consumed_at is null", (stream_key,)
        )
        connection.execute(
            "update stream_jobs set status = 'cancelled', updated_at = now() at time zone 'utc'"
            " where name = %s and status in ('started', 'running')",
            (stream_key,),
        )
    return True


def _record_change(
    connection: psycopg.Connection[Any],
    stream_key: str,
    cause: str,
    *,
    user_id: str | None,
    after: str | None,
) -> None:
    connection.execute(
        _RECORD_CHANGE, {"key": stream_key, "cause": cause, "user": user_id, "after": after}
    )


def delete_states(state_dsn: str, prefix: str) -> None:
    """Delete all state of the streams whose keys begin with the prefix: of a pipeline or an org that was deleted."""
    pattern = (f"{prefix}%",)  # ids contain no wildcards
    with transaction(state_dsn) as connection:
        connection.execute("delete from engine_stream where stream_key like %s", pattern)
        connection.execute("delete from stream_resets where name like %s", pattern)
        connection.execute("delete from stream_jobs where name like %s", pattern)
        connection.execute("delete from engine_position where stream_key like %s", pattern)


def prune(state_dsn: str, *, keep_jobs: int = 20, keep_days: int = 30) -> int:
    """Delete finished jobs older than `keep_days`, except the newest `keep_jobs` of each stream and status.

    Returns the number of deleted jobs.
    """
    with transaction(state_dsn) as connection:
        return connection.execute(
            """
            delete from stream_jobs where id in (
                select id from (
                    select id, status, created_at, row_number() over
                           (partition by name, status order by created_at desc) as place
                    from stream_jobs where status in ('succeeded', 'cancelled', 'failed')
                ) ranked
                where place > %s and created_at < now() at time zone 'utc' - make_interval(days => %s)
            )
            """,
            (keep_jobs, keep_days),
        ).rowcount


@contextmanager
def transaction(state_dsn: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(engine_conninfo(state_dsn)) as connection:
        yield connection
