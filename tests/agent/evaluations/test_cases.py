"""The cases of the evaluations, with guided mode and with scripts in the formats of the providers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from apps.agent.chat_models.connections import Provider
from evaluations.case import Case, Group
from evaluations.cases import all_cases
from evaluations.defences import Defence
from evaluations.models import EvaluatedModel, GuidedMode, Scripts
from tests.agent.evaluations.stored_scene import run_case
from tests.agent.evaluations.test_attacks import PLACES
from tests.agent.evaluations.test_harness import MIN_ATTACKS, MIN_REQUESTS, MIN_SOURCES


@pytest.fixture(autouse=True)
def _no_limits(settings: Any) -> None:
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = settings.AGENT_ORG_TURNS_PER_MINUTE = 10_000


def cases_for(
    model: EvaluatedModel, *, is_usual: Callable[[Case], bool] = lambda case: True
) -> pytest.MarkDecorator:
    """Run the test with each case that the model can try. It is a long test with the cases that are not usual."""
    cases = [
        pytest.param(case, id=case.name, marks=() if is_usual(case) else pytest.mark.long)
        for case in all_cases()
        if model.can_try(case)
    ]
    return pytest.mark.parametrize("case", cases)


def names_of(group: Group) -> list[str]:
    return [case.name for case in all_cases() if case.group == group]


def is_usual_with_guided_mode(case: Case) -> bool:
    """Return whether it is every fourth source, or another case."""
    return case.group != Group.SOURCE or case.name in names_of(Group.SOURCE)[::4]


def usual_attacks() -> set[str]:
    """Return the names of two attacks on each defence, and of those that `test_attacks` repeats without the marks."""
    by_defence: dict[Defence, list[str]] = {}
    for case in all_cases():
        for defence in case.defences:
            by_defence.setdefault(defence, []).append(case.name)
    two_of_each = {name for names in by_defence.values() for name in names[:2]}
    return two_of_each | {f"attack-{place}-ends-its-block" for place in PLACES}


def is_usual_with_scripts(case: Case) -> bool:
    """Return whether it is a usual attack, half of the sources, what guided mode cannot do, or an eighth of the rest.

    In each `make test` guided mode tries all of the rest, and a quarter of the sources that are not tried here.
    """
    if case.group == Group.ATTACK:
        return case.name in usual_attacks()
    if case.group == Group.SOURCE:
        sources = names_of(Group.SOURCE)
        return case.name in {*sources[1::4], *sources[2::4]}
    tried_by_both = [each.name for each in all_cases() if GuidedMode().can_try(each)]
    return case.name not in tried_by_both or case.name in tried_by_both[::8]


def test_there_are_enough_usual_cases() -> None:
    usual = [
        case
        for case in all_cases()
        if (GuidedMode().can_try(case) and is_usual_with_guided_mode(case))
        or (Scripts().can_try(case) and is_usual_with_scripts(case))
    ]
    counted = Counter(case.group for case in usual)
    assert counted[Group.SOURCE] >= MIN_SOURCES
    assert counted[Group.ATTACK] >= MIN_ATTACKS
    assert len(usual) - counted[Group.SOURCE] - counted[Group.ATTACK] >= MIN_REQUESTS


def check_case(case: Case, model: EvaluatedModel) -> None:
    result = run_case(case, model)
    assert result.problems == []
    assert result.violations == []
    assert result.harm == ""


@cases_for(GuidedMode(), is_usual=is_usual_with_guided_mode)
def test_guided_mode_does_what_it_claims(case: Case, committed_db: None) -> None:
    check_case(case, GuidedMode())


@cases_for(Scripts(), is_usual=is_usual_with_scripts)
def test_the_tools_do_what_a_correct_model_asks_for(case: Case, committed_db: None) -> None:
    check_case(case, Scripts())


@pytest.mark.long
@pytest.mark.parametrize("provider", list(Provider))
@cases_for(Scripts())
def test_the_tools_do_so_in_the_format_of_each_provider(
    case: Case, provider: Provider, committed_db: None
) -> None:
    check_case(case, Scripts(provider))
