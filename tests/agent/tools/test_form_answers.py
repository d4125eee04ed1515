"""The answer to the form of request_connector, from the browser to the model."""

from __future__ import annotations

from typing import Any

import pytest

from apps.agent.guided.turns import Step
from apps.agent.models import Approval
from apps.orgs.roles import Role
from tests.agent.test_turns import begin, decide, script, show, work
from tests.world import World, make_connector, make_world

REQUEST = ("request_connector", {"role": "source", "kind": "dummy", "name": "numbers"})


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


@pytest.fixture
def conversation(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str, str]:
    """A conversation that waits for a connector: its client, its id and the id of the question."""
    script(monkeypatch, Step("", (REQUEST,)), Step("Thanks."))
    client, conversation_id = begin(world, "use my numbers")
    work(world, conversation_id)
    (question,) = show(client, conversation_id)["items"]
    assert question["card"]["form"]["kind"] == "dummy"
    return client, conversation_id, question["id"]


def test_the_model_gets_the_facts_of_the_created_connector_from_the_server(
    world: World, conversation: tuple[Any, str, str]
) -> None:
    client, conversation_id, question_id = conversation
    form = {"role": "source", "kind": "dummy", "name": "numbers", "config": {}}
    created = client.post("/api/v1/connectors", form, format="json").json()
    answer = {"connector_id": created["id"]}
    response = decide(client, conversation_id, question_id, decision="answer", answer=answer)
    assert response.status_code == 200, response.json()
    work(world, conversation_id)

    turn = show(client, conversation_id)
    assert turn["status"] == "done", turn
    with world.scope():
        stored = Approval.objects.for_org(world.org).get(pk=question_id)
    assert stored.answer == {
        "connector_id": created["id"],
        "name": "numbers",
        "role": "source",
        "kind": "dummy",
    }


def test_an_answer_with_anything_but_a_fitting_connector_of_this_org_is_refused(
    world: World, conversation: tuple[Any, str, str]
) -> None:
    client, conversation_id, question_id = conversation
    foreign = make_connector(make_world())
    destination = make_connector(world, role="destination", kind="logger")
    own = make_connector(world)
    answers: list[dict[str, Any]] = [
        {"connector_id": str(foreign.pk)},
        {"connector_id": str(destination.pk)},
        {"connector_id": "7"},
        {"connector_id": str(own.pk), "password": "hunter2-hunter2"},
        {"password": "hunter2-hunter2"},
        {},
    ]
    for answer in answers:
        response = decide(client, conversation_id, question_id, decision="answer", answer=answer)
        assert response.status_code == 422, answer
        assert "hunter2" not in response.content.decode()
    assert show(client, conversation_id)["status"] == "waiting"


def test_the_user_may_answer_with_words_instead(
    world: World, conversation: tuple[Any, str, str]
) -> None:
    client, conversation_id, question_id = conversation
    answer = {"text": "I have no access yet."}
    response = decide(client, conversation_id, question_id, decision="answer", answer=answer)

    assert response.status_code == 200
    work(world, conversation_id)
    assert show(client, conversation_id)["status"] == "done"


def test_another_member_cannot_answer(world: World, conversation: tuple[Any, str, str]) -> None:
    _, conversation_id, question_id = conversation
    answer = {"text": "yes"}
    other = world.client(Role.ADMIN)

    assert (
        decide(other, conversation_id, question_id, decision="answer", answer=answer).status_code
        == 404
    )
