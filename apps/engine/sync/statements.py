"""The SQL statements for the stream that a run syncs. `StateBackend` passes the stream's key and lease to each.

The jobs of older releases have another digest of the destination. `destinations` has both.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from apps.engine.sync.identity import StreamIdentity
from apps.engine.sync.jobs import StreamLease

# Becomes the owner of the stream, and tries to lock it. Returns no row if a later attempt of the run owns it.
TAKE_STREAM = """
with taken as (
    insert into engine_stream as mine (stream_key, lease, run_id, attempt)
    values (%(key)s, %(lease)s, %(run_id)s, %(attempt)s)
    on conflict (stream_key) do update
       set lease = excluded.lease, run_id = excluded.run_id, attempt = excluded.attempt, taken_at = now()
       where not (mine.run_id = excluded.run_id and mine.attempt > excluded.attempt)
    returning 1
)
select pg_try_advisory_lock(hashtextextended(%(key)s, 0)) as locked from taken
"""

TRY_LOCK = "select pg_try_advisory_lock(hashtextextended(%(key)s, 0)) as locked"

DISCONNECT_HOLDERS = """
select pg_terminate_backend(pid) from pg_locks
where locktype = 'advisory' and objsubid = 1 and granted and pid <> pg_backend_pid()
  and ((classid::bigint << 32) | objid::bigint) = hashtextextended(%(key)s, 0)
  and database = (select oid from pg_database where datname = current_database())
"""

CURRENT_LEASE = "select lease from engine_stream where stream_key = %(key)s"

LOCK_OWN_STREAM = (
    "select 1 from engine_stream where stream_key = %(key)s and lease = %(lease)s for update"
)

UNFINISHED_JOB = """
select j.id, e.fingerprint, e.run_id, e.inputs,
       exists (select 1 from stream_resets r where r.consumed_by_job_id = j.id) as is_reset
from stream_jobs j left join engine_job e on e.job_id = j.id
where j.name = %(key)s and j.status in ('started', 'running')
"""

PENDING_RESET = "select 1 from stream_resets where name = %(key)s and consumed_at is null limit 1"

# The newest finished job, if this run finished it. The worker then died before it recorded the run's success.
JOB_FINISHED_BY_RUN = """
select newest.id, e.run_id, e.inputs from (
    select id from stream_jobs where name = %(key)s and status = 'succeeded'
    order by created_at desc limit 1
) newest join engine_job e on e.job_id = newest.id
where e.run_id = %(run_id)s and e.destination = any(%(destinations)s)
"""

# The newest finished job of the stream, if its destination has other settings.
JOB_ELSEWHERE = """
select newest.id from (
    select id from stream_jobs where name = %(columns_key)s and status = 'succeeded'
    order by created_at desc limit 1
) newest join engine_job e on e.job_id = newest.id
where e.destination <> all(%(columns_destinations)s)
"""

# Cancelled jobs whose staged rows were not deleted yet. A job is "swept" when they are deleted.
UNSWEPT_JOBS = """
select j.id from stream_jobs j join engine_job e on e.job_id = j.id
where j.name = %(key)s and j.status = 'cancelled' and not e.swept
  and e.destination = any(%(destinations)s)
"""

# The finished job of the records of a run that are sent again once, whichever run has finished it.
JOB_DONE_ONCE = """
select j.id, e.run_id, e.inputs from stream_jobs j join engine_job e on e.job_id = j.id
where j.name = %(key)s and j.status = 'succeeded' and e.inputs ->> 'replayed_run' = %(replayed_run)s
limit 1
"""

# What is known about the stream when it is taken, in one row. Nobody else changes it from then on, except a reset, which
# takes the lease away, and a person who edits the position.
READ_STREAM = f"""
select exists ({UNFINISHED_JOB}) as has_unfinished_job,
       exists ({PENDING_RESET}) as has_reset,
       (select to_jsonb(job) from ({JOB_FINISHED_BY_RUN}) job) as finished_job,
       (select id from ({JOB_ELSEWHERE}) job) as job_elsewhere,
       exists ({UNSWEPT_JOBS}) as has_cancelled_jobs
"""  # noqa: S608 - constants
READ_STREAM_DONE_ONCE = READ_STREAM.replace(JOB_FINISHED_BY_RUN, JOB_DONE_ONCE)

RESUME_JOB = """
with job as (
    update engine_job set run_id = %(run_id)s,
        inputs = jsonb_set(inputs, '{snapshot_at}', coalesce(to_jsonb(%(snapshot_at)s::text), 'null'))
    where job_id = %(job)s
)
update stream_jobs set status = 'running', attempt = attempt + 1, updated_at = now() at time zone 'utc'
where id = %(job)s
"""

CANCEL_JOB = """
update stream_jobs set status = 'cancelled', updated_at = now() at time zone 'utc'
where id = %(job)s
"""

# The job from whose state an incremental job continues. It is always the newest job, because the destination
# contains what the newest job published.
PREVIOUS_JOB = """
select newest.id, newest.sync_mode, e.inputs from (
    select id, source_name, stream_name, sync_mode, incremental_state, created_at from stream_jobs
    where name = %(key)s and status = 'succeeded' order by created_at desc limit 1
) newest left join engine_job e on e.job_id = newest.id
where source_name = %(source)s and stream_name = %(stream)s
  and (sync_mode = 'incremental' or incremental_state is not null)
  and not exists (
    -- Another stream of the pipeline has published to the destination since then, so its data is not this stream's.
    select 1 from stream_jobs other join engine_job o on o.job_id = other.id
    where other.name like %(pattern)s and other.name <> %(key)s and other.status = 'succeeded'
      and o.destination = any(%(destinations)s) and other.created_at > newest.created_at
  )
"""

# Whether an earlier job of the pipeline published to the same destination, so that its data may be replaced.
PUBLISHED_HERE_BEFORE = """
select 1 from stream_jobs j join engine_job e on e.job_id = j.id
where j.name like %(pattern)s and j.status = 'succeeded' and e.destination = any(%(destinations)s)
limit 1
"""

CREATE_JOB = """
with mine as (
    select 1 from engine_stream where stream_key = %(key)s and lease = %(lease)s for update
), job as (
    insert into stream_jobs (id, name, source_name, stream_name, sync_mode, status, attempt, created_at)
    select %(job)s, %(key)s, %(source)s, %(stream)s, %(mode)s, 'running', 1, now() at time zone 'utc' from mine
    returning id, created_at
), details as (
    insert into engine_job (job_id, run_id, fingerprint, destination, inputs, replaces, since_job, columns)
    select id, %(run_id)s, %(fingerprint)s, %(destination)s, %(inputs)s::jsonb, %(replaces)s, %(since)s,
           %(columns)s::jsonb
    from job
)
select created_at from job
"""

# The columns that the newest finished job of the stream has published to the same destination.
NEWEST_COLUMNS = """
select e.columns, e.inputs from (
    select id, source_name, stream_name from stream_jobs
    where name = %(columns_key)s and status = 'succeeded' order by created_at desc limit 1
) newest join engine_job e on e.job_id = newest.id
where source_name = %(source)s and stream_name = %(stream)s
  and e.destination = any(%(columns_destinations)s)
"""

# Link the requested reset to the job that performs it, so that a crash does not lose the request.
LINK_RESET_TO_JOB = """
update stream_resets set consumed_at = now() at time zone 'utc', consumed_by_job_id = %(job)s
where name = %(key)s and consumed_at is null returning id
"""

REPEAT_RESET = """
insert into stream_resets
       (id, name, source_name, stream_name, requested_at, consumed_at, consumed_by_job_id)
values (%(reset)s, %(key)s, %(source)s, %(stream)s,
        now() at time zone 'utc', now() at time zone 'utc', %(job)s)
"""

JOB_DETAILS = """
select j.created_at, j.total_records_to_fetch, e.replaces, e.since_job, e.columns, e.inputs,
       c.to_source_iteration as last, c.pagination
from stream_jobs j
join engine_job e on e.job_id = j.id
left join lateral (
    select to_source_iteration, pagination from destination_cursors
    where job_id = j.id and success order by to_source_iteration desc limit 1
) c on true
where j.id = %(job)s
"""

JOB_BATCHES = """
select id, first, last, rows, rejected, skipped, bytes, staged from engine_batch
where job_id = %(job)s order by first
"""

JOB_POSITION = "select created_at, incremental_state from stream_jobs where id = %(job)s"

COMMIT_BATCH = """
with mine as (
    select 1 from engine_stream where stream_key = %(key)s and lease = %(lease)s for update
), batch as (
    insert into engine_batch (id, job_id, first, last, rows, rejected, skipped, bytes, staged)
    select %(id)s, %(job)s, %(first)s, %(last)s, %(rows)s, %(rejected)s, %(skipped)s, %(bytes)s, %(staged)s
    from mine
), job as (
    update engine_job
       set columns = coalesce(%(columns)s::jsonb, columns),
           next_state = coalesce(%(state)s::jsonb, next_state)
    where job_id = %(job)s and exists (select 1 from mine)
), total as (
    update stream_jobs set total_records_to_fetch = %(total)s::bigint
    where id = %(job)s and exists (select 1 from mine)
      and total_records_to_fetch is distinct from %(total)s::bigint
)
insert into destination_cursors
       (id, job_id, name, source_name, stream_name, destination_name, from_source_iteration,
        to_source_iteration, rows_written, success, created_at, pagination)
select %(cursor)s, %(job)s, %(key)s, %(source)s, %(stream)s, %(kind)s, %(first)s,
       %(last)s, %(rows)s, true, now() at time zone 'utc', %(pagination)s
from mine
returning 1
"""

# Finishes the job once. A job that is finished keeps the position that a person may have changed since then.
FINISH_JOB = """
with mine as (
    select 1 from engine_stream where stream_key = %(key)s and lease = %(lease)s for update
), finished as (
    update stream_jobs j
       set status = 'succeeded', updated_at = now() at time zone 'utc',
           incremental_state = coalesce(e.next_state::text,
               (select p.incremental_state from stream_jobs p where p.id = e.since_job))
    from engine_job e, mine where e.job_id = j.id and j.id = %(job)s and j.status <> 'succeeded'
    returning j.incremental_state, e.since_job
), change as (
    insert into engine_position (stream_key, stream, cause, run_id, before, after)
    select %(key)s, %(stream)s, 'run', %(run_id)s, p.incremental_state, f.incremental_state
    from finished f left join stream_jobs p on p.id = f.since_job
    where p.incremental_state is distinct from f.incremental_state
)
select incremental_state from finished
"""

DELETE_BATCHES = "delete from engine_batch where job_id = %(job)s"

MARK_SWEPT = "update engine_job set swept = true where job_id = %(job)s"


def parameters_of(identity: StreamIdentity, lease: StreamLease) -> dict[str, Any]:
    """Return the parameters of all statements."""
    destinations = [identity.destination, identity.destination_settings]
    return {
        "key": identity.key,
        "pattern": f"{identity.pipeline_prefix}%",  # ids contain no wildcards
        "lease": lease.token,
        "run_id": lease.run_id,
        "attempt": lease.attempt,
        "source": identity.source,
        "stream": identity.stream,
        "mode": identity.sync_mode,
        "kind": identity.destination_kind,
        "destination": identity.destination,
        "destinations": destinations,
        "columns_key": identity.columns_key or identity.key,
        "columns_destinations": [*identity.columns_destinations] or destinations,
        "fingerprint": identity.fingerprint,
        "replayed_run": identity.inputs.replayed_run,
        "inputs": json.dumps(asdict(identity.inputs)),
    }
