"""Rename, enable or disable what is called after the runs of a pipeline, or change after which runs."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.update_follow_up.arguments import UpdateFollowUp
from apps.alerts.follow_ups import services
from apps.alerts.follow_ups.choices import FollowUpAfter
from apps.alerts.follow_ups.services import AUDITED, FollowUpChanges
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines.visibility import find_pipeline

NOTHING_CHANGES = "The call has these values already, so nothing would change."
WORDS = {
    FollowUpAfter.SUCCESS: "After each success",
    FollowUpAfter.END: "After each end, also after failures",
}


def perform(context: ToolContext, arguments: UpdateFollowUp) -> Answer:
    changes = FollowUpChanges()
    if arguments.name is not None:
        changes["name"] = arguments.name
    if arguments.after is not None:
        changes["after"] = arguments.after
    if arguments.enabled is not None:
        changes["enabled"] = arguments.enabled
    follow_up = services.update(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        follow_up_id=arguments.follow_up_id,
        changes=changes,
    )
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    values = {name: getattr(follow_up, name) for name in AUDITED}
    content = {"follow_up_id": str(follow_up.pk), **values}
    summary = f"Changed the call {follow_up.name} after the runs of {pipeline.name}."
    return Answer(content, summary, links=(pipeline_link(pipeline),))


def show(context: ToolContext, arguments: UpdateFollowUp) -> Card:
    """Return the card. Raises Invalid if nothing would change: there is nothing to approve."""
    before, _ = services.find_follow_up(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        follow_up_id=arguments.follow_up_id,
    )
    after = perform(context, arguments).content
    changes = tuple(
        {
            "field": name,
            "before": _in_words(name, getattr(before, name)),
            "after": _in_words(name, after[name]),
        }
        for name in AUDITED
        if getattr(before, name) != after[name]
    )
    if not changes:
        raise Invalid([("", NOTHING_CHANGES, "unchanged")])
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    facts = (("Pipeline", pipeline.name),)
    return Card(f"Change the call {before.name} after the runs", facts, changes)


def _in_words(name: str, value: object) -> object:
    return WORDS[FollowUpAfter(str(value))] if name == "after" else value


TOOL = Tool(
    name="update_follow_up",
    title="Change a call after the runs",
    description=(
        "Rename, enable or disable what is called after the runs of a pipeline, or change after which runs. The user approves"
        " it first. The user changes its URL and its secrets on the page of the pipeline."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=UpdateFollowUp,
    perform=perform,
    card=show,
)
