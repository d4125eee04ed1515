"""All tokens count as spent, also those of answers that were discarded, broken or stopped."""

from __future__ import annotations

from typing import Any

import pytest

from apps.agent.chat_models import budgets, strict
from apps.agent.chat_models.connections import Provider
from tests.agent.chat_models.test_turns_with_models import choose
from tests.agent.test_turns import begin, show, work
from tests.agent.wire.formats import USAGE
from tests.agent.wire.replies import End, Reply, WireCall
from tests.agent.wire.server import wire_server
from tests.threads import DatabaseThread
from tests.world import World, make_world

all_formats = pytest.mark.parametrize(
    "provider", [Provider.OPENAI_COMPATIBLE, Provider.ANTHROPIC, Provider.GOOGLE]
)
LIST = WireCall("list_pipelines")
CUT_CALL = WireCall("list_pipelines", '{"name": "fli')


@pytest.fixture
def world(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setitem(strict.StrictModel.model_fields, "first_retry_wait", 0.01)
    return make_world()


def spent(world: World) -> int:
    with world.scope():
        return budgets.current(world.org.pk).used


def tokens_of(turn: Any) -> int:
    return int(turn["input_tokens"] + turn["output_tokens"])


@pytest.mark.parametrize("provider", [Provider.OPENAI_COMPATIBLE, Provider.ANTHROPIC])
def test_answers_that_cannot_be_used_are_spent(world: World, provider: Provider) -> None:
    with wire_server([Reply("", (CUT_CALL,))]) as server:
        choose(world, server, provider)
        client, conversation = begin(world, "Which pipelines are there?")
        work(world, conversation)
    turn = show(client, conversation)
    assert turn["items"][-1]["code"] == "model_bad_answer"
    assert len(server.requests) == 3
    assert tokens_of(turn) == spent(world) == 3 * sum(USAGE)


@all_formats
def test_an_answer_that_breaks_off_is_spent(world: World, provider: Provider) -> None:
    with wire_server([Reply("There are three pipelines and", end=End.BROKEN)]) as server:
        choose(world, server, provider)
        client, conversation = begin(world, "Which pipelines are there?")
        work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "failed"
    assert len(server.requests) == 1
    assert turn["output_tokens"] >= len("There are three pipelines and") // 4
    assert tokens_of(turn) == spent(world) > 100


@all_formats
def test_an_answer_that_is_discarded_and_asked_for_again_is_spent(
    world: World, provider: Provider
) -> None:
    with wire_server([Reply("", (LIST,), End.BROKEN), Reply("Here.")]) as server:
        choose(world, server, provider)
        client, conversation = begin(world, "Which pipelines are there?")
        work(world, conversation)
    turn = show(client, conversation)
    assert (turn["status"], len(server.requests)) == ("done", 2)
    assert turn["input_tokens"] >= 2 * USAGE[0]
    assert tokens_of(turn) == spent(world) > sum(USAGE)


@all_formats
def test_an_answer_that_is_stopped_is_spent(world: World, provider: Provider) -> None:
    with wire_server([Reply("There are three", silence=20)]) as server:
        choose(world, server, provider)
        client, conversation = begin(world, "Which pipelines are there?")
        worker = DatabaseThread(target=work, args=(world, conversation))
        worker.start()
        while not server.requests:
            worker.join(0.05)
        worker.join(1)
        client.post(f"/api/v1/agent/conversations/{conversation}/stop", {}, format="json")
        worker.join(10)
        assert not worker.is_alive()
    turn = show(client, conversation)
    assert turn["status"] == "stopped", turn
    assert tokens_of(turn) == spent(world) > 100


@all_formats
def test_a_request_that_is_refused_is_not_spent(world: World, provider: Provider) -> None:
    with wire_server([Reply(status=429, headers={"Retry-After": "0"})]) as server:
        choose(world, server, provider)
        client, conversation = begin(world, "Which pipelines are there?")
        work(world, conversation)
    assert len(server.requests) == 3
    assert tokens_of(show(client, conversation)) == spent(world) == 0
