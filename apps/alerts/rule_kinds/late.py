"""No run has succeeded for the newest scheduled time. It means what "late" means in the freshness of a pipeline.

The function alerts_found_by_time finds late pipelines each minute, and closes the alerts of pipelines that are not watched
any more. A success closes the alert at once. A pipeline that fails is not late, but failing.
"""

from __future__ import annotations

from typing import Any

from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.texts import time_in_words
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.pipelines.models import Pipeline
from apps.runs.models import Status


def judge(end: EndOfRun) -> Verdict:
    return Outcome.GOOD if end.run.status == Status.SUCCEEDED else Outcome.UNKNOWN


def describe(pipeline: Pipeline, settings: dict[str, Any]) -> Finding:
    due = f"a run was due to succeed by {time_in_words(pipeline.late_at)}"
    if pipeline.last_success_at is None:
        return Finding(f"is late: {due}, and none has succeeded yet")
    return Finding(
        f"is late: {due}, and the last one succeeded at {time_in_words(pipeline.last_success_at)}"
    )


KIND = Kind(
    title="A pipeline is late",
    condition="A pipeline is late for {tolerance_minutes} min",
    description=(
        "No run has succeeded for the newest scheduled time, with the allowance that the freshness of pipelines has. "
        "Pipelines that fail, are disabled or paused, or have no schedule are not late."
    ),
    label="Late",
    settings=settings_schema(
        tolerance_minutes={
            "type": "integer",
            "title": "Further minutes",
            "description": "Minutes to wait after the pipeline is shown as late.",
            "minimum": 0,
            "maximum": 7 * 24 * 60,
            "default": 0,
        }
    ),
    judge=judge,
    describe=describe,
    recovered="is no longer late: a run has succeeded",
)
