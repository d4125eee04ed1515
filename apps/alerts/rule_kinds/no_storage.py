"""The storage of the installation cannot be reached, and runs of the organization have failed or wait for another attempt since.

Web processes check the storage, see apps.alerts.installation. What they have seen names machines, folders and buckets, so it is
told to operators only.
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
    subject: Subject = {
        "kind": SubjectKind.RUNS.value,
        "id": found.key,
        "name": "Runs",
        "url": page_address("queue"),
    }
    return subject, Finding(
        "fail or wait for another attempt: Drover's storage cannot be reached since "
        f"{time_in_words(found.time('since'))}. Its operators are told too"
    )


def over(alert: Alert, settings: dict[str, Any]) -> str:
    return "can use Drover's storage again"


KIND = Kind(
    title="Drover's storage cannot be reached",
    condition="Drover's storage cannot be reached for {minutes} min",
    description=(
        "For some minutes, the storage of this installation could not be reached, and since then a run has failed or waits for "
        "another attempt. The storage has the logs and the files of runs."
    ),
    label="Storage cannot be reached",
    settings=settings_schema(
        minutes={
            "type": "integer",
            "title": "Minutes without the storage",
            "minimum": 3,
            "maximum": 24 * 60,
            "default": 15,
        }
    ),
    scopes=(Scope.ORG,),
    watch=Watch(describe, over),
)
