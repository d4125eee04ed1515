"""Track the streams of one attempt: the counts of each and their sum, and how each stream has ended."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.engine.contract import Event, Failed, LogLine, Network, Outcome, Progress, Succeeded
from apps.engine.failures import FailureClass
from apps.runs.attempts.networks import merge_networks
from apps.runs.models import RunStream, Status
from apps.runs.snapshots import FailureColumns, failure_columns
from apps.runs.states import NO_FAILURE

UNFINISHED = frozenset({Status.PENDING, Status.RUNNING})
STOPPED = "Not started, because the pipeline stops when a stream fails: {count} of the streams."
MAX_NAMED_STREAMS = 10  # failed streams that the evidence of a run names


class StreamTracker:
    """The streams of one attempt. The threads that run children change it; the recording thread writes the changes.

    `expected` are the records that the streams probably have, by name, until the source has counted them. With
    `stops_at_failure`, no further stream is begun after one has failed.
    """

    def __init__(
        self,
        rows: Sequence[RunStream] = (),
        *,
        expected: Mapping[str, int] | None = None,
        stops_at_failure: bool = False,
    ) -> None:
        self._rows = {row.name: row for row in rows}
        self._expected = expected or {}
        self._stops_at_failure = stops_at_failure
        self._outcomes: dict[str, Outcome] = {}
        self._networks: dict[str, Network] = {}
        self._changes: dict[str, int] = {}  # by stream, the number of its newest unwritten change
        self._change_count = 0
        self._lock = threading.Lock()

    @property
    def names_to_run(self) -> list[str]:
        """The streams that this attempt has to run, in the order of the definition."""
        return [] if self.has_stopped else self._unfinished

    @property
    def has_stopped(self) -> bool:
        """Whether no further stream is begun, because one has failed. Those that have begun are finished."""
        return self._stops_at_failure and bool(self.counts["streams_failed"])

    @property
    def _unfinished(self) -> list[str]:
        return [name for name, row in self._rows.items() if row.status in UNFINISHED]

    @property
    def progress(self) -> Progress | None:
        """The sum over all streams and attempts, or None if there are no streams."""
        with self._lock:
            return self._sum() if self._rows else None

    @property
    def written_by_several(self) -> int | None:
        """The number of written records if there are several streams, else None."""
        with self._lock:
            return self._sum().written if len(self._rows) > 1 else None

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of streams, as columns of the run."""
        statuses = [row.status for row in self._rows.values()]
        return {
            "streams_total": len(statuses),
            "streams_failed": statuses.count(Status.FAILED),
            "streams_succeeded": statuses.count(Status.SUCCEEDED),
        }

    @property
    def are_partly_published(self) -> bool:
        """Whether an earlier attempt has published some of the streams, and others have to be run."""
        is_published = any(row.status == Status.SUCCEEDED for row in self._rows.values())
        return is_published and bool(self.names_to_run)

    def repeat_published(self) -> None:
        """Run the streams again that an earlier attempt has published, if others have to be run."""
        with self._lock:
            for name, row in self._rows.items():
                if row.status == Status.SUCCEEDED:
                    row.status = Status.PENDING
                    self._set_progress(name, Progress(0, 0, 0, 0, 0))

    def begin(self, name: str) -> None:
        with self._lock:
            row = self._rows[name]
            row.status, row.started_at, row.finished_at = Status.RUNNING, timezone.now(), None
            _set_failure(row, NO_FAILURE)
            self._mark_changed(name)

    def to_run_event(self, name: str, event: Event) -> Event:
        """Return the event of the run for an event of one stream: progress and networks are summed."""
        with self._lock:
            if isinstance(event, LogLine) and len(self._rows) > 1:
                return replace(event, fields={**event.fields, "stream": name})
            if isinstance(event, Progress):
                self._set_progress(name, event)
                return self._sum()
            if isinstance(event, Network):
                self._networks[name] = event
                return merge_networks(list(self._networks.values()))
        return event

    def end(self, name: str, outcome: Outcome, committed: Progress | None = None) -> None:
        """Record how the stream has ended. `committed` is what a failed stream has committed, if that is known."""
        with self._lock:
            row = self._rows[name]
            self._outcomes[name] = outcome
            row.finished_at = timezone.now()
            if isinstance(outcome, Succeeded):
                row.status = Status.SUCCEEDED
                _set_failure(row, NO_FAILURE)
                row.cursor_before, row.cursor_after = outcome.cursor_before, outcome.cursor_after
                row.snapshot_at = parse_datetime(outcome.snapshot_at or "")
                self._set_progress(name, _progress_of(outcome, row.iterations))
            else:
                row.status = Status.FAILED
                _set_failure(row, failure_columns(outcome))
                if committed is not None:
                    self._set_progress(name, committed)
            self._mark_changed(name)

    def ended(self) -> list[RunStream]:
        """Return the rows of the streams that have ended in this attempt."""
        with self._lock:
            return [copy.copy(self._rows[name]) for name in self._outcomes]

    def changes(self) -> dict[int, RunStream]:
        """Return copies of the changed rows, by the number of the change. They are new until `mark_recorded`."""
        with self._lock:
            return {number: copy.copy(self._rows[name]) for name, number in self._changes.items()}

    def mark_recorded(self, written: Mapping[int, RunStream]) -> None:
        """Mark these changes as written. Rows that have changed since then stay changed."""
        with self._lock:
            for number, row in written.items():
                if self._changes.get(row.name) == number:
                    del self._changes[row.name]

    def outcome(self) -> Outcome:
        """Return the outcome of the attempt: the sums, or what has failed, also in earlier attempts."""
        failures = {
            name: self._failure(name)
            for name, row in self._rows.items()
            if row.status == Status.FAILED
        }
        if failures:
            if len(self._rows) == 1:
                return next(iter(failures.values()))
            combined = _combine(failures, len(self._rows))
            return self._stopped(combined, failures) if self.has_stopped else combined
        if unfinished := self._unfinished:
            return Failed(FailureClass.INTERNAL, f"The stream {unfinished[0]} was not run.")
        total = self._sum()
        return Succeeded(
            total.read, total.written, total.rejected, total.bytes, skipped=total.skipped
        )

    def _stopped(self, combined: Failed, failures: Mapping[str, Failed]) -> Failed:
        """Return the failure of a run that begins no further stream. Another attempt has to help all failed streams."""
        count = len(self._unfinished)
        evidence = [STOPPED.format(count=f"{count:,}")] if count else []
        return replace(
            combined,
            evidence=(*evidence, *combined.evidence),
            retryable=all(failed.retryable for failed in failures.values()),
        )

    def _failure(self, name: str) -> Failed:
        """Return the failure of the stream. That of an earlier attempt is in its row."""
        outcome = self._outcomes.get(name)
        if isinstance(outcome, Failed):
            return outcome
        row = self._rows[name]
        return Failed(
            FailureClass(row.failure_class),
            row.failure_message,
            tuple(row.failure_evidence),
            retryable=bool(row.failure_retryable),
        )

    def _mark_changed(self, name: str) -> None:
        self._change_count += 1
        self._changes[name] = self._change_count

    def _set_progress(self, name: str, progress: Progress) -> None:
        row = self._rows[name]
        row.records_read, row.records_written = progress.read, progress.written
        row.records_rejected, row.records_skipped = progress.rejected, progress.skipped
        row.bytes, row.iterations = progress.bytes, progress.iterations
        if progress.total is not None:
            row.records_total = progress.total
        self._mark_changed(name)

    def _sum(self) -> Progress:
        rows = self._rows.values()
        totals = [self._total_of(row) for row in rows]
        return Progress(
            read=sum(row.records_read for row in rows),
            written=sum(row.records_written for row in rows),
            rejected=sum(row.records_rejected for row in rows),
            bytes=sum(row.bytes for row in rows),
            iterations=sum(row.iterations for row in rows),
            total=None if None in totals else sum(total or 0 for total in totals),
            skipped=sum(row.records_skipped for row in rows),
        )

    def _total_of(self, row: RunStream) -> int | None:
        """Return the records of the stream: as it was read, as the source has counted them, or as expected."""
        if len(self._rows) == 1:
            return row.records_total
        if row.status not in UNFINISHED:
            return row.records_read
        total = row.records_total if row.records_total is not None else self._expected.get(row.name)
        return None if total is None else max(total, row.records_read)


def _set_failure(row: RunStream, failure: FailureColumns) -> None:
    for column, value in failure.items():
        setattr(row, column, value)


def _progress_of(outcome: Succeeded, iterations: int) -> Progress:
    return Progress(
        read=outcome.read,
        written=outcome.written,
        rejected=outcome.rejected,
        bytes=outcome.bytes,
        iterations=iterations,
        skipped=outcome.skipped,
    )


def _combine(failures: Mapping[str, Failed], total: int) -> Failed:
    """Return the failure of a run whose streams have failed. Its class is that of the first failed stream.

    A crash is preferred, because the number of crashes of a run is limited.
    """
    named = list(failures.items())
    crashed = (item for item in named if item[1].failure_class is FailureClass.CRASHED)
    name, first = next(crashed, named[0])
    subject = "1 stream" if len(named) == 1 else f"{len(named):,} streams"
    evidence = [f"{each}: {failed.message}" for each, failed in named[:MAX_NAMED_STREAMS]]
    if len(named) > MAX_NAMED_STREAMS:
        evidence.append(f"and {len(named) - MAX_NAMED_STREAMS:,} more streams")
    waits = [failed.retry_after for failed in failures.values() if failed.retry_after is not None]
    return Failed(
        first.failure_class,
        f"{subject} of {total:,} failed. {name}: {first.message}",
        (*evidence, *first.evidence),
        retryable=any(failed.retryable for failed in failures.values()),
        retry_after=max(waits, default=None),
    )
