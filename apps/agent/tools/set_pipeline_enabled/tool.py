"""Enable or disable a pipeline."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.set_pipeline_enabled.arguments import SetPipelineEnabled
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines import services, visibility


def perform(context: ToolContext, arguments: SetPipelineEnabled) -> Answer:
    pipeline = services.set_enabled(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        enabled=arguments.enabled,
    )
    state = "enabled" if pipeline.enabled else "disabled"
    return Answer(
        {"id": str(pipeline.pk), "name": pipeline.name, "enabled": pipeline.enabled},
        f"The pipeline {pipeline.name} is {state}.",
        links=(pipeline_link(pipeline),),
    )


def show(context: ToolContext, arguments: SetPipelineEnabled) -> Card:
    """Return the card. Raises Invalid if nothing would change: there is nothing to approve."""
    before = visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )
    if before.enabled == arguments.enabled:
        state = "enabled" if before.enabled else "disabled"
        message = f"{before.name} is {state} already, so nothing would change."
        raise Invalid([("enabled", message, "unchanged")])
    answer = perform(context, arguments)
    verb = "Enable" if arguments.enabled else "Disable"
    change = {"field": "enabled", "before": before.enabled, "after": arguments.enabled}
    return Card(f"{verb} the pipeline {answer.content['name']}", changes=(change,))


TOOL = Tool(
    name="set_pipeline_enabled",
    title="Enable or disable a pipeline",
    description="Enable or disable a pipeline. A disabled pipeline is not run by its schedule.",
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=SetPipelineEnabled,
    perform=perform,
    card=show,
)
