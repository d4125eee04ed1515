"""The conversation moves between the main agent and the source builder, and each has only its own tools."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest

from apps.agent.graphs import main, source_builder
from apps.agent.models import Conversation, Graph
from apps.agent.tools import registry
from apps.orgs.roles import Role
from tests.agent.conversing import (
    Talk,
    assert_nothing_is_lost_or_doubled,
    begin,
    thread_messages,
)
from tests.agent.scripted_model import Call, Step, use_script
from tests.agent.sources.local_api import STYLES, LocalApi
from tests.agent.sources.local_documents import document_of
from tests.world import World, make_world

URL = "/api/v1/agent/conversations"
DOCUMENT = document_of(LocalApi("none", "page", STYLES[0], "openapi"), "http://127.0.0.1:9/v1")


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


def begin_in_builder(world: World, text: str) -> Talk:
    client = world.client(Role.MEMBER)
    created = client.post(URL, {"graph": "source_builder"}, format="json")
    assert created.json()["graph"] == "source_builder"
    talk = Talk(world, client, created.json()["id"])
    talk.send(text)
    return talk


def graph_of(talk: Talk) -> str:
    with talk.world.scope():
        return Conversation.objects.for_org(talk.world.org).get(pk=talk.id).graph


def calls_of(talk: Talk) -> list[tuple[str, str]]:
    return [(i["tool"], i["state"]) for i in talk.turn()["items"] if i["type"] == "call"]


def test_the_main_agent_hands_over_to_the_source_builder_in_the_same_turn(world: World) -> None:
    talk = begin(world)
    body = {"name": "openapi.json", "content": DOCUMENT}
    assert talk.post("documents", **body).status_code == 201
    talk.send("make a source from an OpenAPI document")
    talk.work()
    assert calls_of(talk) == [("start_source_builder", "ok"), ("read_document", "ok")]
    assert talk.open_request()["card"]["title"] == "Generate the source Shop of the test"
    assert re.fullmatch(r"main@\w+ source_builder@\w+", talk.row().prompt)
    assert graph_of(talk) == "source_builder"
    assert_nothing_is_lost_or_doubled(talk)


def test_the_source_builder_hands_back_and_later_messages_stay_with_the_main_agent(
    world: World,
) -> None:
    talk = begin_in_builder(world, "list pipelines")
    talk.work()
    assert calls_of(talk) == [("leave_source_builder", "ok"), ("list_pipelines", "ok")]
    assert graph_of(talk) == "main"
    talk.send("list connectors")
    talk.work()
    assert calls_of(talk) == [("list_connectors", "ok")]
    assert talk.row().prompt.startswith("main@")
    assert_nothing_is_lost_or_doubled(talk)


def test_a_turn_that_is_stopped_at_the_hand_over_can_be_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(
        monkeypatch,
        Step(calls=[("start_source_builder", {})]),
        Step("Here is the builder.", fails=True),
    )
    talk = begin(world, "make a source")
    talk.work()
    assert talk.turn()["status"] == "failed"
    use_script(monkeypatch, Step(calls=[("start_source_builder", {})]), Step("Here I am."))
    assert talk.post("retry").status_code == 202
    talk.work()
    assert talk.turn()["status"] == "done"
    assert calls_of(talk) == [("start_source_builder", "ok")]
    assert [m.text.strip() for m in thread_messages(talk) if m.type == "ai"][-1] == "Here I am."


def test_two_graphs_that_hand_over_for_ever_are_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    both: list[Call] = [("start_source_builder", {}), ("leave_source_builder", {})]
    use_script(monkeypatch, *[Step(calls=[both[n % 2]]) for n in range(30)])
    talk = begin(world, "make a source")
    talk.work()
    assert talk.turn()["status"] == "done"
    assert "I stopped after 25 steps" in talk.turn()["items"][-1]["text"]


@pytest.mark.parametrize(
    ("graph", "tool"),
    [("main", "preview_source"), ("source_builder", "delete_pipeline"), ("main", "read_document")],
)
def test_a_graph_has_no_tools_of_the_other_one(
    world: World, monkeypatch: pytest.MonkeyPatch, graph: str, tool: str
) -> None:
    arguments: dict[str, Any] = {"pipeline_id": str(uuid4())}
    use_script(monkeypatch, Step(calls=[(tool, arguments)]), Step("Done."))
    talk = begin_in_builder(world, "x") if graph == "source_builder" else begin(world, "x")
    talk.work()
    (call,) = [item for item in talk.turn()["items"] if item["type"] == "call"]
    assert (call["state"], call["result"]["error"]["code"]) == ("error", "unknown_tool")
    assert tool not in call["summary"].partition("The tools are")[2]


def test_the_models_are_given_the_tools_of_their_graph() -> None:
    for graph, built in ((Graph.MAIN, main), (Graph.SOURCE_BUILDER, source_builder)):
        nodes: Any = built.compiled().nodes["tools"].bound
        assert set(nodes.tools_by_name) == {tool.name for tool in registry.tools_of(graph)}


def test_only_members_who_may_edit_custom_sources_begin_in_the_source_builder(
    world: World,
) -> None:
    body = {"graph": "source_builder"}
    assert world.client(Role.MEMBER).post(URL, body, format="json").status_code == 201
    assert world.client(Role.VIEWER).post(URL, body, format="json").status_code == 403
    assert world.client(Role.MEMBER).post(URL, {"graph": "x"}, format="json").status_code == 422
