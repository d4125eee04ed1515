"""Export the list of runs as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.orgs.walls.scope import org_scope
from apps.runs.models import Run
from apps.runs.snapshots import seconds_between
from apps.web.wire import csv_line

MAX_RUNS = 100_000  # of one file
CHUNK_SIZE = 1000  # runs per transaction
COLUMNS = {  # {heading: column of the row}
    "id": "id",
    "pipeline": "pipeline__name",
    "status": "status",
    "trigger": "trigger",
    "triggered_by": "triggered_by__email",
    "created": "created_at",
    "started": "started_at",
    "finished": "finished_at",
    "duration_seconds": "duration_seconds",
    "attempts": "attempt",
    "streams": "streams_total",
    "streams_published": "streams_succeeded",
    "read": "records_read",
    "written": "records_written",
    "rejected": "records_rejected",
    "skipped": "records_skipped",
    "bytes": "bytes",
    "failure": "failure_class",
    "message": "failure_message",
}


def csv_of_runs(rows: QuerySet[Run, dict[str, Any]], *, org_id: UUID) -> Iterator[str]:
    """Yield the newest MAX_RUNS of these rows of `filter_runs` as lines of CSV, newest first."""
    yield csv_line(COLUMNS)
    for row in _read_newest(rows, org_id):
        seconds = seconds_between(row["started_at"], row["finished_at"])
        values = {**row, "duration_seconds": seconds}
        yield csv_line(values[column] for column in COLUMNS.values())


def _read_newest(rows: QuerySet[Run, dict[str, Any]], org_id: UUID) -> Iterator[Mapping[str, Any]]:
    """Read each chunk in its own short transaction, so that a slow reader holds no locks."""
    remaining = MAX_RUNS
    after = Q()
    while remaining > 0:
        with org_scope(org_id):
            newest = rows.filter(after).order_by("-created_at", "-id")
            chunk = list(newest[: min(CHUNK_SIZE, remaining)])
        yield from chunk
        if len(chunk) < CHUNK_SIZE:
            return
        remaining -= len(chunk)
        last = chunk[-1]
        after = Q(created_at__lt=last["created_at"]) | Q(
            created_at=last["created_at"], id__lt=last["id"]
        )
