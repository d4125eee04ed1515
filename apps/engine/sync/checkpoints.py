"""Jobs, leases and checkpoints of one stream, in bizon's tables and in our tables.

One connection commits the checkpoints and holds the advisory lock of the stream, so an attempt that loses the
connection also loses the lock. Every write first locks the row of `engine_stream`, if the row still has our lease.
Otherwise the write raises `StreamTakenOver`. The SQL is ours, because bizon's backend commits after each
statement, but bizon's backend can read the result.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
from bizon.source.models import SourceIncrementalState
from psycopg.rows import namedtuple_row

from apps.engine.destinations.base import Batch
from apps.engine.failures import RESET_STREAM, ResetNeeded, StreamTakenOver
from apps.engine.frames.decoding import SchemaJson
from apps.engine.kept_connections import kept_connections
from apps.engine.sync import statements
from apps.engine.sync.identity import StreamIdentity, pinned_columns
from apps.engine.sync.jobs import Checkpoint, Job, StreamLease
from apps.engine.sync.state import engine_conninfo

# Wait for locks without a limit: a backup locks the tables while it copies files. The locks of a frozen process
# last only seconds.
_WITHOUT_LOCK_TIMEOUT = "-c lock_timeout=0"
_CONNECT_SECONDS = 60.0  # the longest wait for a free connection of the server
_NO_FREE_CONNECTION = re.compile("too many (clients|connections)|connection slots are reserved")
_LOCK_SECONDS = 10.0  # the longest wait until the previous owner's connection releases the lock
_TAKEN_OVER = "Another attempt owns this stream now."


class StateBackend:
    """Access to the state of one stream while this process runs it."""

    def __init__(self, state_dsn: str) -> None:
        """Connect. Waits if the server has no free connection. Raises psycopg.OperationalError."""
        self._conninfo = engine_conninfo(state_dsn, settings=_WITHOUT_LOCK_TIMEOUT)
        self._connection = kept_connections.take(self._conninfo, lambda: _connect(self._conninfo))
        self._identity: StreamIdentity | None = None
        self._lease: StreamLease | None = None
        self._parameters: dict[str, Any] = {}  # of the stream, for all statements
        self._found: Any = None  # the row of READ_STREAM
        self._has_cancelled_jobs = False  # whether staging of cancelled jobs may have to be removed
        self._pins_types = True
        self._is_same_table = False

    def close(self) -> None:
        """Release the lock of the stream. The next stream of this process uses the same connection."""
        kept_connections.give_back(self._connection, "SELECT pg_advisory_unlock_all()")

    def take_stream(
        self, identity: StreamIdentity, lease: StreamLease, *, pins_types: bool = True
    ) -> None:
        """Become the only writer of the stream. A previous owner loses its lease and its connection.

        A new job keeps the types of the columns of the job before it, unless `pins_types` is false.
        Raises `StreamTakenOver` if a later attempt of the same run owns the stream already, or if another attempt
        takes it in the meantime.
        """
        self._identity, self._lease, self._pins_types = identity, lease, pins_types
        self._parameters = statements.parameters_of(identity, lease)
        taken = self._fetch_one(statements.TAKE_STREAM)
        if taken is None:
            raise StreamTakenOver("A later attempt of this run owns this stream already.")
        self._read_stream()
        if taken.locked:
            return
        deadline = time.monotonic() + _LOCK_SECONDS
        while not self._try_lock():
            if time.monotonic() > deadline:
                raise StreamTakenOver(
                    "Another process holds the stream's lock and does not release it."
                )
            time.sleep(0.05)

    def _read_stream(self) -> None:
        is_done_once = self._own_identity.is_done_once
        self._found = self._fetch_one(
            statements.READ_STREAM_DONE_ONCE if is_done_once else statements.READ_STREAM
        )
        self._has_cancelled_jobs = self._found.has_cancelled_jobs

    def _try_lock(self) -> bool:
        with self._owned_transaction():
            if self._fetch_one(statements.TRY_LOCK).locked:
                return True
            # The row of the stream is locked, so the holder cannot be a newer owner.
            self._execute(statements.DISCONNECT_HOLDERS)
        return False

    def check_lease(self) -> None:
        """Raise `StreamTakenOver` unless this attempt still owns the stream."""
        if self._fetch_one(statements.LOCK_OWN_STREAM) is None:
            raise StreamTakenOver(_TAKEN_OVER)

    def was_taken_over(self) -> bool:
        """Whether another attempt owns the stream now. Call it after a failure.

        It uses a new connection, because a new owner ends the connection of the previous owner.
        """
        if self._identity is None or self._lease is None:
            return False
        try:
            with psycopg.connect(self._conninfo) as connection:
                row = connection.execute(
                    statements.CURRENT_LEASE, {"key": self._identity.key}
                ).fetchone()
        except psycopg.Error:
            return False  # The owner is unknown, so the original failure is reported.
        return row is None or row[0] != self._lease.token

    @contextmanager
    def _owned_transaction(self) -> Iterator[None]:
        with self._connection.transaction():
            if self._fetch_one(statements.LOCK_OWN_STREAM) is None:
                raise StreamTakenOver(_TAKEN_OVER)
            yield

    # Jobs

    def recognize_table(self, has_published_here: Callable[[str], bool]) -> None:
        """Ask the destination whether the place of an incremental stream is another name of the place before."""
        if self._own_identity.sync_mode == "incremental":
            job = self._found.job_elsewhere
            self._is_same_table = job is not None and has_published_here(job)

    def finish_published(self, has_published: Callable[[str], bool]) -> None:
        """Finish an unfinished job that is done once, if the destination has its rows already."""
        unfinished_job = self._fetch_one(statements.UNFINISHED_JOB)
        if (
            self._own_identity.is_done_once
            and unfinished_job is not None
            and has_published(unfinished_job.id)
        ):
            with self._owned_transaction():
                self._execute(statements.FINISH_JOB, job=unfinished_job.id)
                self._read_stream()

    @property
    def job_elsewhere(self) -> str | None:
        """The newest job of the ordinary runs of the stream, if it has published to another place than this one."""
        found: str | None = self._found.job_elsewhere
        return found

    def continue_or_create_job(self, *, pages_never_change: bool = False) -> Job:
        """Continue the unfinished job of this run if its settings and code are the same, else create a job.

        The position of an unfinished job belongs to its run, because the records before it may have changed when
        another run begins. Only an incremental job of a source whose pages never change is continued by another run.
        A reset always creates a job.

        If an earlier attempt of this run has finished a job, but its worker exited before it reported the end of the
        run, the finished job is returned. Publishing it again changes nothing.
        """
        reset_requested = self._found.has_reset
        is_done = self._own_identity.is_done_once and self._found.finished_job is not None
        if is_done or not (self._found.has_unfinished_job or reset_requested):
            return self._finished_or_new_job()
        with self._owned_transaction():
            unfinished_job = self._fetch_one(statements.UNFINISHED_JOB)
            if unfinished_job is None:  # It is cancelled, or a reset is requested.
                return self._create_job(from_start=reset_requested)
            reason = self._reason_to_abandon(
                unfinished_job,
                reset_requested=reset_requested,
                pages_never_change=pages_never_change,
            )
            if not reason:
                return self._resume_job(unfinished_job.id)
            from_start = reset_requested or unfinished_job.is_reset
            return self._replace_job(unfinished_job.id, from_start=from_start, reason=reason)

    def _finished_or_new_job(self) -> Job:
        finished_job = self._found.finished_job
        if finished_job is None or self._has_to_repeat(finished_job):
            return self._create_job(from_start=False)
        is_done_once = self._own_identity.is_done_once
        is_of_other_run = is_done_once and finished_job["run_id"] != self._own_run_id
        job = self._load_job(finished_job["id"])
        return replace(job, exhausted=True, is_finished=True, is_of_other_run=is_of_other_run)

    def _has_to_repeat(self, finished_job: Any) -> bool:
        """Whether all streams of the run have to be read in the same snapshot, and the job has read an earlier one."""
        identity = self._own_identity
        return identity.rereads_finished and (
            _snapshot_at(finished_job["inputs"]) != identity.inputs.snapshot_at
        )

    def _reason_to_abandon(
        self, unfinished_job: Any, *, reset_requested: bool, pages_never_change: bool
    ) -> str:
        """Return why the unfinished job is not continued, or an empty text if it is continued."""
        identity, inputs = self._own_identity, unfinished_job.inputs
        if reset_requested:
            return "the stream was reset"
        if unfinished_job.fingerprint != identity.fingerprint:
            return "the settings have changed"
        # The job of an older release has no inputs. The version of its run fixes its code.
        if inputs is not None and inputs["code"] != identity.inputs.code:
            return "the code has changed"
        if identity.inputs.snapshot_at not in {None, _snapshot_at(inputs)}:
            return "the streams of the run are read in a new snapshot"
        belongs_to_run = identity.is_done_once or unfinished_job.run_id == self._own_run_id
        if not belongs_to_run and not (pages_never_change and identity.sync_mode == "incremental"):
            return "it belongs to an earlier run, and the source may have changed since then"
        return ""

    def _resume_job(self, job_id: str) -> Job:
        """Take an unfinished job over. What it still has to read is not as of the snapshot of an earlier attempt."""
        job = self._load_job(job_id)
        snapshot_at = job.snapshot_at if job.exhausted else self._own_identity.inputs.snapshot_at
        self._execute(statements.RESUME_JOB, job=job_id, snapshot_at=snapshot_at)
        return replace(job, snapshot_at=snapshot_at)

    def restart(self, job: Job, *, reason: str = "", columns: SchemaJson | None = None) -> Job:
        """Cancel an unfinished job that cannot be continued, and create a new job, with `columns` if they are known."""
        with self._owned_transaction():
            unfinished_job = self._fetch_one(statements.UNFINISHED_JOB)
            from_start = unfinished_job is not None and unfinished_job.is_reset
            return self._replace_job(job.id, from_start=from_start, reason=reason, columns=columns)

    def _replace_job(
        self, job_id: str, *, from_start: bool, reason: str, columns: SchemaJson | None = None
    ) -> Job:
        """Cancel an unfinished job, and create a new one."""
        self._execute(statements.CANCEL_JOB, job=job_id)
        self._has_cancelled_jobs = True
        return replace(
            self._create_job(from_start=from_start, columns=columns), abandoned_reason=reason
        )

    def _create_job(self, *, from_start: bool, columns: SchemaJson | None = None) -> Job:
        """Create a job by one statement, which also checks the lease. One that performs a reset needs a transaction."""
        is_incremental = self._own_identity.sync_mode == "incremental"
        previous_job = (
            self._fetch_one(statements.PREVIOUS_JOB) if is_incremental and not from_start else None
        )
        if previous_job is not None and not self._can_start_from(previous_job):
            previous_job = None
        replaces = is_incremental and previous_job is None and self._has_published_here()
        since_job = previous_job.id if previous_job is not None else None
        columns = columns or self._pinned_columns(from_start=from_start)
        job_id = uuid4().hex
        created = self._fetch_one(
            statements.CREATE_JOB,
            job=job_id,
            replaces=replaces,
            since=since_job,
            columns=_to_json(columns),
        )
        if created is None:
            raise StreamTakenOver(_TAKEN_OVER)
        if from_start and not self._execute(statements.LINK_RESET_TO_JOB, job=job_id):
            self._execute(statements.REPEAT_RESET, reset=uuid4().hex, job=job_id)
        return Job(
            id=job_id,
            resumed=False,
            replaces=replaces,
            since=self._starting_state(since_job, created.created_at),
            total=None,
            columns=columns,
            snapshot_at=self._own_identity.inputs.snapshot_at,
        )

    def _has_published_here(self) -> bool:
        return self._is_same_table or self._fetch_one(statements.PUBLISHED_HERE_BEFORE) is not None

    def _can_start_from(self, previous_job: Any) -> bool:
        """Whether the position of a finished job is valid. Raises ResetNeeded if a person has to decide.

        After a full refresh, a sync with another key, cursor field or table simply starts at the beginning.
        """
        change = self._own_identity.inputs.change_since(
            previous_job.inputs, is_same_table=self._is_same_table
        )
        if change and previous_job.sync_mode == "incremental":
            raise ResetNeeded(
                f"{change}: {RESET_STREAM}, so that it is read from the beginning and its table is written anew"
            )
        return not change

    def _pinned_columns(self, *, from_start: bool) -> SchemaJson | None:
        """Return the columns of the newest finished job, whose types are kept until the stream is reset."""
        if from_start or not self._pins_types:
            return None
        newest = self._fetch_one(statements.NEWEST_COLUMNS)
        if newest is None or newest.columns is None:
            return None
        identity = self._own_identity
        pinned = pinned_columns(
            newest.columns,
            earlier_effects=(newest.inputs or {}).get("effects", {}),
            fields=identity.fields,
            effects=identity.inputs.effects,
        )
        return pinned.to_json()

    def _load_job(self, job_id: str) -> Job:
        """Return a job that an earlier attempt has created."""
        job = self._fetch_one(statements.JOB_DETAILS, job=job_id)
        batches = self._execute(statements.JOB_BATCHES, job=job_id)
        return Job(
            id=job_id,
            resumed=True,
            replaces=job.replaces,
            since=self._starting_state(job.since_job, job.created_at),
            total=job.total_records_to_fetch,
            columns=job.columns,
            next_iteration=0 if job.last is None else job.last + 1,
            pagination=json.loads(job.pagination) if job.pagination else {},
            exhausted=job.last is not None and not job.pagination,
            batches=tuple(Batch(b.id, b.first, b.last, b.rows) for b in batches if b.staged),
            written=sum(b.rows for b in batches),
            rejected=sum(b.rejected for b in batches),
            skipped=sum(b.skipped for b in batches),
            bytes=sum(b.bytes for b in batches),
            snapshot_at=_snapshot_at(job.inputs),
        )

    def _starting_state(
        self, since_job: str | None, started_at: datetime
    ) -> SourceIncrementalState | None:
        """Return the state from which an incremental source continues, or None to read from the beginning."""
        if since_job is None:
            return None
        previous_job = self._fetch_one(statements.JOB_POSITION, job=since_job)
        if previous_job is None:
            return None
        return SourceIncrementalState(
            last_run=previous_job.created_at,
            state=json.loads(previous_job.incremental_state)
            if previous_job.incremental_state
            else {},
            run_started_at=started_at,
        )

    # Checkpoints

    def commit(self, job: Job, checkpoint: Checkpoint) -> None:
        """Commit the batch and the cursor in one statement.

        Raises `StreamTakenOver` if another attempt owns the stream.
        """
        batch = checkpoint.batch
        committed = self._fetch_one(
            statements.COMMIT_BATCH,
            id=batch.id,
            job=job.id,
            first=batch.first,
            last=batch.last,
            rows=batch.rows,
            rejected=checkpoint.rejected,
            skipped=checkpoint.skipped,
            bytes=checkpoint.bytes,
            staged=checkpoint.staged,
            columns=_to_json(checkpoint.columns),
            state=_to_json(checkpoint.next_state),
            total=checkpoint.total,
            cursor=uuid4().hex,
            pagination=_to_json(checkpoint.pagination),
        )
        if committed is None:
            raise StreamTakenOver(_TAKEN_OVER)

    def succeed(self, job: Job) -> Mapping[str, Any] | None:
        """Finish the published job and store its state for the next job, in one statement. Returns that state."""
        row = self._fetch_one(statements.FINISH_JOB, job=job.id)
        if row is None:  # The job is finished already, or the stream is not ours.
            with self._owned_transaction():
                row = self._fetch_one(statements.JOB_POSITION, job=job.id)
        return json.loads(row.incremental_state) if row.incremental_state else None

    # Cancelled jobs

    def jobs_with_staging_to_remove(self) -> Sequence[str]:
        """Return the ids of cancelled jobs whose staging in the current destination was not removed yet."""
        if not self._has_cancelled_jobs:
            return []
        return [row.id for row in self._execute(statements.UNSWEPT_JOBS)]

    def mark_staging_removed(self, job_id: str) -> None:
        with self._owned_transaction():
            self._execute(statements.DELETE_BATCHES, job=job_id)
            self._execute(statements.MARK_SWEPT, job=job_id)

    # Statements

    @property
    def _own_identity(self) -> StreamIdentity:
        if self._identity is None:
            raise StreamTakenOver("The stream was not taken.")
        return self._identity

    @property
    def _own_run_id(self) -> str | None:
        return self._lease.run_id if self._lease else None

    def _fetch_one(self, statement: LiteralString, **values: Any) -> Any:
        """Run the statement and return its first row, or None."""
        rows = self._execute(statement, **values)
        return rows[0] if rows else None

    def _execute(self, statement: LiteralString, **values: Any) -> list[Any]:
        """Run the statement with the parameters of the stream and `values`. Returns its rows, if it has any."""
        cursor = self._connection.execute(statement, {**self._parameters, **values})
        return cursor.fetchall() if cursor.description else []


def _snapshot_at(inputs: Mapping[str, Any] | None) -> str | None:
    """Return the time of the snapshot that a job has read. Jobs of older releases have none."""
    return inputs.get("snapshot_at") if inputs else None


def _to_json(value: Mapping[str, Any] | None) -> str | None:
    return json.dumps(value) if value else None


def _connect(conninfo: str) -> psycopg.Connection[Any]:
    """Connect to the server. If it has no free connection, wait for one, at most _CONNECT_SECONDS."""
    deadline = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            return psycopg.connect(conninfo, row_factory=namedtuple_row, autocommit=True)
        except psycopg.OperationalError as error:
            if not _NO_FREE_CONNECTION.search(str(error)) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.5, 1.5))  # noqa: S311 - spreads load
