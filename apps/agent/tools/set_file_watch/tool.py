"""Let a pipeline start when the files of its source have changed, or not."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.set_file_watch.arguments import SetFileWatch
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines.file_watches import services
from apps.pipelines.file_watches.services import WatchedFiles
from apps.pipelines.visibility import find_pipeline

NOTHING_CHANGES = "The pipeline has these values already, so nothing would change."
HOW_IT_STARTS = (
    "A run starts when two looks, one after the other, have found the same changed files."
)


def perform(context: ToolContext, arguments: SetFileWatch) -> Answer:
    watch = _replace(context, arguments, _watch(context, arguments))
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    content = {
        "id": str(pipeline.pk),
        "name": pipeline.name,
        "enabled": watch["enabled"],
        "minutes": watch["minutes"],
    }
    start = "start" if watch["enabled"] else "do not start"
    summary = f"New files {start} the pipeline {pipeline.name}."
    return Answer(content, summary, links=(pipeline_link(pipeline),))


def show(context: ToolContext, arguments: SetFileWatch) -> Card:
    """Return the card. Raises Invalid if nothing would change: there is nothing to approve."""
    before = _watch(context, arguments)
    after = _replace(context, arguments, before)
    pairs = {
        "file_watch": (before["enabled"], after["enabled"]),
        "file_watch_minutes": (before["minutes"], after["minutes"]),
        "present_files_are_new": (False, arguments.present_files_are_new),
    }
    changes = tuple(
        {"field": field, "before": old, "after": new}
        for field, (old, new) in pairs.items()
        if old != new
    )
    if not changes:
        raise Invalid([("enabled", NOTHING_CHANGES, "unchanged")])
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    facts = [("Pipeline", pipeline.name)]
    if after["enabled"]:
        facts.append(("Note", HOW_IT_STARTS))
    verb = "Start" if after["enabled"] else "Do not start"
    return Card(f"{verb} {pipeline.name} when new files arrive", tuple(facts), changes)


def _watch(context: ToolContext, arguments: SetFileWatch) -> WatchedFiles:
    watch, _ = services.show(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    return watch


def _replace(context: ToolContext, arguments: SetFileWatch, before: WatchedFiles) -> WatchedFiles:
    watch, _ = services.replace(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        enabled=arguments.enabled,
        minutes=arguments.minutes or before["minutes"],
        present_files_are_new=arguments.present_files_are_new,
    )
    return watch


TOOL = Tool(
    name="set_file_watch",
    title="Start a pipeline when new files arrive",
    description=(
        "Let a pipeline that reads files start when its files have changed, or stop that. A worker looks for them every few"
        " minutes. The user approves it first. The part file_watch of show_pipeline tells what the last look has found."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=SetFileWatch,
    perform=perform,
    card=show,
)
