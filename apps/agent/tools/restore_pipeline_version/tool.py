"""Restore an old version of a pipeline's definition, as a new version."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.restore_pipeline_version.arguments import RestorePipelineVersion
from apps.agent.tools.shown_changes import shown_changes
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines import services, visibility
from apps.pipelines.history import services as history

NOTHING_CHANGES = "The pipeline's definition equals this version already, so nothing would change."


def perform(context: ToolContext, arguments: RestorePipelineVersion) -> Answer:
    pipeline_id, number = arguments.pipeline_id, arguments.number
    current = visibility.find_pipeline(org=context.org, by=context.by, pipeline_id=pipeline_id)
    before = current.version
    pipeline = services.restore(
        org=context.org, by=context.by, pipeline_id=pipeline_id, number=number
    )
    if pipeline.version == before:
        raise Invalid([("number", f"{NOTHING_CHANGES} (sent: {number})", "unchanged")])
    return Answer(
        {"id": str(pipeline.pk), "name": pipeline.name, "version": pipeline.version},
        f"Restored version {number} of {pipeline.name} as version {pipeline.version}.",
        links=(pipeline_link(pipeline),),
    )


def show(context: ToolContext, arguments: RestorePipelineVersion) -> Card:
    answer = perform(context, arguments)
    version = int(answer.content["version"])
    changes = history.compare_versions(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        before=version - 1,
        after=version,
    )
    shown = tuple(shown_changes(context, changes))
    title = f"Restore version {arguments.number} of the pipeline {answer.content['name']}"
    return Card(title, facts=(("Becomes", f"Version {version}"),), changes=shown)


TOOL = Tool(
    name="restore_pipeline_version",
    title="Restore a version of a pipeline",
    description=(
        "Restore an old version of a pipeline's definition: source, stream, transforms and destination. The user sees"
        " the difference first. The schedule and the other settings do not change."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=RestorePipelineVersion,
    perform=perform,
    card=show,
)
