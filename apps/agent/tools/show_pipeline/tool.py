"""Show one pipeline: its settings with secrets masked, its schedule in words, and its last run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.record_values import hide_position
from apps.agent.tools.schedule_facts import SHOWN_TIMES
from apps.agent.tools.show_pipeline.arguments import Part, ShowPipeline
from apps.alerts.follow_ups import services as follow_ups
from apps.orgs.roles import Permission
from apps.pipelines import rendering, visibility
from apps.pipelines.drift import services as drift
from apps.pipelines.drift.rendering import COLUMNS, render_change
from apps.pipelines.file_watches import services as file_watches
from apps.pipelines.hooks import services as hooks
from apps.pipelines.matching import services as matching
from apps.pipelines.models import Pipeline
from apps.pipelines.schedules import plans, words
from apps.pipelines.schedules.services import schedule_of
from apps.pipelines.schedules.times import next_times
from apps.runs.backfills import services as backfills
from apps.runs.positions import services as positions
from apps.runs.positions.history import PositionChangeRow, read_history

ROWS = 40  # in one answer
HISTORY_ROWS = 20
NEWEST_CALLS = 10
CALL_COLUMNS = (
    *("follow_up_id", "run_id", "state", "attempts", "answer_status", "problem"),
    *("created_at", "sent_at"),
)
FOREIGN_FIELDS = frozenset(
    {"name", "description", "domain", "tags", "stream", "schedule", "config", "warnings"}
)


def perform(context: ToolContext, arguments: ShowPipeline) -> Answer:
    pipeline = visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )
    return _PARTS[arguments.part](context, arguments, pipeline)


def _settings(context: ToolContext, arguments: ShowPipeline, pipeline: Pipeline) -> Answer:
    plan = plans.from_row(schedule_of(context.org, pipeline))
    content = {
        **rendering.render_detail(context.org, context.by, pipeline),
        "schedule_in_words": words.describe(plan) if plan else "It has no schedule.",
        "next_times": next_times(plan, timezone.now(), SHOWN_TIMES) if plan else [],
    }
    summary, link = f"Read the pipeline {pipeline.name}.", pipeline_link(pipeline)
    return Answer(content, summary, links=(link,), foreign_fields=FOREIGN_FIELDS)


def _streams(context: ToolContext, arguments: ShowPipeline, pipeline: Pipeline) -> Answer:
    found = matching.list_streams(
        org=context.org,
        by=context.by,
        pipeline_id=pipeline.pk,
        state=None,
        missing=None,
        offset=arguments.offset,
        search=arguments.search,
        limit=ROWS,
    )
    content = {
        "streams": found["results"],
        "count": found["count"],
        "next_offset": found["next_offset"],
        "counts": found["counts"],
    }
    summary = f"Read {counted(found['count'], 'stream')} of the pipeline {pipeline.name}."
    return _answer(pipeline, content, summary, "streams")


def _source_changes(context: ToolContext, arguments: ShowPipeline, pipeline: Pipeline) -> Answer:
    found = drift.list_changes(
        org=context.org, by=context.by, pipeline_id=pipeline.pk, decided=False
    )
    rows = found.rows.filter(stream__icontains=arguments.search).order_by("-created_at", "-id")
    content = {
        "count": rows.count(),
        "source_changes": [
            render_change(found.streams, row)
            for row in rows.values(*COLUMNS)[arguments.offset : arguments.offset + ROWS]
        ],
    }
    summary = f"Found {counted(rows.count(), 'change')} at the source of {pipeline.name}."
    return _answer(pipeline, content, summary, "source_changes")


def _positions(context: ToolContext, arguments: ShowPipeline, pipeline: Pipeline) -> Answer:
    """Return the saved positions and their history. Positions are values of records."""
    ids: Any = {"org": context.org, "by": context.by, "pipeline_id": pipeline.pk}
    found = positions.read_positions(**ids)["streams"]
    stream = arguments.search or None
    history = read_history(**ids, stream=stream, offset=arguments.offset)
    content = {
        "positions": [
            {**row, "state": hide_position(context, row["state"])}
            for row in found
            if stream in (None, row["stream"])
        ][:ROWS],
        "count": history["count"],
        "history": [_shown_change(context, row) for row in history["results"][:HISTORY_ROWS]],
    }
    summary = f"Read {counted(len(found), 'saved position')} of {pipeline.name}."
    return _answer(pipeline, content, summary, "positions", "history")


def _shown_change(context: ToolContext, row: PositionChangeRow) -> dict[str, object]:
    before, after = (hide_position(context, row[side]) for side in ("before", "after"))
    return {**row, "before": before, "after": after}


def _backfills(context: ToolContext, arguments: ShowPipeline, pipeline: Pipeline) -> Answer:
    """Return the newest backfills, and which streams can be backfilled. Bounds are values of records."""
    found = backfills.show_all(org=context.org, by=context.by, pipeline_id=pipeline.pk)
    streams = [row for row in found["streams"] if arguments.search in row["stream"]]
    content = {
        "count": len(found["results"]),
        "backfills": [
            {**row, **{side: hide_position(context, row[side]) for side in ("from", "to")}}
            for row in found["results"][:HISTORY_ROWS]
        ],
        "streams": [
            {**row, "latest_end": hide_position(context, row["latest_end"])}
            for row in streams[arguments.offset : arguments.offset + ROWS]
        ],
    }
    summary = f"Found {counted(len(found['results']), 'backfill')} of {pipeline.name}."
    return _answer(pipeline, content, summary, "backfills", "streams")


def _file_watch(context: ToolContext, arguments: ShowPipeline, pipeline: Pipeline) -> Answer:
    watch, _ = file_watches.show(org=context.org, by=context.by, pipeline_id=pipeline.pk)
    summary = f"Read whether new files start {pipeline.name}."
    return _answer(pipeline, {"file_watch": watch}, summary, "file_watch")


def _hooks(context: ToolContext, arguments: ShowPipeline, pipeline: Pipeline) -> Answer:
    rows = hooks.hooks(org=context.org, by=context.by, pipeline_id=pipeline.pk).order_by("name")
    found = [
        {**row, "url": hooks.address(row["id"])}
        for row in rows.values("id", "name", "credential", "enabled", "last_used_at")
    ]
    summary = f"Found {counted(len(found), 'hook')} of {pipeline.name}."
    return _answer(pipeline, {"hooks": found}, summary, "hooks")


def _follow_ups(context: ToolContext, arguments: ShowPipeline, pipeline: Pipeline) -> Answer:
    """Return what is called after the runs, and the newest calls. What receivers have answered is not in it."""
    ids: Any = {"org": context.org, "by": context.by, "pipeline_id": pipeline.pk}
    found = [
        {
            **{name: getattr(row, name) for name in ("id", "name", "kind", "after", "enabled")},
            # A URL may contain a credential, which no model sees, whatever the user may see.
            "settings": follow_ups.shown_settings(
                row.kind, row.settings, row.secret_hints, is_editor=False
            ),
        }
        for row in follow_ups.follow_ups(**ids).order_by("name")
    ]
    newest = follow_ups.calls(**ids).order_by("-created_at", "-id")[:NEWEST_CALLS]
    content = {"follow_ups": found, "newest_calls": list(newest.values(*CALL_COLUMNS))}
    summary = f"Found {counted(len(found), 'call')} after the runs of {pipeline.name}."
    return _answer(pipeline, content, summary, "follow_ups", "newest_calls")


def _answer(pipeline: Pipeline, content: Mapping[str, Any], summary: str, *foreign: str) -> Answer:
    link = pipeline_link(pipeline)
    return Answer(content, summary, links=(link,), foreign_fields=frozenset(foreign))


_PARTS: dict[Part, Callable[[ToolContext, ShowPipeline, Pipeline], Answer]] = {
    "settings": _settings,
    "streams": _streams,
    "source_changes": _source_changes,
    "positions": _positions,
    "backfills": _backfills,
    "file_watch": _file_watch,
    "hooks": _hooks,
    "follow_ups": _follow_ups,
}

TOOL = Tool(
    name="show_pipeline",
    title="Show a pipeline",
    description=(
        "Show the settings of a pipeline, its schedule and its last run; or its streams, what has changed at its source,"
        " the saved positions of its streams, its backfills, what else starts it, or what is called after its runs. Secrets"
        " are masked."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ShowPipeline,
    perform=perform,
)
