"""The measurements of turns return figures. The figures themselves are not tested, because machines differ."""

from __future__ import annotations

import pytest

from bench.agent import run_turns
from bench.agent.instant_model import InstantModel


@pytest.fixture
def _instant_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.agent import chat_models

    chosen = chat_models.ChosenModel("bench:instant", InstantModel)
    monkeypatch.setattr(chat_models, "choose", lambda org, own: chosen)


@pytest.mark.usefixtures("committed_db", "_instant_model")
def test_turns_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_turns, "WARM_UP", 0)
    monkeypatch.setattr(run_turns, "LONG", 3)
    monkeypatch.setattr(run_turns, "LONG_THREADS", 1)
    times = run_turns.measure(2)
    assert (len(times.first), len(times.processor), len(times.graph)) == (2, 2, 2)
    assert all(value > 0 for value in (*times.first, *times.later, *times.graph))
