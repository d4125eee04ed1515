"""The schedule of a pipeline, as facts of a card."""

from __future__ import annotations

from django.utils import timezone

from apps.agent.tools.base import ToolContext
from apps.pipelines.models import Pipeline
from apps.pipelines.schedules import plans, words
from apps.pipelines.schedules.blackouts import describe_window
from apps.pipelines.schedules.services import schedule_of
from apps.pipelines.schedules.times import next_times

SHOWN_TIMES = 3


def facts_of_schedule(
    context: ToolContext, pipeline: Pipeline, *, label: str = "Schedule"
) -> list[tuple[str, str]]:
    """Return the schedule in words and as cron expression, its blackouts, and its next times."""
    plan = plans.from_row(schedule_of(context.org, pipeline))
    if plan is None:
        return [(label, "None: run it by hand")]
    times = next_times(plan, timezone.now(), SHOWN_TIMES)
    facts = [(label, words.describe(plan))]
    if plan.cron:
        facts.append(("Cron", f"{plan.cron} ({plan.timezone})"))
    if plan.blackouts:
        facts.append(("Blackouts", "; ".join(map(describe_window, plan.blackouts))))
    return [*facts, ("Next times", words.describe_times(times, plan.timezone))]
