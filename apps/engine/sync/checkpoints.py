"""Jobs, leases and checkpoints of one stream, in bizon's tables and ours.

Everything uses one connection: the stream's advisory lock lives exactly as long as the session that
commits the checkpoints, so losing one means losing the other. Every write first locks the row of
`engine_stream` if it still has our lease; otherwise it raises `StreamTakenOver`. We use our own SQL,
because bizon's backend commits after each statement; bizon's backend can read the result.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
from bizon.source.models import SourceIncrementalState
from psycopg.rows import namedtuple_row

from apps.engine.destinations.base import Batch
from apps.engine.failures import StreamTakenOver
from apps.engine.frames.decoding import SchemaJson
from apps.engine.sync import statements
from apps.engine.sync.state import engine_conninfo

# A backup locks the tables while it copies files. A frozen process keeps its locks for seconds only.
_PATIENT = "-c lock_timeout=0"
_PLACE_WAIT = 60.0  # seconds to wait for a free connection of the server
_FULL = re.compile("too many (clients|connections)|connection slots are reserved")
_LOCK_WAIT = 10.0  # seconds a new owner waits for a terminated session to release the lock


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """The stream, and digests of the settings that decide whether its staged batches can be continued."""

    key: str
    source: str
    stream: str
    sync_mode: str
    destination_kind: str
    destination: str  # digest of the destination
    fingerprint: str  # digest of the destination and of how the rows are read


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a stream's state, held by one attempt of one run."""

    token: str
    run_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Job:
    """One sync, over as many attempts as it takes, as it was when this attempt resolved it."""

    id: str
    resumed: bool
    replaces: bool  # publishing replaces the table even if the stream normally appends or merges
    since: SourceIncrementalState | None  # None reads from the beginning
    total: int | None
    columns: SchemaJson | None
    next_iteration: int = 0
    pagination: Mapping[str, Any] = field(default_factory=dict)
    exhausted: bool = False  # the last page is committed: nothing left to read
    batches: tuple[Batch, ...] = ()
    written: int = 0
    rejected: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The contents of one commit: the cursor, and its batch in the manifest."""

    batch: Batch
    staged: bool  # a batch without rows is counted but has nothing to publish
    rejected: int
    bytes: int
    pagination: Mapping[str, Any]  # token of the page after the batch; empty if there is none
    columns: SchemaJson | None  # set if they changed since the last checkpoint
    next_state: Mapping[str, Any] | None
    total: int | None


class StateBackend:
    """Access to the state of one stream while this process runs it."""

    def __init__(self, state_dsn: str) -> None:
        """Connect, waiting for a free connection of the server. Raises psycopg.OperationalError."""
        self._conninfo = engine_conninfo(state_dsn, settings=_PATIENT)
        self._connection = _connected(self._conninfo)
        self._identity: StreamIdentity | None = None
        self._lease: Lease | None = None

    def close(self) -> None:
        self._connection.close()

    # Releases the lock.

    def take_stream(self, identity: StreamIdentity, lease: Lease) -> None:
        """Become the stream's only writer; a previous owner loses its lease and is disconnected.

        Raises `StreamTakenOver` when a later attempt of the same run was faster.
        """
        self._identity, self._lease = identity, lease
        with self._connection.transaction():
            if self._one(statements.TAKE, attempt=lease.attempt) is None:
                raise StreamTakenOver("A later attempt of this run owns this stream already.")
        deadline = time.monotonic() + _LOCK_WAIT
        while not self._try_lock():
            if time.monotonic() > deadline:
                raise StreamTakenOver(
                    "Another process holds the stream's lock and does not release it."
                )
            time.sleep(0.05)

    def _try_lock(self) -> bool:
        with self._connection.transaction():
            if self._one(statements.TRY_LOCK).locked:
                return True
            self._all(statements.DISCONNECT_HOLDERS)
        return False

    def check_lease(self) -> None:
        """Raise `StreamTakenOver` unless this attempt still owns the stream."""
        with self._fenced():
            pass

    def was_taken_over(self) -> bool:
        """Check on a new connection after a failure, because a new owner disconnects the previous one."""
        if self._identity is None or self._lease is None:
            return False
        try:
            with psycopg.connect(self._conninfo) as fresh:
                row = fresh.execute(statements.OWNER, {"key": self._identity.key}).fetchone()
        except psycopg.Error:
            return False  # It cannot be determined, so the first failure is reported.
        return row is None or row[0] != self._lease.token

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        with self._connection.transaction():
            if self._one(statements.HOLD) is None:
                raise StreamTakenOver("Another attempt owns this stream now.")
            yield

    # Jobs.

    def resolve_job(self) -> Job:
        """Continue the stream's unfinished job if its settings are unchanged, else create a new one.

        If an earlier attempt of this run has finished a job, return that job, so that publishing it again
        changes nothing: the worker died before it could report the end of the run.
        """
        with self._fenced():
            live = self._one(statements.LIVE_JOB)
            asked = self._one(statements.PENDING_RESET) is not None
            if live is not None and not asked and live.fingerprint == self._mine.fingerprint:
                self._all(statements.RESUME, job=live.id)
                return self._load(live.id, resumed=True)
            finished = self._one(statements.FINISHED) if live is None and not asked else None
            if finished is not None:
                return replace(self._load(finished.id, resumed=True), exhausted=True)
            again = asked or (live is not None and live.is_reset)
            if live is not None:
                self._all(statements.CANCEL, job=live.id)
            return self._load(self._created(from_start=again), resumed=False)

    def restart(self, job: Job) -> Job:
        """Cancel an unfinished job whose position is gone, and create a new one of the same kind."""
        with self._fenced():
            live = self._one(statements.LIVE_JOB)
            self._all(statements.CANCEL, job=job.id)
            return self._load(
                self._created(from_start=live is not None and live.is_reset), resumed=False
            )

    def _created(self, *, from_start: bool) -> str:
        incremental = self._mine.sync_mode == "incremental"
        previous = self._one(statements.PREVIOUS) if incremental and not from_start else None
        unknown = incremental and previous is None
        job_id = uuid4().hex
        self._all(statements.CREATE_JOB, job=job_id)
        self._all(
            statements.DESCRIBE_JOB,
            job=job_id,
            replaces=unknown and self._one(statements.IS_OURS) is not None,
            since=previous.id if previous is not None else None,
        )
        if from_start and not self._all(statements.BIND_RESET, job=job_id):
            self._all(statements.REPEAT_RESET, reset=uuid4().hex, job=job_id)
        return job_id

    def _load(self, job_id: str, *, resumed: bool) -> Job:
        job = self._one(statements.JOB, job=job_id)
        batches = self._all(statements.BATCHES, job=job_id)
        return Job(
            id=job_id,
            resumed=resumed,
            replaces=job.replaces,
            since=self._since(job.since_job, job.created_at),
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

    def _since(self, since_job: str | None, started: datetime) -> SourceIncrementalState | None:
        """Return the state from which an incremental source continues; None if the sync starts at the beginning."""
        previous = self._one(statements.POSITION, job=since_job)
        if previous is None:
            return None
        return SourceIncrementalState(
            last_run=previous.created_at,
            state=json.loads(previous.incremental_state) if previous.incremental_state else {},
            run_started_at=started,
        )

    # Checkpoints.

    def commit(self, job: Job, checkpoint: Checkpoint) -> None:
        """Commit batch and cursor in one statement, if the stream is still ours. Raises `StreamTakenOver`."""
        batch = checkpoint.batch
        with self._connection.transaction():
            committed = self._one(
                statements.COMMIT,
                id=batch.id,
                job=job.id,
                first=batch.first,
                last=batch.last,
                rows=batch.rows,
                rejected=checkpoint.rejected,
                bytes=checkpoint.bytes,
                staged=checkpoint.staged,
                columns=_json(checkpoint.columns),
                state=_json(checkpoint.next_state),
                total=checkpoint.total,
                cursor=uuid4().hex,
                pagination=_json(checkpoint.pagination),
            )
            if committed is None:
                raise StreamTakenOver("Another attempt owns this stream now.")

    def succeed(self, job: Job) -> None:
        """Finish the published job and store its state for the next one, in one transaction."""
        with self._fenced():
            self._all(statements.SUCCEED, job=job.id)

    # Cancelled jobs.

    def unswept_jobs(self) -> Sequence[str]:
        """Return cancelled jobs whose staging in the present destination was not removed yet."""
        with self._connection.transaction():
            return [row.id for row in self._all(statements.UNSWEPT)]

    def mark_swept(self, job_id: str) -> None:
        with self._fenced():
            self._all(statements.FORGET_BATCHES, job=job_id)
            self._all(statements.MARK_SWEPT, job=job_id)

    # Statements.

    @property
    def _mine(self) -> StreamIdentity:
        if self._identity is None:
            raise StreamTakenOver("The stream was not taken.")
        return self._identity

    def _one(self, statement: LiteralString, **values: Any) -> Any:
        """Return the only row, or None."""
        rows = self._all(statement, **values)
        return rows[0] if rows else None

    def _all(self, statement: LiteralString, **values: Any) -> list[Any]:
        """Return every row; none for a statement without result. The stream's parameters are added."""
        mine, lease = self._mine, self._lease
        named = {
            "key": mine.key,
            "lease": lease.token if lease else None,
            "run_id": lease.run_id if lease else None,
            "source": mine.source,
            "stream": mine.stream,
            "mode": mine.sync_mode,
            "kind": mine.destination_kind,
            "destination": mine.destination,
            "fingerprint": mine.fingerprint,
            **values,
        }
        cursor = self._connection.execute(statement, named)
        return cursor.fetchall() if cursor.description else []


def _json(value: Mapping[str, Any] | None) -> str | None:
    return json.dumps(value) if value else None


def _connected(conninfo: str) -> psycopg.Connection[Any]:
    """Connect. If the server has no free connection, wait for one instead of failing."""
    deadline = time.monotonic() + _PLACE_WAIT
    while True:
        try:
            return psycopg.connect(conninfo, row_factory=namedtuple_row)
        except psycopg.OperationalError as error:
            if not _FULL.search(str(error)) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.5, 1.5))  # noqa: S311 - spreads load
