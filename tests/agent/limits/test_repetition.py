"""A turn whose calls fail again and again ends before it has used all its steps, and its last answer says why."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from apps.agent.graphs import repetition
from apps.agent.graphs.repetition import MAX_FAILURES, MAX_SAME_FAILURES
from apps.agent.models import TurnStatus
from tests.agent.conversing import assert_nothing_is_lost_or_doubled, begin
from tests.agent.scripted_model import Step, use_script
from tests.world import World, make_pipeline, make_world

UNKNOWN = {"pipeline_id": "00000000-0000-0000-0000-000000000000"}


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


def attempt(
    number: int, *, arguments: Any = None, ok: bool = False, calls: int = 1
) -> list[AnyMessage]:
    """Return an answer with calls, and what the tools have answered. Only the last call succeeds if `ok` is true."""
    ids = [f"call_{number}_{position}" for position in range(calls)]
    asked = [{"name": "show_run", "args": arguments or {}, "id": call_id} for call_id in ids]
    states: Any = ["error"] * (calls - 1) + ["success" if ok else "error"]
    results = [
        ToolMessage("There is no such run.", tool_call_id=call_id, status=state)
        for call_id, state in zip(ids, states, strict=True)
    ]
    return [AIMessage("", tool_calls=asked), *results]


def thread(*attempts: list[AnyMessage]) -> list[AnyMessage]:
    return [HumanMessage("show the run"), *(message for each in attempts for message in each)]


def test_the_same_failure_ends_the_turn_the_third_time() -> None:
    same = [attempt(number) for number in range(MAX_SAME_FAILURES)]
    assert repetition.text_if_stuck(thread(*same[:-1])) == ""
    assert "the same attempt failed 3 times" in repetition.text_if_stuck(thread(*same))


def test_different_failures_end_the_turn_later() -> None:
    different = [attempt(n, arguments={"run_id": str(n)}) for n in range(MAX_FAILURES)]
    assert repetition.text_if_stuck(thread(*different[:-1])) == ""
    assert "my last 8 attempts failed" in repetition.text_if_stuck(thread(*different))


@pytest.mark.parametrize("calls", [1, 3])
def test_a_call_that_succeeds_begins_a_new_count(calls: int) -> None:
    failures = [attempt(number, calls=calls) for number in range(MAX_SAME_FAILURES)]
    failures[1] = attempt(1, ok=True, calls=calls)
    assert repetition.text_if_stuck(thread(*failures)) == ""


def test_several_failures_of_one_answer_count_once() -> None:
    assert repetition.text_if_stuck(thread(attempt(0, calls=MAX_FAILURES))) == ""


def test_the_failures_of_an_earlier_turn_do_not_count() -> None:
    earlier = thread(*(attempt(number) for number in range(MAX_SAME_FAILURES)))
    assert repetition.text_if_stuck([*earlier, HumanMessage("try again")]) == ""
    assert repetition.text_if_stuck([*earlier, HumanMessage("try again"), *attempt(9)]) == ""


@pytest.mark.parametrize("tool", ["show_pipeline", "delete_pipeline"])
def test_a_model_that_repeats_its_mistake_is_stopped_and_the_conversation_goes_on(
    tool: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, Step("", [(tool, UNKNOWN)]))
    talk = begin(world, "show my pipeline")
    talk.work()
    assert talk.row().status == TurnStatus.DONE
    items = talk.turn()["items"]
    assert [item["type"] for item in items].count("call") == MAX_SAME_FAILURES
    assert "failed 3 times with the same error" in items[-1]["text"]
    assert "name the pipeline" in items[-1]["text"]
    assert_nothing_is_lost_or_doubled(talk)
    use_script(monkeypatch, Step("I am here."))
    talk.send("Are you there?")
    talk.work()
    assert talk.turn()["items"][-1]["text"].strip() == "I am here."


def test_a_user_who_rejects_the_same_call_three_times_is_not_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(world, name="Flights")
    use_script(monkeypatch, Step("", [("delete_pipeline", {"pipeline_id": str(pipeline.pk)})]))
    talk = begin(world, "tidy up")
    for _ in range(MAX_SAME_FAILURES):
        talk.work()
        assert talk.decide(talk.open_request()["id"], "reject", reason="No.").status_code == 200
    talk.work()
    assert talk.row().status == TurnStatus.DONE
    assert "I stopped" in talk.turn()["items"][-1]["text"]
