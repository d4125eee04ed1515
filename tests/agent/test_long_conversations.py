"""Long conversations: what the model is sent of them, and what is stored."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from langchain_core.messages import AIMessage, BaseMessage

from apps.agent import chat_models
from apps.agent.chat_models import ChosenModel
from tests.agent.conversing import (
    Talk,
    assert_nothing_is_lost_or_doubled,
    begin,
    effects,
    thread_messages,
)
from tests.agent.faulty_worker import Fault, faulty_worker
from tests.agent.scripted_model import ScriptedModel, Step, use_script
from tests.world import World, make_pipeline, make_world


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


class ListeningModel(ScriptedModel):
    """A scripted model that stores each list of messages that it was sent."""

    heard: Any  # pydantic would copy a list

    def _step(self, messages: Any) -> Step:
        self.heard.append(list(messages))
        return super()._step(messages)


def listen(monkeypatch: pytest.MonkeyPatch, *steps: Step) -> list[list[BaseMessage]]:
    """Let the agent use a scripted model. Returns the messages that it is sent, one list for each call."""
    heard: list[list[BaseMessage]] = []
    chosen = ChosenModel("tests:script", lambda: ListeningModel(steps=list(steps), heard=heard))
    monkeypatch.setattr(chat_models, "choose", lambda org, own: chosen)
    return heard


def change_thread(talk: Talk, messages: list[Any]) -> None:
    """Add messages to the thread, as if an error had left them there."""
    from apps.agent.graphs import main
    from apps.agent.turns import checkpoints

    async def change() -> None:
        async with checkpoints.open_saver(talk.world.org.pk, UUID(talk.id)) as saver:
            config: Any = {"configurable": {"thread_id": talk.id}}
            await main.build(saver).aupdate_state(config, {"messages": messages}, as_node="tools")

    asyncio.run(change())


def test_a_call_whose_answer_was_lost_is_answered_before_the_model_is_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, Step("Hello."))
    talk = begin(world, "hello")
    talk.work()
    lost = {"name": "list_pipelines", "args": {}, "id": "lost", "type": "tool_call"}
    change_thread(talk, [AIMessage("", tool_calls=[lost], id="answer")])
    heard = listen(monkeypatch, Step("I am here."))
    monkeypatch.setattr("apps.agent.turns.steps.answers_to_open_calls", lambda *_: [])
    talk.send("Are you there?")
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()
    (answer,) = [m for m in heard[0] if m.type == "tool"]
    assert "had no effect" in answer.text
    assert [m.type for m in heard[0]] == ["system", "human", "ai", "ai", "tool", "human"]
    assert_nothing_is_lost_or_doubled(talk)


def test_the_prompt_names_the_page_and_the_time_zone_of_the_newest_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = listen(monkeypatch, Step("Done."))
    talk = begin(world, "hello")
    talk.work()
    talk.send("And now?", page="/runs", timezone="Europe/Paris")
    talk.work()
    first, second = (str(messages[0].text) for messages in heard)
    added = second.removeprefix(first)
    assert "The user is on the page /runs of the dashboard." in added
    assert "The user's time zone is Europe/Paris." in added


def size_of_thread(talk: Talk) -> tuple[int, int]:
    """Return how many checkpoints the thread has, and how many bytes its values take."""
    with talk.world.scope(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM agent.checkpoints WHERE thread_id = %(id)s),"
            " (SELECT coalesce(sum(length(blob)), 0) FROM agent.checkpoint_blobs WHERE thread_id = %(id)s)"
            " + (SELECT coalesce(sum(length(blob)), 0) FROM agent.checkpoint_writes WHERE thread_id = %(id)s)",
            {"id": talk.id},
        )
        count, size = cursor.fetchone() or (0, 0)
    return int(count), int(size)


LIST = Step("I look.", [("list_pipelines", {})])


def test_only_the_newest_checkpoint_of_a_conversation_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, LIST, Step("There are none."))
    talk = begin(world)
    for number in range(8):
        talk.send(f"message {number}")
        talk.work()
    count, size = size_of_thread(talk)
    assert count == 1
    assert size < 20_000  # 34 messages of up to 300 bytes; without deleting it was 300,000 bytes
    assert len(thread_messages(talk)) == 8 * 4
    assert_nothing_is_lost_or_doubled(talk)


def test_a_change_can_be_approved_after_old_checkpoints_were_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(world, name="flights")
    off = ("set_pipeline_enabled", {"pipeline_id": str(pipeline.pk), "enabled": False})
    use_script(monkeypatch, LIST, Step("I disable it.", [off]), Step("Done."))
    talk = begin(world, "disable it")
    talk.work()
    assert talk.turn()["status"] == "waiting", talk.turn()
    assert size_of_thread(talk)[0] == 1
    assert talk.decide(talk.open_request()["id"]).status_code == 200
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()
    assert effects(world) == ["pipeline.update"]
    assert_nothing_is_lost_or_doubled(talk)


@pytest.mark.long
def test_a_conversation_goes_on_after_its_worker_is_killed_while_it_deletes_checkpoints(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begin(world, "hello")
    fault = Fault(signal.SIGKILL, "DELETE FROM checkpoints", is_executed=True)
    with faulty_worker(tmp_path, [LIST, Step("Hello.")], fault) as worker:
        assert worker.wait(60) == -signal.SIGKILL
    assert talk.turn()["status"] == "done", talk.turn()
    assert size_of_thread(talk)[0] > 1
    use_script(monkeypatch, Step("I am here."))
    talk.send("Are you there?")
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()
    assert [m.text.strip() for m in thread_messages(talk) if m.type == "ai"] == [
        "I look.",
        "Hello.",
        "I am here.",
    ]
    assert size_of_thread(talk)[0] == 1
    assert_nothing_is_lost_or_doubled(talk)


def test_a_turn_is_done_even_if_old_checkpoints_cannot_be_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    attempts = []

    async def fail(saver: Any, threads: Any) -> None:
        attempts.append(threads)
        raise psycopg.errors.SerializationFailure("could not serialize access")

    monkeypatch.setattr(AsyncPostgresSaver, "aprune", fail)
    use_script(monkeypatch, Step("Hello."))
    talk = begin(world, "hello")
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()
    assert len(attempts) == 3
