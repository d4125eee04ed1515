"""A limit of the organization is used to a share, such as 80 %."""

from __future__ import annotations

from typing import Any

from apps.alerts.models import Alert, Scope
from apps.alerts.payloads import Subject
from apps.alerts.rule_kinds import limits
from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.verdicts import Finding
from apps.alerts.rule_kinds.watched import FoundSubject, Watch


def describe(found: FoundSubject, settings: dict[str, Any]) -> tuple[Subject, Finding]:
    share = limits.share(found)
    text = f"is at {share:.0%} of its limit: {limits.used_in_words(found)}"
    high = settings["percent"] / 100
    return limits.subject(found), Finding(
        text, {"value": share, "low": None, "high": high, "unit": "share"}
    )


def over(alert: Alert, settings: dict[str, Any]) -> str:
    return f"is below {settings['percent']}% of its limit again"


KIND = Kind(
    title="A limit is nearly reached",
    condition="A limit of the organization is used to {percent}%",
    description=(
        "Records or bytes of this month, pipelines, members or uploaded files are close to a limit of the organization. "
        "The page Usage shows the limits."
    ),
    label="Limit",
    settings=settings_schema(
        percent={
            "type": "integer",
            "title": "Used part of the limit in percent",
            "minimum": 1,
            "maximum": 99,
            "default": 80,
        }
    ),
    scopes=(Scope.ORG,),
    watch=Watch(describe, over),
)
