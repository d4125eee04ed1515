"""No run has written a record for some hours, also if runs succeed, fail or do not start at all.

The function alerts_found_by_time finds such pipelines each minute. A run that writes records closes the alert at once.
"""

from __future__ import annotations

from typing import Any

from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.pipelines.models import Pipeline
from apps.runs.models import Status


def judge(end: EndOfRun) -> Verdict:
    has_data = end.run.status == Status.SUCCEEDED and end.run.records_written > 0
    return Outcome.GOOD if has_data else Outcome.UNKNOWN


def describe(pipeline: Pipeline, settings: dict[str, Any]) -> Finding:
    hours = settings["hours"]
    return Finding(f"has had no new data for {hours} hour{'s' if hours != 1 else ''}")


KIND = Kind(
    title="A pipeline has no new data",
    condition="A pipeline has no new data for {hours} h",
    description=(
        "No run has written a record for some hours, even if runs succeed. The hours count again from a change of the "
        "pipeline or of its schedule. Disabled and paused pipelines are left out."
    ),
    label="No new data",
    settings=settings_schema(
        hours={
            "type": "integer",
            "title": "Hours without new data",
            "minimum": 1,
            "maximum": 366 * 24,
            "default": 26,
        }
    ),
    judge=judge,
    describe=describe,
    recovered="has new data again",
)
