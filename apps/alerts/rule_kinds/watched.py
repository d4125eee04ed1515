"""What kinds of rules that are not about pipelines say about their subjects: limits, keys and certificates, and runs that wait or fail.

The function alerts_found_subjects finds the subjects each minute, and which open alerts are over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.alerts.models import Alert
from apps.alerts.payloads import Subject
from apps.alerts.rule_kinds.verdicts import Finding


@dataclass(frozen=True, slots=True)
class FoundSubject:
    """A subject for which an alert has to be opened. `facts` are those that alerts_found_subjects returns for its kind."""

    kind: str
    key: str
    facts: dict[str, Any]

    def time(self, name: str) -> datetime:
        return datetime.fromisoformat(self.facts[name])


@dataclass(frozen=True, slots=True)
class Watch:
    """`describe` returns the subject and why its alert opens. `over` returns why an alert is closed, after the subject's name."""

    describe: Callable[[FoundSubject, dict[str, Any]], tuple[Subject, Finding]]
    over: Callable[[Alert, dict[str, Any]], str]
