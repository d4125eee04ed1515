"""Delete what is called after the runs of a pipeline."""

from __future__ import annotations

from typing import Any

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.delete_follow_up.arguments import DeleteFollowUp
from apps.alerts.follow_ups import services
from apps.orgs.roles import Permission
from apps.pipelines.visibility import find_pipeline

WARNING = (
    "The deletion cannot be undone. The log of its calls and its stored secret are deleted too."
)


def perform(context: ToolContext, arguments: DeleteFollowUp) -> Answer:
    ids: Any = {"org": context.org, "by": context.by, **dict(arguments)}
    follow_up, _ = services.find_follow_up(**ids)
    services.delete(**ids)
    content = {"follow_up_id": str(arguments.follow_up_id), "name": follow_up.name, "deleted": True}
    return Answer(content, f"Deleted the call {follow_up.name} after the runs.")


def show(context: ToolContext, arguments: DeleteFollowUp) -> Card:
    name = perform(context, arguments).content["name"]
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    facts = (("Pipeline", pipeline.name),)
    return Card(f"Delete the call {name} after the runs", facts, warnings=(WARNING,))


TOOL = Tool(
    name="delete_follow_up",
    title="Delete a call after the runs",
    description=(
        "Delete what is called after the runs of a pipeline. The user approves it first. To call nothing for a while, use"
        " update_follow_up instead."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=DeleteFollowUp,
    perform=perform,
    card=show,
)
