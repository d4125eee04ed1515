"""The cases of the evaluations, with guided mode and with scripts in the formats of the providers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest

from apps.agent.chat_models.connections import Provider
from evaluations.case import Case, Group
from evaluations.cases import all_cases
from evaluations.defences import Defence
from evaluations.models import EvaluatedModel, GuidedMode, Scripts
from evaluations.running import Result
from tests.agent.evaluations.stored_scene import run_case


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


def names_of(model: EvaluatedModel, *, groups: Collection[Group] = tuple(Group)) -> list[str]:
    return [case.name for case in all_cases() if model.can_try(case) and case.group in groups]


def is_usual_with_guided_mode(case: Case) -> bool:
    """Return whether it is one of every twenty cases of its group."""
    names = names_of(GuidedMode(), groups=[case.group])
    return case.name in names[::20]


def usual_attacks() -> set[str]:
    """Return the name of one attack on each defence."""
    by_defence: dict[Defence, str] = {}
    for case in all_cases():
        for defence in case.defences:
            by_defence.setdefault(defence, case.name)
    return {*by_defence.values()}


def is_usual_with_scripts(case: Case) -> bool:
    """Return whether it is a usual attack, or one of every thirty other cases."""
    if case.group == Group.ATTACK:
        return case.name in usual_attacks()
    return case.name in names_of(Scripts(), groups={*Group} - {Group.ATTACK})[3::30]


def test_each_group_and_each_defence_has_a_usual_case() -> None:
    usual = [
        case
        for case in all_cases()
        if (GuidedMode().can_try(case) and is_usual_with_guided_mode(case))
        or (Scripts().can_try(case) and is_usual_with_scripts(case))
    ]
    assert {case.group for case in usual} == {*Group}
    assert {defence for case in usual for defence in case.defences} == {*Defence}


def check_case(case: Case, model: EvaluatedModel) -> Result:
    result = run_case(case, model)
    assert result.problems == []
    assert result.violations == []
    assert result.harm == ""
    return result


def check_script(case: Case, model: Scripts) -> None:
    """Check also that the script was not ended early. Otherwise an attack could pass that was not tried."""
    result = check_case(case, model)
    assert {*result.tools} == {tool for step in case.script for tool, _ in step.calls}


@cases_for(GuidedMode(), is_usual=is_usual_with_guided_mode)
def test_guided_mode_does_what_it_claims(case: Case, committed_db: None) -> None:
    check_case(case, GuidedMode())


@cases_for(Scripts(), is_usual=is_usual_with_scripts)
def test_the_tools_do_what_a_correct_model_asks_for(case: Case, committed_db: None) -> None:
    check_script(case, Scripts())


@pytest.mark.long
@pytest.mark.parametrize("provider", list(Provider))
@cases_for(Scripts())
def test_the_tools_do_so_in_the_format_of_each_provider(
    case: Case, provider: Provider, committed_db: None
) -> None:
    check_script(case, Scripts(provider))
