"""Write a running attempt to its rows, and publish the events for clients that follow it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from apps.connectors.storage import databases_root
from apps.engine.contract import (
    FileEvent,
    FileMoved,
    FilesWithdrawn,
    Network,
    OutputFile,
    Progress,
)
from apps.engine.source_columns import SourceColumns
from apps.live import events
from apps.pipelines.drift import recording as drift
from apps.runs import snapshots, states
from apps.runs.attempts.log_parts import StoredPart
from apps.runs.attempts.unwritten_events import NewData
from apps.runs.claiming.leases import Claim
from apps.runs.following import feed
from apps.runs.models import Attempt, Output, RunStream
from apps.runs.outputs import databases, logs

STREAM_COLUMNS = (
    "status", "started_at", "finished_at", "records_read", "records_written", "records_rejected",
    "records_skipped", "bytes", "iterations", "records_total", "cursor_before", "cursor_after",
    "snapshot_at", "failure_class", "failure_message", "failure_evidence", "failure_retryable",
)  # fmt: skip
UPDATE_STREAMS = f"""
UPDATE runs_runstream AS stream SET ({", ".join(STREAM_COLUMNS)}) = (new.{", new.".join(STREAM_COLUMNS)})
FROM jsonb_populate_recordset(NULL::runs_runstream, %s) AS new
WHERE stream.id = new.id AND stream.org_id = %s
"""  # noqa: S608 - constants
MAX_NAMED_STREAMS = 10  # that an event names


class AttemptRows:
    """Writes to the rows of one attempt."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._rate = Rate()

    def write(
        self, owned_run: Any, new_data: NewData, part: StoredPart | None, *, written: int | None
    ) -> None:
        """Write new data. Call it in the transaction of `leases.held`, which yields `owned_run`.

        If the run has several streams, `written` is the number of records that all of them have written.
        """
        claim = self._claim
        if new_data.launched:
            self._record_launch()
        new_events = [
            *(self._record_part(part, owned_run) if part else ()),
            *(self._record_progress(new_data.progress, owned_run) if new_data.progress else ()),
            *(self._record_columns(new_data.columns) if new_data.columns else ()),
        ]
        self._record_outputs(new_data.outputs, written)
        self._record_network(new_data.network)
        events.publish(
            feed.RUN_SUBJECT, org_id=claim.org_id, key=claim.run_id, new_events=new_events
        )

    def write_streams(
        self, owned_run: Any, rows: Sequence[RunStream], counts: Mapping[str, int]
    ) -> None:
        """Write changed streams and the run's numbers of streams, in the transaction of `leases.held`."""
        claim = self._claim
        _update_streams(claim, rows)
        owned_run.update(**counts)
        new_event = events.NewEvent("streams", dict(counts))
        events.publish(
            feed.RUN_SUBJECT, org_id=claim.org_id, key=claim.run_id, new_events=[new_event]
        )

    def _record_launch(self) -> None:
        claim = self._claim
        Attempt.objects.for_org(claim.org_id).filter(
            run_id=claim.run_id, number=claim.attempt, launched_at=None
        ).update(launched_at=Now())
        states.announce(org_id=claim.org_id, run_id=claim.run_id)

    def _record_network(self, network: Network | None) -> None:
        if network is None:
            return
        claim = self._claim
        attempts = Attempt.objects.for_org(claim.org_id).filter(run_id=claim.run_id)
        attempts.filter(number=claim.attempt).update(network=network.hosts)

    def _record_part(self, part: StoredPart, owned_run: Any) -> list[events.NewEvent]:
        logs.save(part.row)
        owned_run.update(log_lines=part.end)
        lines = [logs.render_line(line) for line in part.new_lines]
        return [events.NewEvent("log", {"first_line": part.end - len(lines), "lines": lines})]

    def _record_progress(self, latest: Progress, owned_run: Any) -> list[events.NewEvent]:
        rate, now = self._rate.update(latest.read), timezone.now()
        owned_run.update(**progress_columns(latest), rate=rate, progress_at=now)
        body = {
            "run_id": self._claim.run_id,
            "read": latest.read,
            "written": latest.written,
            "rejected": latest.rejected,
            "skipped": latest.skipped,
            "bytes": latest.bytes,
            "iterations": latest.iterations,
            "total": latest.total,
            "rate": rate,
            "eta_seconds": snapshots.eta(latest.total, latest.read, rate),
            "at": now,
        }
        return [events.NewEvent("progress", body)]

    def _record_columns(self, found: Mapping[str, SourceColumns]) -> list[events.NewEvent]:
        """Compare the sources of streams with those of the run before."""
        claim = self._claim
        changes = drift.record(
            org_id=claim.org_id, pipeline_id=claim.pipeline_id, run_id=claim.run_id, found=found
        )
        if not changes:
            return []
        streams = dict.fromkeys(change.stream for change in changes)
        body = {
            "run_id": claim.run_id,
            "pipeline_id": claim.pipeline_id,
            "changes": len(changes),
            "streams": list(streams)[:MAX_NAMED_STREAMS],
        }
        return [events.NewEvent("drift", body)]

    def _record_outputs(self, outputs: tuple[FileEvent, ...], written: int | None) -> None:
        for output in outputs:
            if isinstance(output, FilesWithdrawn):
                self._withdraw(output.prefix)
            elif isinstance(output, FileMoved):
                self._move(output)
            else:
                self._record_output(output, written)

    def _record_output(self, output: OutputFile, written: int | None) -> None:
        """Add a published file. It replaces an earlier file with the same name.

        All streams of a run write their tables to the same DuckDB file.
        """
        is_database = output.media_type == databases.MEDIA_TYPE
        claim = self._claim
        Output.unscoped.update_or_create(
            org_id=claim.org_id,
            run_id=claim.run_id,
            name=output.name[-255:],
            defaults={
                "key": output.key,
                "bytes": output.bytes,
                "rows": written if is_database and written is not None else output.rows,
                "media_type": output.media_type,
            },
        )
        if output.key.startswith(f"{databases_root(claim.org_id).prefix}/"):
            # Runs of other pipelines list the same file, which has another size now.
            Output.objects.for_org(claim.org_id).filter(
                key=output.key, media_type=output.media_type
            ).update(bytes=output.bytes)

    def _move(self, moved: FileMoved) -> None:
        """Correct the place of a file in the output lists of the pipeline's other runs."""
        claim = self._claim
        Output.objects.for_org(claim.org_id).filter(
            run__pipeline_id=claim.pipeline_id, key=moved.key
        ).update(key=moved.new_key, bytes=moved.bytes)

    def _withdraw(self, prefix: str) -> None:
        """Remove the files under `prefix` from the output lists of the pipeline's other runs.

        The files were deleted, or this run has rewritten them.
        """
        claim = self._claim
        Output.objects.for_org(claim.org_id).filter(
            run__pipeline_id=claim.pipeline_id, key__startswith=prefix
        ).exclude(run_id=claim.run_id).delete()


def _update_streams(claim: Claim, rows: Sequence[RunStream]) -> None:
    """Update the rows by one statement whose length does not grow with them, as that of `bulk_update` does."""
    values = [{name: getattr(row, name) for name in ("id", *STREAM_COLUMNS)} for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(UPDATE_STREAMS, [json.dumps(values, default=str), claim.org_id])


class Rate:
    """Records per second, smoothed over the last few measurements."""

    def __init__(self) -> None:
        self._measured_at = time.monotonic()
        self._last_read: int | None = None
        self._value: float | None = None

    def update(self, read: int) -> float | None:
        """Return the new rate after `read` records. Returns None for the first measurement."""
        now = time.monotonic()
        previous_read, self._last_read = self._last_read, read
        elapsed, self._measured_at = now - self._measured_at, now
        if previous_read is None or elapsed <= 0:
            return None
        latest = max(read - previous_read, 0) / elapsed
        self._value = latest if self._value is None else (self._value + latest) / 2
        return round(self._value, 1)


class ProgressColumns(TypedDict):
    """Progress as columns of the run. The total is left unchanged if the source does not report one."""

    records_read: int
    records_written: int
    records_rejected: int
    records_skipped: int
    bytes: int
    iterations: int
    records_total: int | F


def progress_columns(latest: Progress) -> ProgressColumns:
    """Return progress as columns of the run."""
    return {
        "records_read": latest.read,
        "records_written": latest.written,
        "records_rejected": latest.rejected,
        "records_skipped": latest.skipped,
        "bytes": latest.bytes,
        "iterations": latest.iterations,
        "records_total": latest.total if latest.total is not None else F("records_total"),
    }
