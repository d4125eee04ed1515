"""Read a schedule in English or as a cron expression, and list its next times."""

from __future__ import annotations

from django.utils import timezone

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.next_times.arguments import NextTimes
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines.schedules import times, words
from apps.pipelines.schedules.english import ScheduleNotUnderstood, parse_words
from apps.pipelines.schedules.plans import Plan

BY_HAND = "A pipeline without a schedule has no next times."


def perform(context: ToolContext, arguments: NextTimes) -> Answer:
    plan = _plan(arguments)
    found = times.next_times(plan, timezone.now(), arguments.count)
    schedule = {"timezone": plan.timezone}
    timing = {"cron": plan.cron} if plan.cron else {"interval_seconds": plan.interval_seconds}
    content = {
        "schedule": {**timing, **schedule},
        "in_words": words.describe(plan),
        "times": found,
    }
    first = words.describe_times(found[:1], plan.timezone)
    return Answer(content, f"{words.describe(plan)}. The next time is {first}.")


def _plan(arguments: NextTimes) -> Plan:
    """Return the schedule. Raises Invalid."""
    try:
        plan = parse_words(arguments.schedule, arguments.timezone)
    except ScheduleNotUnderstood as error:
        raise Invalid([("schedule", str(error), "invalid")]) from None
    if plan is None:
        raise Invalid([("schedule", BY_HAND, "required")])
    return plan


TOOL = Tool(
    name="next_times",
    title="List the next times of a schedule",
    description=(
        "Convert a schedule in English to the values that create_pipelines and update_pipeline take, and list its next"
        " times in UTC."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=NextTimes,
    perform=perform,
)
