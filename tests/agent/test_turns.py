"""Turns: from a message to the answer, over pauses and crashes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from apps.agent.models import Turn
from apps.agent.turns import loop
from apps.orgs.roles import Role
from tests.world import World, make_connector, make_pipeline, make_world


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


def begin(world: World, text: str, role: Role = Role.MEMBER) -> tuple[Any, str]:
    client = world.client(role)
    conversation = client.post("/api/v1/agent/conversations", {}, format="json").json()["id"]
    response = client.post(
        f"/api/v1/agent/conversations/{conversation}/messages", {"text": text}, format="json"
    )
    assert response.status_code == 202, response.json()
    return client, conversation


def work(world: World, conversation: str) -> None:
    with world.scope():
        turn = Turn.objects.for_org(world.org).filter(conversation_id=conversation).last()
    assert turn is not None
    loop.run_turn(world.org.pk, turn.pk, "tests")


def test_guided_mode_lists_pipelines(world: World) -> None:
    make_pipeline(world, name="flights")
    client, conversation = begin(world, "Which pipelines are there?")
    work(world, conversation)
    shown = client.get(f"/api/v1/agent/conversations/{conversation}").json()
    assert shown["turns"][0]["status"] == "done", shown
    assert shown["turns"][0]["model"] == "guided"


def script(monkeypatch: pytest.MonkeyPatch, *steps: Any) -> None:
    """Let the model take these steps, one after the other."""
    from apps.agent.guided import planner
    from apps.agent.guided.turns import messages_of_turn

    def next_step(messages: Any) -> Any:
        turn = messages_of_turn(messages)
        return steps[min(sum(m.type == "ai" for m in turn), len(steps) - 1)]

    monkeypatch.setattr(planner, "next_step", next_step)


def show(client: Any, conversation: str) -> Any:
    return client.get(f"/api/v1/agent/conversations/{conversation}").json()["turns"][-1]


def is_enabled(world: World, pipeline: Any) -> bool:
    with world.scope():
        pipeline.refresh_from_db()
    return bool(pipeline.enabled)


def decide(client: Any, conversation: str, approval: str, **body: Any) -> Any:
    return client.post(
        f"/api/v1/agent/conversations/{conversation}/approvals/{approval}", body, format="json"
    )


def test_an_approved_change_is_made_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.agent.guided.turns import Step

    pipeline = make_pipeline(world, name="flights")
    off = ("set_pipeline_enabled", {"pipeline_id": str(pipeline.pk), "enabled": False})
    script(monkeypatch, Step("I disable it.", (off,)), Step("Done."))
    client, conversation = begin(world, "disable flights")
    work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "waiting"
    request = turn["items"][-1]
    assert request["card"]["changes"] == [{"field": "enabled", "before": True, "after": False}]
    assert is_enabled(world, pipeline)
    assert decide(client, conversation, request["id"], decision="approve").status_code == 200
    assert decide(client, conversation, request["id"], decision="approve").status_code == 409
    work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "done", turn
    assert not is_enabled(world, pipeline)


def test_a_question_is_answered_by_the_next_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.agent.guided.turns import Step

    script(
        monkeypatch,
        Step("", (("ask", {"question": "Which?", "choices": ["a", "b"]}),)),
        Step("Thanks."),
    )
    client, conversation = begin(world, "hello")
    work(world, conversation)
    assert show(client, conversation)["status"] == "waiting"
    response = client.post(
        f"/api/v1/agent/conversations/{conversation}/messages", {"text": "b"}, format="json"
    )
    assert response.status_code == 202
    work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "done", turn
    assert turn["number"] == 1


def test_a_rejected_change_is_not_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.agent.guided.turns import Step

    pipeline = make_pipeline(world, name="flights")
    off = ("set_pipeline_enabled", {"pipeline_id": str(pipeline.pk), "enabled": False})
    script(monkeypatch, Step("", (off,)), Step("Understood."))
    client, conversation = begin(world, "disable flights")
    work(world, conversation)
    request = show(client, conversation)["items"][-1]
    assert (
        decide(client, conversation, request["id"], decision="reject", reason="Not now").status_code
        == 200
    )
    work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "done", turn
    assert turn["items"][0]["state"] == "rejected"
    assert is_enabled(world, pipeline)


def test_a_message_supersedes_an_open_approval(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.agent.guided.turns import Step

    pipeline = make_pipeline(world, name="flights")
    off = ("set_pipeline_enabled", {"pipeline_id": str(pipeline.pk), "enabled": False})
    script(monkeypatch, Step("", (off,)), Step("Something else."))
    client, conversation = begin(world, "disable flights")
    work(world, conversation)
    script(monkeypatch, Step("Something else."))
    client.post(
        f"/api/v1/agent/conversations/{conversation}/messages",
        {"text": "what else?"},
        format="json",
    )
    work(world, conversation)
    turns = client.get(f"/api/v1/agent/conversations/{conversation}").json()["turns"]
    assert [turn["status"] for turn in turns] == ["superseded", "done"]
    assert turns[0]["items"][0]["state"] == "superseded"
    assert is_enabled(world, pipeline)


def test_an_approved_proposal_creates_disabled_pipelines(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.agent.guided.turns import Step

    source = make_connector(world, name="numbers")
    destination = make_connector(world, role="destination", kind="logger", name="log")
    proposal = {
        "name": "generated",
        "source_connector_id": str(source.pk),
        "destination_connector_id": str(destination.pk),
        "streams": [{"stream": "generated"}],
        "schedule": {"cron": "0 6 * * 1-5", "timezone": "Europe/Paris"},
    }
    script(monkeypatch, Step("", (("create_pipelines", {"pipelines": [proposal]}),)), Step("Done."))
    client, conversation = begin(world, "sync it")
    work(world, conversation)
    request = show(client, conversation)["items"][-1]
    facts = {fact["label"]: fact["value"] for fact in request["card"]["facts"]}
    assert facts["Schedule"] == "Weekdays at 06:00 (Europe/Paris)"
    assert client.get("/api/v1/pipelines").json()["count"] == 0
    edited = {"pipelines": [{**proposal, "name": "renamed"}]}
    response = decide(client, conversation, request["id"], decision="edit", arguments=edited)
    assert response.status_code == 200, response.json()
    work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "done", turn
    (pipeline,) = client.get("/api/v1/pipelines").json()["results"]
    assert (pipeline["name"], pipeline["enabled"]) == ("renamed", False)
    shown = next(item for item in turn["items"] if item["type"] == "approval")
    assert shown["edited"]
    assert shown["arguments"] == edited
    assert {"label": "Name", "value": "renamed"} in shown["card"]["facts"]


@pytest.mark.parametrize("ends_with", ["_end_quickly", "_go_on", "_store_pause"])
def test_a_turn_that_gives_its_lease_back_is_not_taken_for_one_that_has_lost_it(
    world: World, monkeypatch: pytest.MonkeyPatch, ends_with: str
) -> None:
    """The lease is renewed while the turn ends: after the commit, and before its task knows of it."""
    from apps.agent.exceptions import TurnLeaseLost
    from apps.agent.guided.turns import Step
    from apps.agent.turns import leases, runner

    asked = Step("I ask.", (("ask", {"question": "Which?", "choices": ["a", "b"]}),))
    script(monkeypatch, asked if ends_with == "_store_pause" else Step("Done."))
    lost, end, renew = [], getattr(runner, ends_with), leases.renew

    def end_slowly(*arguments: Any, **options: Any) -> Any:
        ended = end(*arguments, **options)
        time.sleep(0.5)
        return ended

    async def end_slowly_on_loop(*arguments: Any) -> Any:
        ended = await end(*arguments)
        await asyncio.sleep(0.5)
        return ended

    async def does_not_end(*_: Any) -> bool:
        return False

    def count_lost_leases(claimed: Any) -> bool:
        try:
            return renew(claimed)
        except TurnLeaseLost as error:
            lost.append(error)
            raise

    monkeypatch.setattr(runner, "RENEW_INTERVAL", 0.02)
    monkeypatch.setattr(runner, "_end_quickly", does_not_end)
    is_on_loop = ends_with == "_end_quickly"
    monkeypatch.setattr(runner, ends_with, end_slowly_on_loop if is_on_loop else end_slowly)
    monkeypatch.setattr(leases, "renew", count_lost_leases)
    client, conversation = begin(world, "hello")
    with capture_logs() as logs:
        work(world, conversation)
    assert lost, "the lease was not renewed after the end"
    assert [line for line in logs if "taken over" in line["event"]] == []
    assert show(client, conversation)["status"] in {"done", "waiting"}
