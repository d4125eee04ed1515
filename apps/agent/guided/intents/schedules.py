"""Schedules of requests: ask for a missing one, and change the schedule of a pipeline."""

from __future__ import annotations

from typing import Any

from apps.agent.guided.intents import finding
from apps.agent.guided.requests import ChangeSchedule
from apps.agent.guided.turns import OtherRequest, Turn
from apps.pipelines.schedules import words
from apps.pipelines.schedules.english import (
    ScheduleNotUnderstood,
    ScheduleWords,
    parse_words,
)
from apps.pipelines.schedules.plans import Plan

CHOICES = ("Every hour", "Every 6 hours", "Daily at 6:00", "Weekdays at 6:00", "By hand")


def choose_schedule(turn: Turn, found: ScheduleWords | None) -> Plan | None:
    """Return the schedule of the request, in the user's time zone if it names none. Asks if it is missing, or not
    understood.
    """
    if found is not None and not found.problem:
        return found.in_zone(turn.timezone)
    question = "When should it run?" if found is None else f"{found.problem} When should it run?"
    for _ in range(2):
        answer = turn.ask(question, CHOICES)
        try:
            return parse_words(answer, turn.timezone)
        except ScheduleNotUnderstood as problem:
            question = f"{problem} When should it run?"
    raise OtherRequest(answer)


def schedule_argument(plan: Plan | None) -> dict[str, Any] | None:
    """Return the schedule as an argument of a tool."""
    if plan is None:
        return None
    timing = {"cron": plan.cron} if plan.cron else {"interval_seconds": plan.interval_seconds}
    return {**timing, "timezone": plan.timezone}


def change_schedule(turn: Turn, request: ChangeSchedule) -> str:
    pipeline = finding.find_pipeline(turn, request.name)
    plan = choose_schedule(turn, request.schedule)
    arguments = {"pipeline_id": str(pipeline["id"]), "schedule": schedule_argument(plan)}
    proposed = words.describe(plan) if plan else "none, so that it runs only by hand"
    text = f"I propose this schedule for {pipeline['name']}: {proposed}."
    changed = turn.propose("update_pipeline", arguments, text).content
    # The user may have edited the proposal.
    after = changed.get("schedule_in_words") or "It runs only by hand now"
    return f"The schedule of {pipeline['name']} is changed. {after}."
