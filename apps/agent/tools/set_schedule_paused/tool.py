"""Pause or resume the schedule of a pipeline."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.set_schedule_paused.arguments import SetSchedulePaused
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines.models import Schedule
from apps.pipelines.schedules import services, words
from apps.pipelines.visibility import find_pipeline


def perform(context: ToolContext, arguments: SetSchedulePaused) -> Answer:
    org, by, pipeline_id = context.org, context.by, arguments.pipeline_id
    if arguments.paused:
        pipeline = services.pause(org=org, by=by, pipeline_id=pipeline_id, note=arguments.note)
    else:
        pipeline = services.resume(org=org, by=by, pipeline_id=pipeline_id)
    schedule = services.find_schedule(org=org, by=by, pipeline_id=pipeline_id)
    state = "paused" if arguments.paused else "resumed"
    return Answer(
        {
            "id": str(pipeline.pk),
            "name": pipeline.name,
            "paused": arguments.paused,
            "next_run_at": schedule.next_run_at,
        },
        f"The schedule of {pipeline.name} is {state}.",
        links=(pipeline_link(pipeline),),
    )


def show(context: ToolContext, arguments: SetSchedulePaused) -> Card:
    """Return the card. Raises Invalid if nothing would change: there is nothing to approve."""
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    before = services.schedule_of(context.org, pipeline)
    changes = _changes(before, arguments) if before is not None else ()
    if before is not None and not changes:
        state = "paused already" if arguments.paused else "not paused"
        message = f"The schedule of {pipeline.name} is {state}, so nothing would change."
        raise Invalid([("paused", message, "unchanged")])
    answer = perform(context, arguments)
    verb = "Pause" if arguments.paused else "Resume"
    next_run_at = answer.content["next_run_at"]
    zone = before.timezone if before is not None else "UTC"
    next_time = words.describe_times([next_run_at], zone) if next_run_at else "None"
    title = f"{verb} the schedule of {answer.content['name']}"
    return Card(title, facts=(("Next run", next_time),), changes=changes)


def _changes(before: Schedule, arguments: SetSchedulePaused) -> tuple[dict[str, object], ...]:
    """Return what differs. A second pause only changes the note."""
    was_paused = before.paused_at is not None
    if was_paused != arguments.paused:
        return ({"field": "schedule.paused", "before": was_paused, "after": arguments.paused},)
    if was_paused and before.paused_note != arguments.note:
        note = {"before": before.paused_note or None, "after": arguments.note or None}
        return ({"field": "schedule.paused_note", **note},)
    return ()


TOOL = Tool(
    name="set_schedule_paused",
    title="Pause or resume a schedule",
    description="Pause or resume the schedule of a pipeline. A paused schedule starts no runs; runs by hand still start.",
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=SetSchedulePaused,
    perform=perform,
    card=show,
)
