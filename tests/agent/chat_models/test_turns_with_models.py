"""Whole turns with the real clients of providers, against local servers."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from apps.agent.chat_models.connections import Provider
from apps.agent.models import ModelUsage
from tests.agent.test_turns import begin, show, work
from tests.agent.wire.formats import USAGE
from tests.agent.wire.replies import Reply, WireCall
from tests.agent.wire.server import KEY, MODELS, WireServer, wire_server
from tests.world import World, make_pipeline, make_world

all_providers = pytest.mark.parametrize("provider", list(Provider))
LIST = WireCall("list_pipelines")


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


def choose(world: World, server: WireServer, provider: Provider, **fields: Any) -> None:
    body = {
        "provider": provider,
        "model": MODELS[provider],
        "key": KEY,
        "base_url": server.base_url(provider),
        **fields,
    }
    response = world.client("admin").put("/api/v1/org/model", body, format="json")
    assert response.status_code == 200, response.json()


def kinds(world: World, conversation: str) -> list[Any]:
    from apps.agent.models import Event

    with world.scope():
        return list(
            Event.objects.for_org(world.org)
            .filter(conversation_id=conversation)
            .order_by("sequence")
            .values_list("kind", "body")
        )


@all_providers
def test_a_turn_calls_a_tool_and_answers(world: World, provider: Provider) -> None:
    make_pipeline(world, name="flights")
    with wire_server([Reply("I look. ", (LIST,)), Reply("There is one: flights.")]) as server:
        choose(world, server, provider)
        client, conversation = begin(world, "Which pipelines are there?")
        work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "done", turn
    assert [item["type"] for item in turn["items"]] == ["message", "call", "message"]
    assert turn["items"][2]["text"] == "There is one: flights."
    assert turn["input_tokens"] == 2 * USAGE[0]
    with world.scope():
        usage = ModelUsage.objects.for_org(world.org).get()
    assert (usage.input_tokens, usage.output_tokens) == (2 * USAGE[0], 2 * USAGE[1])
    assert KEY not in str(kinds(world, conversation))


@all_providers
def test_a_turn_without_a_failure_writes_no_warning_to_the_log(
    world: World, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    with wire_server([Reply("Hello.")]) as server:
        choose(world, server, provider)
        _, conversation = begin(world, "Hello")
        work(world, conversation)
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == []


@all_providers
def test_a_tool_that_does_not_exist_is_answered(world: World, provider: Provider) -> None:
    with wire_server([Reply("", (WireCall("drop_database"),)), Reply("I cannot.")]) as server:
        choose(world, server, provider)
        client, conversation = begin(world, "Drop it")
        work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "done", turn
    assert "There is no tool " in str(server.requests[1].body)


@all_providers
def test_a_key_that_is_revoked_in_mid_turn_fails_with_words_and_can_be_tried_again(
    world: World, provider: Provider
) -> None:
    replies = [Reply("", (LIST,)), Reply(status=401, message=f"revoked {KEY}"), Reply("Here.")]
    with wire_server(replies) as server:
        choose(world, server, provider)
        client, conversation = begin(world, "Which pipelines are there?")
        work(world, conversation)
        turn = show(client, conversation)
        assert turn["status"] == "failed"
        assert turn["items"][-1]["code"] == "model_auth"
        assert "Settings" in turn["items"][-1]["next_step"]
        client.post(f"/api/v1/agent/conversations/{conversation}/retry", {}, format="json")
        work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "done", turn
    assert len(server.requests) == 3
    assert KEY not in str(kinds(world, conversation))


def test_a_budget_that_is_used_up_in_mid_turn_stops_it(world: World) -> None:
    with wire_server([Reply("", (LIST,)), Reply("Here.")]) as server:
        choose(world, server, Provider.ANTHROPIC, monthly_tokens=sum(USAGE))
        client, conversation = begin(world, "Which pipelines are there?")
        work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "failed"
    assert turn["items"][-1]["code"] == "budget_used_up"
    assert turn["input_tokens"] == USAGE[0]
    assert len(server.requests) == 1
    usage = next(body for kind, body in kinds(world, conversation) if kind == "usage")
    assert "used up" in usage["warning"]


def test_a_private_address_needs_the_operators_permission(world: World, settings: Any) -> None:
    with wire_server([Reply("Here.")]) as server:
        choose(world, server, Provider.OPENAI_COMPATIBLE)
        settings.ALLOW_PRIVATE_NETWORKS = False
        client, conversation = begin(world, "Hello")
        work(world, conversation)
    assert show(client, conversation)["items"][-1]["code"] == "model_host_refused"
    assert server.requests == []
