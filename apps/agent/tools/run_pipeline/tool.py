"""Start a run of a pipeline."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import describe_streams, kind_label, run_link
from apps.agent.tools.mode_words import describe_write_mode
from apps.agent.tools.run_pipeline.arguments import RunPipeline
from apps.orgs.roles import Permission
from apps.pipelines import visibility
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import known_documents
from apps.pipelines.models import Pipeline
from apps.runs import services


def perform(context: ToolContext, arguments: RunPipeline) -> Answer:
    run = services.start(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        force=arguments.force,
    )
    content = {"run_id": str(run.pk), "pipeline_id": str(run.pipeline_id), "status": run.status}
    summary = f"Started a run of {run.pipeline.name}."
    return Answer(content, summary, links=(run_link(run.pk),))


def show(context: ToolContext, arguments: RunPipeline) -> Card:
    pipeline = visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )
    perform(context, arguments)
    return Card(f"Run the pipeline {pipeline.name} now", facts=_facts(context, pipeline))


MAX_NAMED = 5  # tables that a card names


def _facts(context: ToolContext, pipeline: Pipeline) -> tuple[tuple[str, str], ...]:
    definition = versions.current_definition(context.org, pipeline)
    streams = [*definition.streams, *known_documents(context.org, pipeline, definition)]
    tables = ", ".join(stream["table"] for stream in streams[:MAX_NAMED])
    if len(streams) > MAX_NAMED:
        tables += f" and {len(streams) - MAX_NAMED:,} more"
    write_modes = dict.fromkeys(describe_write_mode(stream) for stream in streams)
    return (
        ("Source", f"{kind_label(pipeline.source_kind)}, {describe_streams(pipeline)}"),
        ("Destination", pipeline.destination_kind),
        ("Table" if len(streams) == 1 else "Tables", tables),
        ("Write mode", ", ".join(write_modes)),
    )


TOOL = Tool(
    name="run_pipeline",
    title="Run a pipeline",
    description=(
        "Start a run of a pipeline now. The user approves it first. The answer has the run's id; show_run tells"
        " what has become of the run."
    ),
    level=Level.RUN,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_RUN,
    arguments=RunPipeline,
    perform=perform,
    card=show,
)
