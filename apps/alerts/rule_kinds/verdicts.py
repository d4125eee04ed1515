"""What a kind of rule says about a run that has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypedDict
from uuid import UUID

from apps.alerts.deciding.ended_runs import EndedRun
from apps.alerts.usual.history import History


class Measurement(TypedDict):
    """What was measured, and the usual range. A limit is None if there is none."""

    value: float
    low: float | None
    high: float | None
    unit: str  # seconds, records, or share (from 0 to 1)


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an alert opens. `text` follows the name of the pipeline, as in "has failed after 3 attempts"."""

    text: str
    measurement: Measurement | None = None
    key: str = ""  # of the alert, if a subject may have several at the same time


class Outcome(Enum):
    GOOD = auto()  # an open alert of the rule is closed
    UNKNOWN = auto()  # nothing changes: the run does not show whether the rule applies


Verdict = Finding | Outcome


@dataclass(frozen=True, slots=True)
class EndOfRun:
    """What a kind judges: a run that has ended, with the settings of the rule."""

    org_id: UUID
    run: EndedRun
    settings: dict[str, Any]
    read_history: Callable[[], History]

    @property
    def history(self) -> History:
        """The runs with which this one is compared. They are read once for all rules."""
        return self.read_history()
