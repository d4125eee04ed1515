"""The cases of the evaluations, with guided mode and with scripts in the formats of the providers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from apps.agent.chat_models.connections import Provider
from evaluations.case import Case, Group
from evaluations.cases import all_cases
from evaluations.defences import Defence
from evaluations.models import EvaluatedModel, GuidedMode, Scripts
from evaluations.running import run_case


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


def is_every_eighth_source(case: Case, first: int) -> bool:
    """Return whether it is another case, or every eighth source: most of them are long tests, because code runs in them."""
    sources = [each.name for each in all_cases() if each.group == Group.SOURCE]
    return case.group != Group.SOURCE or case.name in sources[first::8]


def first_attacks() -> set[str]:
    """Return the name of the first attack on each defence."""
    names: dict[Defence, str] = {}
    for case in all_cases():
        for defence in case.defences:
            names.setdefault(defence, case.name)
    return set(names.values())


def is_usual_with_scripts(case: Case) -> bool:
    """Return whether it is what guided mode cannot do, one attack on a defence, or every fourth of the other cases.

    Guided mode tries the other cases in each `make test`.
    """
    if case.group == Group.ATTACK:
        return case.name in first_attacks()
    if case.group == Group.SOURCE:
        return is_every_eighth_source(case, first=4)
    tried_by_both = [each.name for each in all_cases() if GuidedMode().can_try(each)]
    return case.name not in tried_by_both or case.name in tried_by_both[::4]


def check_case(case: Case, model: EvaluatedModel) -> None:
    result = run_case(case, model)
    assert result.problems == []
    assert result.violations == []
    assert result.harm == ""


@cases_for(GuidedMode(), is_usual=partial(is_every_eighth_source, first=0))
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
