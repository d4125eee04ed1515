"""No worker of the installation is alive, and runs of the organization are due or wait for one.

Workers open and deliver the other alerts. So web processes open and deliver this one, see apps.alerts.installation.for_orgs. A worker
that is alive again closes it.
"""

from __future__ import annotations

from typing import Any

from apps.alerts.models import Alert, Scope, SubjectKind
from apps.alerts.payloads import Subject, page_address
from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.texts import time_in_words
from apps.alerts.rule_kinds.verdicts import Finding
from apps.alerts.rule_kinds.watched import FoundSubject, Watch


def describe(found: FoundSubject, settings: dict[str, Any]) -> tuple[Subject, Finding]:
    count, since = found.facts["waiting"], time_in_words(found.time("since"))
    waiting = "one waits" if count == 1 else f"{count} wait, the first one"
    subject: Subject = {
        "kind": SubjectKind.RUNS.value,
        "id": found.key,
        "name": "Runs",
        "url": page_address("queue"),
    }
    return subject, Finding(
        f"do not start: {waiting} since {since}, and no worker of this installation is alive. Its operators are told too"
    )


def over(alert: Alert, settings: dict[str, Any]) -> str:
    return "start again: a worker is alive, or no run is due any more"


KIND = Kind(
    title="No worker starts the runs",
    condition="No worker starts due runs for {minutes} min",
    description=(
        "A run is due or waits, and for some minutes no worker of this installation was alive. It is told without "
        "workers. Runs that wait for their turn at a busy worker are left out."
    ),
    label="Runs do not start",
    settings=settings_schema(
        minutes={
            "type": "integer",
            "title": "Minutes without a worker",
            "minimum": 3,
            "maximum": 24 * 60,
            "default": 15,
        }
    ),
    scopes=(Scope.ORG,),
    watch=Watch(describe, over),
)
