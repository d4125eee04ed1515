"""Create, show and cancel the backfills of a pipeline's streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.db.models.functions import Now

from apps.connectors import engine
from apps.engine.contract import SourceSpec
from apps.engine.windows import WHOLE_STREAM, WindowPlan, WindowRequest
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.pipelines import specs
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline
from apps.pipelines.rendering import Person, render_person
from apps.pipelines.visibility import find_pipeline
from apps.runs import services as runs
from apps.runs.backfills import possible
from apps.runs.backfills.possible import Possibility
from apps.runs.exceptions import (
    AlreadyEnded,
    BackfillEnded,
    BackfillInProgress,
    PipelineDisabled,
)
from apps.runs.models import LIVE, Backfill, Run, Status
from apps.runs.visibility import find_permitted_pipeline

MAX_SHOWN = 50


BackfillRow = TypedDict(
    "BackfillRow",
    {
        "id": UUID,
        "stream": str,
        "cursor_field": str,
        "window_mode": str,
        "from": str | None,
        "to": str | None,
        "status": str,
        "chunks": int,
        "chunks_done": int,
        "rows_expected": int | None,
        "rows_counted": bool,
        "rows_read": int,
        "rows_written": int,
        "run_id": UUID | None,
        "failure_message": str,
        "created_by": Person | None,
        "created_at": datetime,
        "finished_at": datetime | None,
    },
)


class PossibleStream(TypedDict):
    """Whether a stream can be backfilled: how its rows are written again, or the reason why not."""

    stream: str
    cursor_field: str | None
    window_mode: str | None
    refusal: str
    reads_whole: bool
    latest_end: str | None


class BackfillsOfPipeline(TypedDict):
    results: list[BackfillRow]
    streams: list[PossibleStream]


@dataclass(frozen=True, slots=True)
class WindowChoice:
    """What a user chose: the streams, and the window of each. Without an end, it ends at the saved position."""

    streams: tuple[str, ...]
    start: str | None
    end: str | None
    rows_per_chunk: int


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """The chunks of a backfill of one stream that was not created yet."""

    version: int
    stream: str
    cursor_field: str
    mode: str
    window: WindowPlan

    @property
    def bounds(self) -> list[str | None]:
        return [self.window.start, *self.window.between, self.window.end]


def plan(
    *, org: Org, by: Principal, pipeline_id: UUID, choice: WindowChoice
) -> SlowCall[list[StreamPlan]]:
    """Return a SlowCall that asks the source for the sizes of the windows, and divides them into chunks.

    Raises NotFound, PermissionMissing, PipelineDisabled, and Invalid if a stream cannot be backfilled. The call raises
    EngineError.
    """
    pipeline = _find_enabled_pipeline(org, by, pipeline_id)
    definition = possible.with_matched_streams(
        org, pipeline, versions.current_definition(org, pipeline)
    )
    found = {each.stream: each for each in possible.possibilities(definition, org.pk, pipeline.pk)}
    chosen = [
        _require_possible(found.get(name), number) for number, name in enumerate(choice.streams)
    ]
    _require_no_window(chosen, choice)
    sources = [
        specs.source_spec(org, definition, stream)
        for each in chosen
        if (stream := definition.stream(each.stream)) is not None
    ]
    version = pipeline.version

    def ask_source() -> list[StreamPlan]:
        return [
            StreamPlan(
                version,
                each.stream,
                each.cursor_field,
                each.mode,
                WHOLE_STREAM if each.reads_whole else _ask(org, source, each, choice),
            )
            for each, source in zip(chosen, sources, strict=True)
        ]

    return SlowCall(
        ask_source, lambda principal: _find_enabled_pipeline(org, principal, pipeline_id)
    )


def _find_enabled_pipeline(org: Org, by: Principal, pipeline_id: UUID) -> Pipeline:
    pipeline = find_permitted_pipeline(
        Permission.PIPELINES_RUN, org=org, by=by, pipeline_id=pipeline_id
    )
    if not pipeline.enabled:
        raise PipelineDisabled
    return pipeline


def _require_possible(found: Possibility | None, number: int) -> Possibility:
    """Return the stream if it can be backfilled. Raises Invalid."""
    field = f"streams.{number}"
    if found is None:
        raise Invalid([(field, "The pipeline has no such stream.", "unknown")])
    if found.refusal:
        raise Invalid([(field, found.refusal, "not_possible")])
    return found


def _require_no_window(chosen: Sequence[Possibility], choice: WindowChoice) -> None:
    """Raise Invalid if a window was chosen for a stream of which only the whole can be read."""
    field = "from" if choice.start is not None else "to"
    has_window = choice.start is not None or choice.end is not None
    if has_window and any(each.reads_whole for each in chosen):
        message = "The source cannot read a window of a stream. Leave it out, and all of the stream is read again."
        raise Invalid([(field, message, "not_possible")])


def _ask(org: Org, source: SourceSpec, found: Possibility, choice: WindowChoice) -> WindowPlan:
    window = WindowRequest(found.cursor_field, choice.start, choice.end, choice.rows_per_chunk)
    return engine.plan_window(
        org_id=org.pk, source=source, window=window, position=found.position or {}
    )


def create(
    *, org: Org, by: Principal, pipeline_id: UUID, plans: Sequence[StreamPlan]
) -> list[BackfillRow]:
    """Create a backfill for each plan. The scheduler starts their runs. Raises BackfillInProgress."""
    pipeline = _find_enabled_pipeline(org, by, pipeline_id)
    rows = [_make_row(org, by, pipeline, each) for each in plans]
    try:
        with transaction.atomic():
            for row in rows:
                row.save(force_insert=True)
    except IntegrityError:
        _refuse_second(org, pipeline_id, [row.stream for row in rows])
        raise
    for row in rows:
        changes = {
            "stream": [None, row.stream],
            "from": [None, row.bounds[0]],
            "to": [None, row.bounds[-1]],
        }
        _audit(org, by, "backfill.create", row, pipeline.name, changes)
    return _render(org, rows)


def _make_row(org: Org, by: Principal, pipeline: Pipeline, each: StreamPlan) -> Backfill:
    return Backfill(
        org=org,
        pipeline=pipeline,
        version=each.version,
        stream=each.stream,
        cursor_field=each.cursor_field,
        mode=each.mode,
        bounds=each.bounds,
        rows_expected=each.window.rows,
        rows_counted=each.window.is_counted,
        created_by_id=by.user_id,
    )


def _refuse_second(org: Org, pipeline_id: UUID, streams: Sequence[str]) -> None:
    unfinished = Backfill.objects.for_org(org).filter(
        pipeline_id=pipeline_id, status=Status.RUNNING, stream__in=streams
    )
    if (first := unfinished.first()) is not None:
        raise BackfillInProgress(first.pk)


def cancel(*, org: Org, by: Principal, pipeline_id: UUID, backfill_id: UUID) -> BackfillRow:
    """Cancel a backfill and its run. What was loaded stays. Raises NotFound, PermissionMissing and BackfillEnded."""
    pipeline = find_permitted_pipeline(
        Permission.RUNS_CANCEL, org=org, by=by, pipeline_id=pipeline_id
    )
    backfill = _find(org, pipeline, backfill_id)
    with transaction.atomic():
        unfinished = Backfill.objects.for_org(org).filter(pk=backfill.pk, status=Status.RUNNING)
        if not unfinished.update(status=Status.CANCELLED, finished_at=Now()):
            raise BackfillEnded
        live_run = Run.objects.for_org(org).filter(backfill=backfill, status__in=LIVE).first()
        if live_run is not None:
            with suppress(AlreadyEnded):  # It has ended since it was read.
                runs.cancel(org=org, by=by, run_id=live_run.pk)
        _audit(org, by, "backfill.cancel", backfill, pipeline.name)
    return show(org=org, by=by, pipeline_id=pipeline_id, backfill_id=backfill_id)


def _find(org: Org, pipeline: Pipeline, backfill_id: UUID) -> Backfill:
    rows = Backfill.objects.for_org(org).filter(pipeline=pipeline).select_related("created_by")
    backfill: Backfill = find_object(rows, backfill_id)
    return backfill


def show(*, org: Org, by: Principal, pipeline_id: UUID, backfill_id: UUID) -> BackfillRow:
    """Return a backfill with its progress. Raises NotFound."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    return _render(org, [_find(org, pipeline, backfill_id)])[0]


def show_all(*, org: Org, by: Principal, pipeline_id: UUID) -> BackfillsOfPipeline:
    """Return the newest backfills of the pipeline, and which of its streams can be backfilled. Raises NotFound."""
    streams = possible.list_possibilities(org=org, by=by, pipeline_id=pipeline_id)
    rows = Backfill.objects.for_org(org).filter(pipeline_id=pipeline_id)
    newest = rows.select_related("created_by").order_by("-created_at", "-id")[:MAX_SHOWN]
    return {
        "results": _render(org, newest),
        "streams": [
            {
                "stream": each.stream,
                "cursor_field": each.cursor_field or None,
                "window_mode": each.mode or None,
                "refusal": each.refusal,
                "reads_whole": each.reads_whole,
                "latest_end": each.latest_end,
            }
            for each in streams
        ],
    }


def _render(org: Org, backfills: Iterable[Backfill]) -> list[BackfillRow]:
    rows = list(backfills)
    counts = _counts_by_backfill(org, rows)
    return [_render_one(row, counts.get(row.pk, {})) for row in rows]


def _counts_by_backfill(org: Org, rows: Sequence[Backfill]) -> dict[UUID, dict[str, Any]]:
    of_runs = Run.objects.for_org(org).filter(backfill__in=rows).order_by().values("backfill_id")
    counts = of_runs.annotate(read=Sum("records_read"), written=Sum("records_written"))
    newest = Run.objects.for_org(org).filter(backfill__in=rows).order_by("backfill_id", "-chunk")
    run_ids = dict(newest.distinct("backfill_id").values_list("backfill_id", "id"))
    return {row["backfill_id"]: {**row, "run_id": run_ids[row["backfill_id"]]} for row in counts}


def _render_one(row: Backfill, counts: dict[str, Any]) -> BackfillRow:
    return {
        "id": row.pk,
        "stream": row.stream,
        "cursor_field": row.cursor_field,
        "window_mode": row.mode,
        "from": row.bounds[0],
        "to": row.bounds[-1],
        "status": row.status,
        "chunks": row.chunk_count,
        "chunks_done": row.chunks_done,
        "rows_expected": row.rows_expected,
        "rows_counted": row.rows_counted,
        "rows_read": counts.get("read") or 0,
        "rows_written": counts.get("written") or 0,
        "run_id": counts.get("run_id"),
        "failure_message": row.failure_message,
        "created_by": render_person(row.created_by),
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def render_plans(plans: Sequence[StreamPlan]) -> dict[str, Any]:
    """Return what the backfills would read, without creating them."""
    results = [
        {
            "stream": each.stream,
            "window_mode": each.mode,
            "from": each.window.start,
            "to": each.window.end,
            "rows": each.window.rows,
            "rows_counted": each.window.is_counted,
            "chunks": len(each.bounds) - 1,
        }
        for each in plans
    ]
    return {"results": results}


def _audit(
    org: Org,
    by: Principal,
    action: str,
    backfill: Backfill,
    name: str,
    changes: dict[str, Any] | None = None,
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="backfill",
        object_id=backfill.pk,
        object_label=name,
        changes=changes,
    )
