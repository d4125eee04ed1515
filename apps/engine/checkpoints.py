"""Jobs, leases and checkpoints of one stream: bizon's SQLAlchemy backend on our schema.

One connection carries everything: the stream's advisory lock lives exactly as long as the session
that commits its checkpoints, so losing one means losing the other. Every write first locks the
row of `engine_stream` where the lease is still ours; no such row is `LeaseLost`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from bizon.engine.backend.adapters.sqlalchemy.backend import SQLAlchemyBackend
from bizon.engine.backend.adapters.sqlalchemy.config import PostgresConfigDetails
from bizon.engine.backend.config import BackendTypes
from bizon.engine.backend.models import JobStatus, StreamJob, StreamReset
from bizon.source.models import SourceIncrementalState
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text
from sqlalchemy.orm import Session

from apps.engine.destinations.base import Batch
from apps.engine.failures import LeaseLost
from apps.engine.state import SCHEMA, engine_conninfo

_LOCK_WAIT = 10.0  # seconds a new owner waits for a terminated session to let go

_JOB = """
select j.created_at, j.total_records_to_fetch, e.replaces, e.since_job, e.columns,
       c.to_source_iteration as last, c.pagination
from stream_jobs j
join engine_job e on e.job_id = j.id
left join lateral (
    select to_source_iteration, pagination from destination_cursors
    where job_id = j.id and success order by to_source_iteration desc limit 1
) c on true
where j.id = :job
"""
_BATCHES = """
select id, first, last, rows, rejected, bytes, staged from engine_batch
where job_id = :job order by first
"""
_COMMIT = text(
    """
    with mine as (
        select 1 from engine_stream where stream_key = :key and lease = :lease for update
    ), batch as (
        insert into engine_batch (id, job_id, first, last, rows, rejected, bytes, staged)
        select :id, :job, :first, :last, :rows, :rejected, :bytes, :staged from mine
        returning 1
    ), job as (
        update engine_job set columns = coalesce(cast(:columns as jsonb), columns),
               next_state = coalesce(cast(:state as jsonb), next_state)
        where job_id = :job and exists (select 1 from mine)
    ), total as (
        update stream_jobs set total_records_to_fetch = cast(:total as bigint)
        where id = :job and exists (select 1 from mine)
          and total_records_to_fetch is distinct from cast(:total as bigint)
    )
    select count(*) from batch
    """
)


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """Which stream, and a digest of the settings under which its staged batches can be continued."""

    key: str
    source: str
    stream: str
    sync_mode: str
    destination_kind: str
    destination: str  # digest of where the rows go
    fingerprint: str  # digest of that and of how they are read


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a stream's state, given to one attempt of one run."""

    token: str
    run_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Job:
    """One sync, over as many attempts as it takes, as it stood when this attempt resolved it."""

    id: str
    resumed: bool
    replaces: bool  # publishing replaces the table even if the stream normally appends or merges
    since: SourceIncrementalState | None  # None reads from the beginning
    total: int | None
    columns: Mapping[str, Any] | None
    next_iteration: int = 0
    pagination: Mapping[str, Any] = field(default_factory=dict)
    exhausted: bool = False  # the last page is committed: nothing left to read
    batches: tuple[Batch, ...] = ()
    written: int = 0
    rejected: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one flush commits: the cursor, and its batch in the manifest."""

    batch: Batch
    staged: bool  # a batch without rows is counted but holds nothing to publish
    rejected: int
    bytes: int
    pagination: Mapping[str, Any]  # of the page after the batch; empty when there is none
    columns: Mapping[str, Any] | None  # when they changed since the last checkpoint
    next_state: Mapping[str, Any] | None
    total: int | None


class StateBackend(SQLAlchemyBackend):
    """bizon's backend with one psycopg connection, fenced writes and no DDL at run time."""

    def __init__(self, state_dsn: str) -> None:
        self._conninfo = engine_conninfo(state_dsn)
        self._connection: Connection | None = None
        self._identity: StreamIdentity | None = None
        self._lease: Lease | None = None
        super().__init__(_details(conninfo_to_dict(self._conninfo)), BackendTypes.POSTGRES)

    def _get_engine_postgres(self) -> Engine:
        url = URL.create("postgresql+psycopg")
        arguments = conninfo_to_dict(self._conninfo)
        return create_engine(url, connect_args=arguments, poolclass=NullPool)

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            self._connection = self.get_engine().connect()
        return self._connection

    def get_session(self) -> Session:
        return Session(bind=self.connection, expire_on_commit=False)

    def create_all_tables(self) -> None:
        """Nothing: `state.install` made them, and the role of a run may not."""

    def close(self) -> None:
        self.session.close()
        if self._connection is not None:
            self._connection.close()
        self.get_engine().dispose()

    # the right to write

    def take_stream(self, identity: StreamIdentity, lease: Lease) -> None:
        """Become the stream's only writer; whoever was before is fenced and disconnected.

        Raises `LeaseLost` when a later attempt of the same run was faster.
        """
        self._identity, self._lease = identity, lease
        with self._transaction() as session:
            taken = session.execute(
                text(
                    "insert into engine_stream as mine (stream_key, lease, run_id, attempt)"
                    " values (:key, :lease, :run_id, :attempt)"
                    " on conflict (stream_key) do update set lease = excluded.lease,"
                    " run_id = excluded.run_id, attempt = excluded.attempt, taken_at = now()"
                    " where not (mine.run_id = excluded.run_id and mine.attempt > excluded.attempt)"
                    " returning 1"
                ),
                {
                    "key": identity.key,
                    "lease": lease.token,
                    "run_id": lease.run_id,
                    "attempt": lease.attempt,
                },
            ).scalar()
        if taken is None:
            raise LeaseLost("A later attempt of this run owns this stream already.")
        self._lock_stream(identity.key)

    def _lock_stream(self, key: str) -> None:
        deadline = time.monotonic() + _LOCK_WAIT
        while not self._try_lock(key):
            if time.monotonic() > deadline:
                raise LeaseLost("Another process holds the stream's lock and does not let go.")
            self._disconnect_holders(key)
            time.sleep(0.05)

    def _try_lock(self, key: str) -> bool:
        query = text("select pg_try_advisory_lock(hashtextextended(:key, 0))")
        with self._transaction() as session:
            return bool(session.execute(query, {"key": key}).scalar())

    def _disconnect_holders(self, key: str) -> None:
        query = text(
            "select pg_terminate_backend(pid) from pg_locks"
            " where locktype = 'advisory' and objsubid = 1 and granted"
            " and ((classid::bigint << 32) | objid::bigint) = hashtextextended(:key, 0)"
            " and database = (select oid from pg_database where datname = current_database())"
            " and pid <> pg_backend_pid()"
        )
        with self._transaction() as session:
            session.execute(query, {"key": key}).all()

    def check_lease(self) -> None:
        """Raises `LeaseLost` unless this attempt still owns the stream."""
        with self._fenced():
            pass

    def was_taken_over(self) -> bool:
        """Asked on a fresh connection after a failure: a new owner disconnects the one before it."""
        if self._identity is None or self._lease is None:
            return False
        identity, lease = self._identity, self._lease
        try:
            with psycopg.connect(self._conninfo) as fresh:
                row = fresh.execute(
                    "select lease from engine_stream where stream_key = %s", (identity.key,)
                ).fetchone()
        except psycopg.Error:
            return False  # nothing can be learnt, so the first failure is the one to tell
        return row is None or row[0] != lease.token

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with Session(bind=self.connection, expire_on_commit=False) as session:
            yield session
            session.commit()

    @contextmanager
    def _fenced(self) -> Iterator[Session]:
        identity, lease = self._owner()
        with self._transaction() as session:
            owned = session.execute(
                text(
                    "select 1 from engine_stream where stream_key = :key and lease = :lease"
                    " for update"
                ),
                {"key": identity.key, "lease": lease.token},
            ).scalar()
            if owned is None:
                raise LeaseLost("Another attempt owns this stream now.")
            yield session

    def _owner(self) -> tuple[StreamIdentity, Lease]:
        if self._identity is None or self._lease is None:
            raise LeaseLost("The stream was not taken.")
        return self._identity, self._lease

    # jobs

    def resolve_job(self) -> Job:
        """Continue the stream's unfinished job if its settings still hold, else begin a new one."""
        identity, _ = self._owner()
        with self._fenced() as session:
            live = session.execute(
                text(
                    "select j.id, e.fingerprint from stream_jobs j"
                    " left join engine_job e on e.job_id = j.id"
                    " where j.name = :key and j.status in ('started', 'running')"
                ),
                {"key": identity.key},
            ).one_or_none()
            asked = _pending_reset(session, identity.key)
            if live is not None and not asked and live.fingerprint == identity.fingerprint:
                return self._resumed(session, live.id)
            again = asked or (live is not None and _is_reset(session, live.id))
            if live is not None:
                _cancel(session, live.id)
            return self._created(session, from_start=again)

    def _created(self, session: Session, *, from_start: bool) -> Job:
        identity, _ = self._owner()
        since = None if from_start else self._previous(session)
        replaces = since is None and identity.sync_mode == "incremental" and self._is_ours(session)
        job_id = uuid4().hex
        session.add(
            StreamJob(
                id=job_id,
                name=identity.key,
                source_name=identity.source,
                stream_name=identity.stream,
                sync_mode=identity.sync_mode,
                status=JobStatus.RUNNING.value,
                attempt=1,
                created_at=_now(),
            )
        )
        session.flush()
        session.execute(
            text(
                "insert into engine_job (job_id, fingerprint, destination, replaces, since_job, columns)"
                " values (:job, :fingerprint, :destination, :replaces, cast(:since as text), ("
                "  select columns from engine_job where job_id = cast(:since as text)))"
            ),
            {
                "job": job_id,
                "fingerprint": identity.fingerprint,
                "destination": identity.destination,
                "replaces": replaces,
                "since": since,
            },
        )
        if from_start:
            _bind_reset(session, identity, job_id)
        return self._load(session, job_id, resumed=False)

    def _resumed(self, session: Session, job_id: str) -> Job:
        session.execute(
            text(
                "update stream_jobs set status = 'running', attempt = attempt + 1,"
                " updated_at = :now where id = :job"
            ),
            {"now": _now(), "job": job_id},
        )
        return self._load(session, job_id, resumed=True)

    def _previous(self, session: Session) -> str | None:
        """The job whose state an incremental one continues from."""
        identity, _ = self._owner()
        if identity.sync_mode != "incremental":
            return None
        found: str | None = session.execute(
            text(
                "select id from stream_jobs where name = :key and source_name = :source"
                " and stream_name = :stream and status = 'succeeded'"
                " and (sync_mode = 'incremental' or incremental_state is not null)"
                " order by created_at desc limit 1"
            ),
            {"key": identity.key, "source": identity.source, "stream": identity.stream},
        ).scalar()
        return found

    def _is_ours(self, session: Session) -> bool:
        """Whether an earlier job published to this very destination, so that replacing loses nothing."""
        identity, _ = self._owner()
        query = text(
            "select exists (select 1 from stream_jobs j join engine_job e on e.job_id = j.id"
            " where j.name = :key and j.status = 'succeeded' and e.destination = :destination)"
        )
        found = session.execute(
            query, {"key": identity.key, "destination": identity.destination}
        ).scalar()
        return bool(found)

    def _load(self, session: Session, job_id: str, *, resumed: bool) -> Job:
        job = session.execute(text(_JOB), {"job": job_id}).one()
        batches = session.execute(text(_BATCHES), {"job": job_id}).all()
        return Job(
            id=job_id,
            resumed=resumed,
            replaces=job.replaces,
            since=_since(session, job.since_job, job.created_at),
            total=job.total_records_to_fetch,
            columns=job.columns,
            next_iteration=0 if job.last is None else job.last + 1,
            pagination=json.loads(job.pagination) if job.pagination else {},
            exhausted=job.last is not None and not job.pagination,
            batches=tuple(Batch(b.id, b.first, b.last, b.rows) for b in batches if b.staged),
            written=sum(b.rows for b in batches),
            rejected=sum(b.rejected for b in batches),
            bytes=sum(b.bytes for b in batches),
        )

    # checkpoints

    def commit(self, job: Job, checkpoint: Checkpoint) -> None:
        """Batch and cursor in one transaction, if the stream is still ours. Raises `LeaseLost`."""
        identity, lease = self._owner()
        batch = checkpoint.batch
        with self._transaction() as session:
            kept = session.execute(
                _COMMIT,
                {
                    "key": identity.key,
                    "lease": lease.token,
                    "id": batch.id,
                    "job": job.id,
                    "first": batch.first,
                    "last": batch.last,
                    "rows": batch.rows,
                    "rejected": checkpoint.rejected,
                    "bytes": checkpoint.bytes,
                    "staged": checkpoint.staged,
                    "columns": _json(checkpoint.columns),
                    "state": _json(checkpoint.next_state),
                    "total": checkpoint.total,
                },
            ).scalar()
            if not kept:
                raise LeaseLost("Another attempt owns this stream now.")
            self.create_destination_cursor(  # commits the session: all of the above or nothing
                job_id=job.id,
                name=identity.key,
                source_name=identity.source,
                stream_name=identity.stream,
                destination_name=identity.destination_kind,
                from_source_iteration=batch.first,
                to_source_iteration=batch.last,
                rows_written=batch.rows,
                success=True,
                pagination=dict(checkpoint.pagination),
                session=session,
            )

    def succeed(self, job: Job) -> None:
        """Close the published job and hand its state to the next one, in one transaction."""
        with self._fenced() as session:
            session.execute(
                text(
                    "update stream_jobs j set status = 'succeeded', updated_at = :now,"
                    " incremental_state = coalesce(e.next_state::text, ("
                    "   select p.incremental_state from stream_jobs p where p.id = e.since_job))"
                    " from engine_job e where e.job_id = j.id and j.id = :job"
                ),
                {"now": _now(), "job": job.id},
            )

    # abandoned jobs

    def unswept_jobs(self) -> Sequence[str]:
        """Cancelled jobs whose staging in the present destination was not removed yet."""
        identity, _ = self._owner()
        query = text(
            "select j.id from stream_jobs j join engine_job e on e.job_id = j.id"
            " where j.name = :key and j.status = 'cancelled' and not e.swept"
            " and e.destination = :destination"
        )
        with self._transaction() as session:
            where = {"key": identity.key, "destination": identity.destination}
            return session.execute(query, where).scalars().all()

    def mark_swept(self, job_id: str) -> None:
        with self._fenced() as session:
            session.execute(
                text("update engine_job set swept = true where job_id = :job"), {"job": job_id}
            )
            session.execute(text("delete from engine_batch where job_id = :job"), {"job": job_id})


def _details(connect_args: Mapping[str, Any]) -> PostgresConfigDetails:
    return PostgresConfigDetails(
        database=str(connect_args.get("dbname") or ""),
        schema=SCHEMA,
        host=str(connect_args.get("host") or ""),
        port=int(connect_args.get("port") or 5432),
        username=str(connect_args.get("user") or ""),
        password="",  # the connection string has it; no second copy in bizon's objects
    )


def _pending_reset(session: Session, key: str) -> bool:
    query = "select exists (select 1 from stream_resets where name = :key and consumed_at is null)"
    return bool(session.execute(text(query), {"key": key}).scalar())


def _is_reset(session: Session, job_id: str) -> bool:
    query = "select exists (select 1 from stream_resets where consumed_by_job_id = :job)"
    return bool(session.execute(text(query), {"job": job_id}).scalar())


def _bind_reset(session: Session, identity: StreamIdentity, job_id: str) -> None:
    """Tie the request for a reset to the job that honours it, so that it outlives a crash."""
    bound = session.execute(
        text(
            "update stream_resets set consumed_at = :now, consumed_by_job_id = :job"
            " where name = :key and consumed_at is null returning id"
        ),
        {"now": _now(), "job": job_id, "key": identity.key},
    ).all()
    if bound:
        return
    session.add(
        StreamReset(
            name=identity.key,
            source_name=identity.source,
            stream_name=identity.stream,
            requested_at=_now(),
            consumed_at=_now(),
            consumed_by_job_id=job_id,
        )
    )


def _cancel(session: Session, job_id: str) -> None:
    session.execute(
        text("update stream_jobs set status = 'cancelled', updated_at = :now where id = :job"),
        {"now": _now(), "job": job_id},
    )


def _since(
    session: Session, since_job: str | None, started_at: datetime
) -> SourceIncrementalState | None:
    """What an incremental source continues from; None when the sync starts at the beginning."""
    previous = session.execute(
        text("select created_at, incremental_state from stream_jobs where id = :job"),
        {"job": since_job},
    ).one_or_none()
    if previous is None:
        return None
    return SourceIncrementalState(
        last_run=previous.created_at,
        state=json.loads(previous.incremental_state) if previous.incremental_state else {},
        run_started_at=started_at,
    )


def _json(value: Mapping[str, Any] | None) -> str | None:
    return json.dumps(value) if value else None


def _now() -> datetime:
    return datetime.now(tz=UTC).replace(tzinfo=None)
