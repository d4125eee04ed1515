"""Delete a pipeline with its versions, schedule, runs and logs."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.delete_pipeline.arguments import DeletePipeline
from apps.agent.tools.links import describe_streams, kind_label
from apps.orgs.roles import Permission
from apps.pipelines import services, visibility
from apps.runs.visibility import runs

WARNINGS = (
    "The deletion cannot be undone. The versions, the runs and their logs are deleted too.",
    "Data that the pipeline has published to your own bucket or database stays there.",
)


def perform(context: ToolContext, arguments: DeletePipeline) -> Answer:
    pipeline = visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )
    services.delete(org=context.org, by=context.by, pipeline_id=pipeline.pk)
    content = {"id": str(pipeline.pk), "name": pipeline.name, "deleted": True}
    return Answer(content, f"Deleted the pipeline {pipeline.name}.")


def show(context: ToolContext, arguments: DeletePipeline) -> Card:
    pipeline = visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )
    count = runs(context.org, context.by).filter(pipeline=pipeline).count()
    perform(context, arguments)
    facts = (
        ("Name", pipeline.name),
        ("Source", f"{kind_label(pipeline.source_kind)}, {describe_streams(pipeline)}"),
        ("Destination", pipeline.destination_kind),
        ("Runs", str(count)),
    )
    return Card(f"Delete the pipeline {pipeline.name}", facts=facts, warnings=WARNINGS)


TOOL = Tool(
    name="delete_pipeline",
    title="Delete a pipeline",
    description=(
        "Delete a pipeline with its versions, runs and logs. The user approves it first. To stop a pipeline for a"
        " while, use set_pipeline_enabled instead."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_DELETE,
    arguments=DeletePipeline,
    perform=perform,
    card=show,
)
