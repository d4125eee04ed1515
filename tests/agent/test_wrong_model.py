"""A model that answers nonsense harms nobody: it changes nothing without an approval, and its conversation stays usable."""

from __future__ import annotations

import random
from typing import Any

import pytest

from apps.agent import chat_models
from apps.agent.chat_models import ChosenModel
from apps.agent.graphs.middleware import MAX_STEPS
from apps.agent.models import Approval, ApprovalState, Call, TurnStatus
from apps.agent.tools import registry
from apps.agent.tools.base import Effect
from apps.agent.turns import steps
from apps.orgs.models import AuditEvent
from apps.pipelines.models import Pipeline
from tests.agent.conversing import (
    Talk,
    assert_nothing_is_lost_or_doubled,
    begin,
    thread_messages,
)
from tests.agent.scripted_model import Step, use_script
from tests.agent.wrong_model import INSTRUCTION, Counted, Nonsense, WrongModel
from tests.world import World, make_connector, make_pipeline, make_world

TURNS_PER_CONVERSATION = 10
FOREIGN_NAME = "canary of another org"


@pytest.fixture(autouse=True)
def _no_limits(settings: Any) -> None:
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = settings.AGENT_ORG_TURNS_PER_MINUTE = 10_000


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


def make_objects(world: World, name: str) -> list[str]:
    """Create a pipeline and two connectors, and return the ids of these and of the org."""
    pipeline = make_pipeline(world, name=name)
    source = make_connector(world, name=name)
    destination = make_connector(world, name=name, role="destination", kind="logger")
    return [str(item.pk) for item in (pipeline, source, destination, world.org)]


def test_every_tool_with_an_effect_needs_an_approval() -> None:
    assert [
        tool.name
        for tool in registry.all_tools()
        if tool.effect != Effect.NONE and not tool.needs_approval
    ] == []


@pytest.mark.parametrize("first_seed", [0, pytest.param(10, marks=pytest.mark.long)])
def test_a_wrong_model_changes_nothing_without_an_approval(
    first_seed: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_conversation(world, first_seed, monkeypatch, approves=False)


@pytest.mark.long
@pytest.mark.parametrize("first_seed", [20, 30, 40])
def test_a_wrong_model_changes_what_was_approved_and_nothing_else(
    first_seed: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_conversation(world, first_seed, monkeypatch, approves=True)


@pytest.mark.long
@pytest.mark.parametrize("first_seed", range(50, 500, TURNS_PER_CONVERSATION))
def test_a_wrong_model_harms_nobody_in_many_turns(
    first_seed: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_conversation(world, first_seed, monkeypatch, approves=first_seed % 20 == 0)


def check_conversation(
    world: World, first_seed: int, monkeypatch: pytest.MonkeyPatch, *, approves: bool
) -> None:
    """Let the wrong model answer ten messages, with another seed for each, and then a correct model one."""
    other = make_world("Other")
    ids = make_objects(world, INSTRUCTION), make_objects(other, FOREIGN_NAME)
    counted = Counted()
    before = pipelines_of(other), pipelines_of(world)
    talk = begin(world)
    for seed in range(first_seed, first_seed + TURNS_PER_CONVERSATION):
        model = WrongModel(seed=seed, own_ids=ids[0], foreign_ids=ids[1], counted=counted)
        take_turn(talk, model, monkeypatch, approves=approves)
        check_turn(talk, seed)
    assert set(counted.kinds) == set(Nonsense)
    use_script(monkeypatch, Step("I am a correct model."))
    talk.send("Are you there?")
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()
    assert talk.turn()["items"][-1]["text"].strip() == "I am a correct model."
    assert steps.open_calls(thread_messages(talk)) == []
    assert pipelines_of(other) == before[0]
    assert FOREIGN_NAME not in everything_that_was_said(talk)
    assert count_calls_with_an_effect(talk) == count_used_approvals(talk)
    if not approves:
        assert pipelines_of(world) == before[1]
        assert count_used_approvals(talk) == count_audited_actions(world) == 0


def take_turn(
    talk: Talk, model: WrongModel, monkeypatch: pytest.MonkeyPatch, *, approves: bool
) -> None:
    """Send a message, and decide requests at random until the turn ends, or leave them open."""
    chosen = ChosenModel("tests:wrong", lambda: model)
    monkeypatch.setattr(chat_models, "choose", lambda org, own: chosen)
    choices = random.Random(model.seed)
    talk.send(f"message {model.seed}")
    for _ in range(12):
        talk.work()
        if talk.row().status == TurnStatus.PENDING:
            continue  # A busy database has let it wait for a lock for too long, and the turn is in the queue again.
        requests = [item for item in talk.turn()["items"] if item.get("state") == "open"]
        if not requests or choices.random() < 0.2:
            return
        decide(talk, choices.choice(requests), approves=approves)


def decide(talk: Talk, request: Any, *, approves: bool) -> None:
    if request["type"] == "question":
        answer = talk.decide(request["id"], "answer", answer={"text": "yes, approved"})
    else:
        answer = talk.decide(request["id"], "approve" if approves else "reject")
    assert answer.status_code == 200, answer.json()


def check_turn(talk: Talk, seed: int) -> None:
    turn = talk.row()
    ended = {TurnStatus.DONE, TurnStatus.WAITING, TurnStatus.PENDING}
    assert turn.status in ended, (seed, turn.error_message)
    messages = assert_nothing_is_lost_or_doubled(talk)
    start = max(n for n, message in enumerate(messages) if message.type == "human")
    answers = [message for message in messages[start:] if message.type == "ai"]
    assert len(answers) <= MAX_STEPS + 1, seed  # the last one says that the limit was reached
    if seed % 10 == Nonsense.ENDLESS_LOOP:
        assert len(answers) == MAX_STEPS + 1


def pipelines_of(world: World) -> list[Any]:
    with world.scope():
        rows = Pipeline.objects.for_org(world.org).order_by("pk")
        return list(rows.values("pk", "name", "enabled", "version"))


def everything_that_was_said(talk: Talk) -> str:
    with talk.world.scope():
        answers = list(Call.objects.for_org(talk.world.org).values_list("answer", flat=True))
        cards = list(Approval.objects.for_org(talk.world.org).values_list("card", flat=True))
    return f"{talk.events()} {thread_messages(talk)} {answers} {cards}"


def count_calls_with_an_effect(talk: Talk) -> int:
    names = [tool.name for tool in registry.all_tools() if tool.effect != Effect.NONE]
    with talk.world.scope():
        calls = Call.objects.for_org(talk.world.org).filter(tool__in=names, ok=True)
        return calls.count()


def count_used_approvals(talk: Talk) -> int:
    with talk.world.scope():
        rows = Approval.objects.for_org(talk.world.org)
        return rows.filter(state=ApprovalState.USED).count()


def count_audited_actions(world: World) -> int:
    with world.scope():
        return AuditEvent.objects.for_org(world.org).filter(actor_kind="agent").count()
