"""Delete a hook of a pipeline."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.delete_hook.arguments import DeleteHook
from apps.orgs.roles import Permission
from apps.pipelines.hooks import services
from apps.pipelines.models import Hook
from apps.pipelines.visibility import find_pipeline

WARNING = "The deletion cannot be undone. A program that calls the hook cannot start the pipeline any more."


def perform(context: ToolContext, arguments: DeleteHook) -> Answer:
    hook = _find_hook(context, arguments)
    services.delete(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        hook_id=arguments.hook_id,
    )
    content = {"hook_id": str(arguments.hook_id), "name": hook.name, "deleted": True}
    return Answer(content, f"Deleted the hook {hook.name}.")


def show(context: ToolContext, arguments: DeleteHook) -> Card:
    hook = _find_hook(context, arguments)
    perform(context, arguments)
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    last_call = hook.last_used_at.isoformat(timespec="seconds") if hook.last_used_at else "Never"
    facts = (("Pipeline", pipeline.name), ("Last call", last_call))
    return Card(f"Delete the hook {hook.name}", facts, warnings=(WARNING,))


def _find_hook(context: ToolContext, arguments: DeleteHook) -> Hook:
    return services.find_hook(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        hook_id=arguments.hook_id,
    )


TOOL = Tool(
    name="delete_hook",
    title="Delete a hook",
    description=(
        "Delete a hook of a pipeline. The user approves it first. To refuse its calls for a while, use update_hook instead."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=DeleteHook,
    perform=perform,
    card=show,
)
