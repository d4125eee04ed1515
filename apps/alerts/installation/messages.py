"""The JSON and the sentences of a message to operators. docs/howto/look-after.md describes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from django.conf import settings

from apps.alerts.models import InstallationProblem
from apps.alerts.payloads import time_text
from apps.auth.models import new_id


class ProblemPart(TypedDict):
    part: str
    place: str  # the machine, or empty
    seen: str
    next_step: str
    began_at: str
    ended_at: str | None


class OperatorsMessage(TypedDict):
    """`text` has the sentences of all problems. A test has no problems."""

    id: str
    at: str
    installation: str
    text: str
    began: list[ProblemPart]
    ended: list[ProblemPart]


def message(
    *, began: Sequence[InstallationProblem], ended: Sequence[InstallationProblem], at: datetime
) -> OperatorsMessage:
    parts = {"began": [_part(each) for each in began], "ended": [_part(each) for each in ended]}
    lines = [_sentence(each) for each in (*parts["began"], *parts["ended"])]
    return _message(at, "\n".join(lines), parts["began"], parts["ended"])


def test_message(at: datetime) -> OperatorsMessage:
    text = "This is a test. Problems of this installation of Drover will arrive here."
    return _message(at, text, [], [])


def title(sent: OperatorsMessage) -> str:
    began, ended = ([part["part"] for part in sent[key]] for key in ("began", "ended"))
    if began:
        return f"Drover has a problem: {', '.join(dict.fromkeys(began))}"
    if ended:
        return f"Drover has recovered: {', '.join(dict.fromkeys(ended))}"
    return "Test of the alerts of this installation"


def _message(
    at: datetime, text: str, began: list[ProblemPart], ended: list[ProblemPart]
) -> OperatorsMessage:
    return {
        "id": str(new_id()),
        "at": time_text(at),
        "installation": settings.PUBLIC_URL,
        "text": text,
        "began": began,
        "ended": ended,
    }


def _part(problem: InstallationProblem) -> ProblemPart:
    return {
        "part": problem.part,
        "place": problem.place,
        "seen": problem.seen,
        "next_step": problem.next_step,
        "began_at": time_text(problem.began_at),
        "ended_at": time_text(problem.ended_at) if problem.ended_at else None,
    }


def _sentence(part: ProblemPart) -> str:
    where = f"{part['part']} on {part['place']}" if part["place"] else part["part"]
    if part["ended_at"] is not None:
        return f"{where}: works again, after a problem since {part['began_at']}."
    return f"{where}: {part['seen']}. {part['next_step']}"
