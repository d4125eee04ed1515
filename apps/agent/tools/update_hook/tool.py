"""Rename, enable or disable a hook."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.update_hook.arguments import UpdateHook
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines.hooks import services
from apps.pipelines.hooks.services import HookChanges
from apps.pipelines.visibility import find_pipeline

NOTHING_CHANGES = "The hook has these values already, so nothing would change."


def perform(context: ToolContext, arguments: UpdateHook) -> Answer:
    changes = HookChanges()
    if arguments.name is not None:
        changes["name"] = arguments.name
    if arguments.enabled is not None:
        changes["enabled"] = arguments.enabled
    hook = services.update(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        hook_id=arguments.hook_id,
        changes=changes,
    )
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    content = {"hook_id": str(hook.pk), "name": hook.name, "enabled": hook.enabled}
    summary = f"Changed the hook {hook.name} of {pipeline.name}."
    return Answer(content, summary, links=(pipeline_link(pipeline),))


def show(context: ToolContext, arguments: UpdateHook) -> Card:
    """Return the card. Raises Invalid if nothing would change: there is nothing to approve."""
    before = services.find_hook(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        hook_id=arguments.hook_id,
    )
    after = perform(context, arguments).content
    changes = tuple(
        {"field": field, "before": getattr(before, field), "after": after[field]}
        for field in ("name", "enabled")
        if getattr(before, field) != after[field]
    )
    if not changes:
        raise Invalid([("", NOTHING_CHANGES, "unchanged")])
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    return Card(f"Change the hook {before.name}", (("Pipeline", pipeline.name),), changes)


TOOL = Tool(
    name="update_hook",
    title="Change a hook",
    description=(
        "Rename, enable or disable a hook of a pipeline. The user approves it first. The user renews its secret on the page"
        " of the pipeline."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=UpdateHook,
    perform=perform,
    card=show,
)
