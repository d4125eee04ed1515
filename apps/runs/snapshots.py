"""Render a run for the API and the event stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KT

from apps.engine.contract import Failed
from apps.engine.failures import FailureClass
from apps.engine.targets import READABLE_KINDS
from apps.json import JsonObject
from apps.pipelines.models import PipelineVersion
from apps.runs.claiming import admission
from apps.runs.models import (
    Attempt,
    Run,
    RunStream,
    Status,
    Trigger,
    UpstreamRun,
    kind_of_run,
)
from apps.runs.next_steps import Setting, Side, next_step, setting_to_change, sides_to_check

COLUMNS = (
    "id",
    "pipeline_id",
    "pipeline__name",
    "pipeline__domain_id",
    "pipeline__source_kind",
    "version",
    "status",
    "trigger",
    "triggered_by__email",
    "triggered_by__name",
    "schedule_id",
    "slot",
    "backfill_id",
    "replay_of_id",
    "attempt",
    "max_attempts",
    "not_before",
    "cancel_requested_at",
    "timeout_seconds",
    "created_at",
    "started_at",
    "finished_at",
    "records_read",
    "records_written",
    "records_rejected",
    "records_skipped",
    "bytes",
    "iterations",
    "records_total",
    "rate",
    "progress_at",
    "failure_class",
    "failure_message",
    "failure_evidence",
    "failure_retryable",
    "streams_total",
    "streams_failed",
    "streams_succeeded",
    "event_sequence",
    "log_lines",
)


class PipelineLabel(TypedDict):
    id: UUID
    name: str


class UpstreamRunLabel(TypedDict):
    """A success that has started the run. It has ids only, because not everybody can see the upstream pipeline."""

    pipeline_id: UUID
    run_id: UUID


class ProgressSnapshot(TypedDict):
    """Counts of all attempts of the run. `rate` is in records per second; `eta_seconds` is None if unknown."""

    read: int
    written: int
    rejected: int
    skipped: int
    bytes: int
    iterations: int
    total: int | None
    rate: float | None
    eta_seconds: float | None
    at: datetime | None


FailureSnapshot = TypedDict(
    "FailureSnapshot",
    {
        "class": str,
        "message": str,
        "evidence": list[str],
        "retryable": bool,
        "next_step": str,
        "sides": Sequence[Side],
        "setting": Setting | None,
    },
)


class RunSnapshot(TypedDict):
    """A run in a list."""

    id: UUID
    pipeline: PipelineLabel
    domain_id: UUID | None
    version: int
    status: str
    trigger: str
    kind: str
    triggered_by: str | None
    triggered_by_name: str | None
    schedule_id: UUID | None
    slot: datetime | None
    replay_of: UUID | None
    upstream_runs: list[UpstreamRunLabel]
    attempt: int
    max_attempts: int
    waiting_reason: str | None
    place_in_line: int | None
    not_before: datetime | None
    cancel_requested: bool
    timeout_seconds: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None
    progress: ProgressSnapshot
    failure: FailureSnapshot | None
    streams_total: int
    streams_failed: int
    streams_succeeded: int
    event_sequence: int
    log_lines: int


class StreamSnapshot(TypedDict):
    """A stream of a run. The cursors are positions of an incremental stream, None if they are unknown."""

    position: int
    stream: str
    table: str
    status: str
    read: int
    written: int
    rejected: int
    skipped: int
    bytes: int
    total: int | None
    cursor_before: JsonObject | None
    cursor_after: JsonObject | None
    snapshot_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None
    failure: FailureSnapshot | None


class AttemptSnapshot(TypedDict):
    number: int
    status: str
    worker: str
    started_at: datetime
    launched_at: datetime | None
    finished_at: datetime | None
    records_read: int
    records_written: int
    failure: FailureSnapshot | None
    network: list[JsonObject]


class RunWithAttempts(RunSnapshot):
    attempts: list[AttemptSnapshot]
    records_readable: bool


class FailureColumns(TypedDict):
    """Columns of a run. `failure_class` is empty if the run has no failure."""

    failure_class: str
    failure_message: str
    failure_evidence: list[str]
    failure_retryable: bool | None


def run(*, org_id: UUID, run_id: UUID) -> RunWithAttempts:
    """Return one run with its attempts. Raises Run.DoesNotExist."""
    row = _rows_with_destination(org_id).get(pk=run_id)
    (snapshot,) = render_runs(org_id, [row])
    return {
        **snapshot,
        "attempts": attempts(org_id, run_id),
        "records_readable": row["destination_kind"] in READABLE_KINDS,
    }


def runs(*, org_id: UUID, run_ids: Sequence[UUID]) -> list[RunSnapshot]:
    """Return these runs of the org in this order, without attempts. Each of them must exist."""
    rows = Run.objects.for_org(org_id).filter(pk__in=run_ids).values(*COLUMNS)
    by_id = {snapshot["id"]: snapshot for snapshot in render_runs(org_id, list(rows))}
    return [by_id[run_id] for run_id in run_ids]


def runs_with_attempts(*, org_id: UUID, run_ids: Sequence[UUID]) -> list[RunWithAttempts]:
    """Return these runs in this order, with their attempts. Makes a constant number of queries."""
    attempts_of_runs: dict[UUID, list[AttemptSnapshot]] = {run_id: [] for run_id in run_ids}
    found = Attempt.objects.for_org(org_id).filter(run_id__in=run_ids)
    for row in found.order_by("number").values():
        attempts_of_runs[row["run_id"]].append(_render_attempt(row))
    rows = {row["id"]: row for row in _rows_with_destination(org_id).filter(pk__in=run_ids)}
    return [
        {
            **snapshot,
            "attempts": attempts_of_runs[snapshot["id"]],
            "records_readable": rows[snapshot["id"]]["destination_kind"] in READABLE_KINDS,
        }
        for snapshot in render_runs(org_id, [rows[run_id] for run_id in run_ids])
    ]


def _rows_with_destination(org_id: UUID) -> QuerySet[Run, dict[str, Any]]:
    """Return runs with the columns COLUMNS, and the kind of destination of the version that the run has executed."""
    versions = PipelineVersion.objects.for_org(org_id).filter(
        pipeline_id=OuterRef("pipeline_id"), number=OuterRef("version")
    )
    kind = Subquery(versions.values(kind=KT("definition__destination__kind")))
    rows: QuerySet[Run, dict[str, Any]] = (
        Run.objects.for_org(org_id)
        .annotate(destination_kind=kind)
        .values(*COLUMNS, "destination_kind")
    )
    return rows


def render_runs(org_id: UUID, rows: Sequence[Mapping[str, Any]]) -> list[RunSnapshot]:
    """Render runs for a list, without attempts. Each row has the columns COLUMNS."""
    pending = [
        admission.PendingRun(id=row["id"], not_before=row["not_before"], attempt=row["attempt"])
        for row in rows
        if row["status"] == Status.PENDING
    ]
    waiting = admission.explain_waiting(org_id, pending)
    upstream_runs = _upstream_runs(org_id, rows)
    return [
        _render_run(row, waiting.get(row["id"]), upstream_runs.get(row["id"], [])) for row in rows
    ]


def _upstream_runs(
    org_id: UUID, rows: Sequence[Mapping[str, Any]]
) -> dict[UUID, list[UpstreamRunLabel]]:
    """Return the successes of upstream pipelines that have started these runs."""
    ids = [row["id"] for row in rows if row["trigger"] == Trigger.DEPENDENCY]
    found: dict[UUID, list[UpstreamRunLabel]] = {}
    if ids:
        for row in UpstreamRun.objects.for_org(org_id).filter(run_id__in=ids).order_by("pk"):
            label: UpstreamRunLabel = {
                "pipeline_id": row.upstream_id,
                "run_id": row.upstream_run_id,
            }
            found.setdefault(row.run_id, []).append(label)
    return found


def attempts(org_id: UUID, run_id: UUID) -> list[AttemptSnapshot]:
    """Return all attempts of the run, oldest first."""
    rows: Iterable[Mapping[str, Any]] = (
        Attempt.objects.for_org(org_id).filter(run_id=run_id).order_by("number").values()
    )
    return [_render_attempt(row) for row in rows]


def _render_attempt(row: Mapping[str, Any]) -> AttemptSnapshot:
    return {
        "number": row["number"],
        "status": row["outcome"] or "running",
        "worker": row["worker"],
        "started_at": row["started_at"],
        "launched_at": row["launched_at"],
        "finished_at": row["finished_at"],
        "records_read": row["records_read"],
        "records_written": row["records_written"],
        "failure": _render_failure(row) if row["failure_class"] else None,
        "network": row["network"] or [],
    }


def progress(row: Mapping[str, Any]) -> ProgressSnapshot:
    return {
        "read": row["records_read"],
        "written": row["records_written"],
        "rejected": row["records_rejected"],
        "skipped": row["records_skipped"],
        "bytes": row["bytes"],
        "iterations": row["iterations"],
        "total": row["records_total"],
        "rate": row["rate"],
        "eta_seconds": eta(row["records_total"], row["records_read"], row["rate"]),
        "at": row["progress_at"],
    }


def stream(row: RunStream) -> StreamSnapshot:
    return {
        "position": row.position,
        "stream": row.name,
        "table": row.table,
        "status": row.status,
        "read": row.records_read,
        "written": row.records_written,
        "rejected": row.records_rejected,
        "skipped": row.records_skipped,
        "bytes": row.bytes,
        "total": row.records_total,
        "cursor_before": row.cursor_before,
        "cursor_after": row.cursor_after,
        "snapshot_at": row.snapshot_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "duration_seconds": seconds_between(row.started_at, row.finished_at),
        "failure": _render_failure(vars(row)) if row.failure_class else None,
    }


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def eta(total: int | None, read: int, rate: float | None) -> float | None:
    """Return the remaining seconds at this rate. None if the rate is unknown, or the total is unknown or exceeded."""
    if total is None or not rate or read > total:
        return None
    return round((total - read) / rate, 1)


def _render_run(
    row: Mapping[str, Any],
    waiting: admission.WaitInfo | None,
    upstream_runs: list[UpstreamRunLabel],
) -> RunSnapshot:
    started, finished = row["started_at"], row["finished_at"]
    return {
        "id": row["id"],
        "pipeline": {"id": row["pipeline_id"], "name": row["pipeline__name"]},
        "domain_id": row["pipeline__domain_id"],
        "version": row["version"],
        "status": row["status"],
        "trigger": row["trigger"],
        "kind": kind_of_run(row["trigger"], row["backfill_id"]),
        "triggered_by": row["triggered_by__email"],
        "triggered_by_name": row["triggered_by__name"],
        "schedule_id": row["schedule_id"],
        "slot": row["slot"],
        "replay_of": row["replay_of_id"],
        "upstream_runs": upstream_runs,
        "attempt": row["attempt"],
        "max_attempts": row["max_attempts"],
        "waiting_reason": waiting.reason if waiting else None,
        "place_in_line": waiting.place if waiting else None,
        "not_before": row["not_before"],
        "cancel_requested": row["cancel_requested_at"] is not None,
        "timeout_seconds": row["timeout_seconds"],
        "created_at": row["created_at"],
        "started_at": started,
        "finished_at": finished,
        "duration_seconds": seconds_between(started, finished),
        "progress": progress(row),
        "failure": _render_failure(row) if row["failure_class"] else None,
        "streams_total": row["streams_total"],
        "streams_failed": row["streams_failed"],
        "streams_succeeded": row["streams_succeeded"],
        "event_sequence": row["event_sequence"],
        "log_lines": row["log_lines"],
    }


def _render_failure(row: Mapping[str, Any]) -> FailureSnapshot:
    """Render the failure of a run or of an attempt. Attempts have no evidence."""
    failure = FailureClass(row["failure_class"])
    return {
        "class": failure.value,
        "message": row["failure_message"],
        "evidence": row.get("failure_evidence", []),
        "retryable": row["failure_retryable"],
        "next_step": next_step(
            failure,
            row["failure_message"],
            retryable=row["failure_retryable"],
            source_kind=row.get("pipeline__source_kind", ""),
        ),
        "sides": sides_to_check(failure),
        "setting": setting_to_change(failure, row["failure_message"]),
    }


def failure_columns(failed: Failed) -> FailureColumns:
    """Return a failure as columns of the run.

    NUL and lone surrogates are replaced, because PostgreSQL cannot store them.
    """
    return {
        "failure_class": failed.failure_class,
        "failure_message": _make_storable(failed.message)[:2000],
        "failure_evidence": [_make_storable(line)[:2000] for line in failed.evidence[:50]],
        "failure_retryable": failed.retryable,
    }


def _make_storable(text: str) -> str:
    return text.replace("\0", "␀").encode("utf-8", "replace").decode()
