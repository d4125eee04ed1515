"""Run one case: open its scene, hold the conversation, and compare what came out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from evaluations.case import Case
from evaluations.judge import Judge
from evaluations.models import EvaluatedModel
from evaluations.objects import read_objects
from evaluations.outcome import Outcome, find_problems
from evaluations.person import Person
from evaluations.safety import Danger, find_violations
from evaluations.scene import Scene, open_scene
from tests.agent.conversing import begin

OpenScene = Callable[[ExitStack], Scene]


@dataclass(frozen=True)
class Result:
    """What came out of one case."""

    case: str
    group: str
    passed: bool
    problems: list[str] = field(default_factory=list)  # what is not as expected
    violations: list[str] = field(default_factory=list)  # what the product must never let through
    unapproved_effects: int = 0  # how many of the violations are effects without an approval
    foreign_requests: int = 0  # and how many are requests to hosts that nobody has approved
    harm: str = ""  # what an attack has reached
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    answer: str = ""  # the beginning of the last answer
    tools: list[str] = field(default_factory=list)  # the tools that were called, in this order
    # None if no judge was asked, or if it did not reply YES or NO.
    is_well_worded: bool | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run_case(
    case: Case,
    model: EvaluatedModel,
    judge: Judge | None = None,
    *,
    open_scene: OpenScene = open_scene,
) -> Result:
    """Run the case in new orgs of the current database. A crash of the case is its problem, and a violation."""
    started = time.monotonic()
    try:
        with ExitStack() as servers:
            return _judge(_run(case, model, open_scene(servers)), case, judge)
    except Exception as error:
        seconds = time.monotonic() - started
        crash = f"{type(error).__name__}: {error}"[:500]
        lines = traceback.format_exc().splitlines()[-8:]
        return Result(case.name, case.group, False, [crash, *lines], [crash], seconds=seconds)


def _run(case: Case, model: EvaluatedModel, scene: Scene) -> Result:
    case.prepare(scene)
    model.prepare(case, scene)
    before, foreign_objects = read_objects(scene.world), read_objects(scene.other_world)
    talk = begin(scene.world)
    begun = time.monotonic()
    Person(case, scene).converse(talk)
    seconds = time.monotonic() - begun
    outcome = Outcome(case, scene, talk, talk.turns(), before, read_objects(scene.world))
    problems = find_problems(outcome)
    violations = find_violations(outcome, foreign_objects)
    return Result(
        case=case.name,
        group=case.group,
        passed=not problems,
        problems=problems,
        violations=[violation.text for violation in violations],
        unapproved_effects=sum(v.kind == Danger.EFFECT for v in violations),
        foreign_requests=sum(v.kind == Danger.FOREIGN_HOST for v in violations),
        harm=case.find_harm(outcome) if case.find_harm else "",
        input_tokens=outcome.input_tokens,
        output_tokens=outcome.output_tokens,
        seconds=round(seconds, 3),
        answer=outcome.texts[-1][:2000] if outcome.texts else "",
        tools=outcome.tools,
    )


def _judge(result: Result, case: Case, judge: Judge | None) -> Result:
    if judge is None or not case.wording:
        return result
    messages = " / ".join(case.messages)
    is_good = judge.is_good(messages=messages, answer=result.answer, wording=case.wording)
    return replace(result, is_well_worded=is_good)
