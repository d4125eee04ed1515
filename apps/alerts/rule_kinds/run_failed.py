"""A run has failed after its retries."""

from __future__ import annotations

from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.runs.models import Status


def judge(end: EndOfRun) -> Verdict:
    if end.run.status == Status.FAILED:
        attempts = end.run.attempts
        return Finding(f"has failed after {attempts} attempt{'s' if attempts != 1 else ''}")
    return Outcome.GOOD if end.run.status == Status.SUCCEEDED else Outcome.UNKNOWN


KIND = Kind(
    title="A run fails",
    description="A run has failed after its retries.",
    label="Failed",
    settings=settings_schema(),
    judge=judge,
)
