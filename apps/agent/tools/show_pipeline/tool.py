"""Show one pipeline: its settings with secrets masked, its schedule in words, and its last run."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.schedule_facts import SHOWN_TIMES
from apps.agent.tools.show_pipeline.arguments import Part, ShowPipeline
from apps.orgs.roles import Permission
from apps.pipelines import rendering, visibility
from apps.pipelines.matching import services as matching
from apps.pipelines.models import Pipeline
from apps.pipelines.schedules import plans, words
from apps.pipelines.schedules.services import schedule_of
from apps.pipelines.schedules.times import next_times

ROWS = 40  # in one answer
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
    link = pipeline_link(pipeline)
    return Answer(content, summary, links=(link,), foreign_fields=frozenset({"streams"}))


_PARTS: dict[Part, Callable[[ToolContext, ShowPipeline, Pipeline], Answer]] = {
    "settings": _settings,
    "streams": _streams,
}

TOOL = Tool(
    name="show_pipeline",
    title="Show a pipeline",
    description="Show the settings of a pipeline, its schedule and its last run. Secrets are masked.",
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ShowPipeline,
    perform=perform,
)
