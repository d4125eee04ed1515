"""Show one pipeline: its settings with secrets masked, its schedule in words, and its last run."""

from __future__ import annotations

from django.utils import timezone

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.schedule_facts import SHOWN_TIMES
from apps.agent.tools.show_pipeline.arguments import ShowPipeline
from apps.orgs.roles import Permission
from apps.pipelines import rendering, visibility
from apps.pipelines.schedules import plans, words
from apps.pipelines.schedules.services import schedule_of
from apps.pipelines.schedules.times import next_times

FOREIGN_FIELDS = frozenset(
    {"name", "description", "domain", "tags", "stream", "schedule", "config", "warnings"}
)


def perform(context: ToolContext, arguments: ShowPipeline) -> Answer:
    pipeline = visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )
    plan = plans.from_row(schedule_of(context.org, pipeline))
    content = {
        **rendering.render_detail(context.org, context.by, pipeline),
        "schedule_in_words": words.describe(plan) if plan else "It has no schedule.",
        "next_times": next_times(plan, timezone.now(), SHOWN_TIMES) if plan else [],
    }
    summary, link = f"Read the pipeline {pipeline.name}.", pipeline_link(pipeline)
    return Answer(content, summary, links=(link,), foreign_fields=FOREIGN_FIELDS)


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
