"""Answers and decisions count like messages. No limit makes them impossible, and only answers may have to wait."""

from __future__ import annotations

from typing import Any

import pytest

from apps.agent.conversations import limits
from tests.agent.conversing import Talk, begin
from tests.agent.scripted_model import Call, Step, use_script
from tests.world import World, make_connector, make_pipeline, make_world

QUESTION: Call = ("ask", {"question": "Which one?", "choices": ["a", "b"]})
FORM: Call = ("request_connector", {"role": "source", "kind": "dummy", "name": "numbers"})


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


def begin_waiting(world: World, monkeypatch: pytest.MonkeyPatch, call: Call) -> Talk:
    """Return a conversation that waits for the user after this call. It counts as one message."""
    use_script(monkeypatch, Step("", [call]), Step("That is all."))
    talk = begin(world, "do it")
    talk.work()
    return talk


def disabling(world: World) -> Call:
    pipeline = make_pipeline(world)
    return ("set_pipeline_enabled", {"pipeline_id": str(pipeline.pk), "enabled": False})


def answer(talk: Talk, **value: Any) -> Any:
    return talk.decide(talk.open_request()["id"], "answer", answer=value)


@pytest.mark.parametrize("decision", ["approve", "reject", "edit"])
def test_a_decision_is_never_refused_and_counts(
    decision: str, world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    call = disabling(world)
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = 2
    talk = begin_waiting(world, monkeypatch, call)
    body = {"arguments": call[1]} if decision == "edit" else {}
    request = talk.open_request()["id"]
    assert talk.decide(request, decision, **body).status_code == 200
    refused = begin(world).post("messages", text="Hello")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_turns")
    assert "2 messages, answers and decisions within a minute" in refused.json()["detail"]


def test_a_decision_above_the_limits_is_carried_out(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    talk = begin_waiting(world, monkeypatch, disabling(world))
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = settings.AGENT_MEMBER_TURNS_AT_ONCE = 1
    settings.CONVERSATION_SIZE = 0
    assert talk.decide(talk.open_request()["id"]).status_code == 200
    talk.work()
    assert talk.turn()["status"] == "done"


@pytest.mark.parametrize("way", ["message", "choice"])
@pytest.mark.parametrize("limit", ["MEMBER", "ORG"])
def test_an_answer_above_the_limit_of_a_minute_waits_and_its_question_stays_open(
    limit: str, way: str, world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    talk = begin_waiting(world, monkeypatch, QUESTION)
    name = f"AGENT_{limit}_TURNS_PER_MINUTE"
    setattr(settings, name, 1)

    def send() -> Any:
        return talk.post("messages", text="a") if way == "message" else answer(talk, text="a")

    refused = send()
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_turns")
    assert 1 <= int(refused["Retry-After"]) <= limits.MINUTE.total_seconds()
    setattr(settings, name, 2)
    assert send().status_code in {200, 202}
    talk.work()
    assert talk.turn()["status"] == "done"
    assert begin(world).post("messages", text="Hello").status_code == 429, "the answer has counted"


@pytest.mark.parametrize("way", ["message", "choice"])
def test_an_answer_is_possible_in_a_full_conversation_and_while_others_are_worked_on(
    way: str, world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    talk = begin_waiting(world, monkeypatch, QUESTION)
    begin(world, "another")
    settings.CONVERSATION_SIZE, settings.AGENT_MEMBER_TURNS_AT_ONCE = 0, 1
    given = talk.post("messages", text="a") if way == "message" else answer(talk, text="a")
    assert given.status_code in {200, 202}


def test_a_connector_that_was_saved_in_a_form_is_always_taken(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    talk = begin_waiting(world, monkeypatch, FORM)
    connector = make_connector(world, name="numbers", kind="dummy")
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = 1
    assert answer(talk, connector_id=str(connector.pk)).status_code == 200
