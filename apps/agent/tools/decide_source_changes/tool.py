"""Accept or ignore what has changed at the source of a pipeline, or pause its schedule because of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.decide_source_changes.arguments import DecideSourceChanges
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.pipeline_differences import differences, state_of
from apps.agent.tools.shown_changes import shown_changes
from apps.orgs.roles import Permission
from apps.pipelines import visibility
from apps.pipelines.drift import services
from apps.pipelines.drift.rendering import COLUMNS, render_change
from apps.pipelines.models import Pipeline

VERBS = {"accept": "Accept", "ignore": "Ignore", "pause": "Pause the schedule because of"}
DONE = {"accept": "Accepted", "ignore": "Ignored", "pause": "Paused the schedule because of"}
CHANGES = {
    "column_added": "new column {column}",
    "column_removed": "column {column} is gone",
    "type_changed": "column {column} has another type",
    "key_changed": "another key",
    "stream_missing": "the stream is gone",
}
EFFECTS = {
    "arrives": "it arrives",
    "left_out": "it is left out",
    "fails_runs": "it fails runs",
    "leaves_out_records": "records with it are skipped",
}


def perform(context: ToolContext, arguments: DecideSourceChanges) -> Answer:
    rows = _decide(context, arguments)
    pipeline = _find_pipeline(context, arguments)
    content = {
        "pipeline_id": str(pipeline.pk),
        "name": pipeline.name,
        "decision": arguments.decision,
        "source_changes": rows,
    }
    summary = f"{DONE[arguments.decision]} {counted(len(rows), 'change')} at the source of {pipeline.name}."
    links, foreign = (pipeline_link(pipeline),), frozenset({"source_changes"})
    return Answer(content, summary, links=links, foreign_fields=foreign)


def show(context: ToolContext, arguments: DecideSourceChanges) -> Card:
    pipeline = _find_pipeline(context, arguments)
    before = state_of(context, pipeline)
    found = services.list_changes(
        org=context.org, by=context.by, pipeline_id=pipeline.pk, decided=None
    )
    rows = found.rows.filter(pk__in=arguments.change_ids).order_by("created_at", "id")
    # Before the decision, because it can change what happens to a column.
    shown_rows = [render_change(found.streams, row) for row in rows.values(*COLUMNS)]
    facts = tuple((row["stream"], describe_change(row)) for row in shown_rows)
    _decide(context, arguments)
    after = state_of(context, _find_pipeline(context, arguments))
    shown = tuple(shown_changes(context, differences(before, after)))
    count = counted(len(arguments.change_ids), "change")
    title = f"{VERBS[arguments.decision]} {count} at the source of {pipeline.name}"
    return Card(title, facts, shown)


def describe_change(row: Mapping[str, object]) -> str:
    """Return a change of a stream in words: what has changed, the types, and what it does to runs."""
    text = CHANGES[str(row["kind"])].format(column=row["column"])
    types = " instead of ".join(str(row[side]) for side in ("after", "before") if row[side])
    effect = EFFECTS.get(str(row["effect"]), "")
    return ", ".join(filter(None, [text, types, effect]))


def _decide(context: ToolContext, arguments: DecideSourceChanges) -> list[dict[str, Any]]:
    rows = []
    for change_id in dict.fromkeys(arguments.change_ids):
        found = services.decide(
            org=context.org,
            by=context.by,
            pipeline_id=arguments.pipeline_id,
            change_id=change_id,
            decision=arguments.decision,
        )
        rows.append(dict(render_change(found.streams, found.rows.values(*COLUMNS).get())))
    return rows


def _find_pipeline(context: ToolContext, arguments: DecideSourceChanges) -> Pipeline:
    return visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )


TOOL = Tool(
    name="decide_source_changes",
    title="Decide about changes at the source",
    description=(
        "Accept or ignore changes at the source of a pipeline, or pause its schedule because of them. The user approves it"
        " first."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=DecideSourceChanges,
    perform=perform,
    card=show,
)
