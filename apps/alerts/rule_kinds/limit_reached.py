"""A limit of the organization is reached: runs are stopped, or nothing can be added."""

from __future__ import annotations

from typing import Any

from apps.alerts.models import Alert, Scope
from apps.alerts.payloads import Subject
from apps.alerts.rule_kinds import limits
from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.verdicts import Finding
from apps.alerts.rule_kinds.watched import FoundSubject, Watch
from apps.runs.usage.counting import MONTHLY_LIMITS


def describe(found: FoundSubject, settings: dict[str, Any]) -> tuple[Subject, Finding]:
    effect = (
        "runs are stopped, and new ones refused, until the next month or a higher limit"
        if found.key in MONTHLY_LIMITS
        else "no more can be added, until some are removed or the limit is raised"
    )
    return limits.subject(found), Finding(
        f"has reached its limit: {limits.used_in_words(found)}; {effect}"
    )


def over(alert: Alert, settings: dict[str, Any]) -> str:
    return "is below its limit again"


KIND = Kind(
    title="A limit is reached",
    description=(
        "Records or bytes of this month, pipelines, members or uploaded files have reached a limit of the organization. "
        "Runs are stopped then, or nothing can be added."
    ),
    label="Limit reached",
    settings=settings_schema(),
    scopes=(Scope.ORG,),
    watch=Watch(describe, over),
)
