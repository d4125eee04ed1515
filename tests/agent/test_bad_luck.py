"""What can happen between a message and its answer: each case has its event, and words with the next step."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.agent import chat_models
from apps.agent.approvals import digests
from apps.agent.chat_models import ChosenModel
from apps.agent.chat_models.meters import Meter
from apps.agent.exceptions import StopRequested, TurnLeaseLost
from apps.agent.models import Approval, ApprovalState, Call, Turn
from apps.agent.tools import registry
from apps.agent.tools.base import Answer, Arguments, Effect, Level, SlowAnswer, Tool
from apps.agent.turns import calls, checkpoints, leases, reconciler, steps, tokens
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.tokens import TokenWriter
from apps.orgs.models import Membership
from apps.orgs.roles import Permission, Role
from apps.orgs.slow_calls import SlowCall
from apps.pipelines.models import Pipeline
from tests.agent.conversing import (
    Talk,
    assert_nothing_is_lost_or_doubled,
    begin,
    effects,
    thread_messages,
)
from tests.agent.scripted_model import ScriptedModel, Step, use_script
from tests.threads import DatabaseThread
from tests.world import World, make_pipeline, make_world


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


@pytest.fixture
def pipeline(world: World) -> Any:
    return make_pipeline(world, name="flights")


@pytest.fixture
def waiting(world: World, pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """Return a conversation that waits for an approval to disable the pipeline."""
    use_script(
        monkeypatch,
        Step("I disable it.", [disabling(pipeline)]),
        Step("That is all."),
    )
    talk = begin(world, "disable flights")
    talk.work()
    assert talk.turn()["status"] == "waiting"
    return talk


def disabling(pipeline: Any) -> Any:
    return ("set_pipeline_enabled", {"pipeline_id": str(pipeline.pk), "enabled": False})


def result_of(talk: Talk) -> Any:
    """Return the code of the error that the tool answered."""
    (call,) = [item for item in talk.turn()["items"] if item["type"] == "call"]
    return call["result"]["error"]["code"]


def state_of_approval(talk: Talk) -> Any:
    """Return the state of the only approval, as its user sees it."""
    (request,) = [item for item in talk.turn()["items"] if item["type"] == "approval"]
    return request["state"]


def assert_done(talk: Talk) -> None:
    assert talk.turn()["status"] == "done", talk.turn()
    assert_nothing_is_lost_or_doubled(talk)


# --- Decisions ---------------------------------------------------------------------------------


def test_two_tabs_that_approve_at_once_have_one_effect(waiting: Talk) -> None:
    request = waiting.open_request()["id"]
    barrier = threading.Barrier(2)

    def approve(_: int) -> int:
        barrier.wait()
        try:
            return int(waiting.decide(request).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as tabs:
        assert sorted(tabs.map(approve, range(2))) == [200, 409]
    waiting.work()
    assert_done(waiting)
    assert effects(waiting.world) == ["pipeline.update"]
    assert waiting.kinds().count("approval_resolved") == 1


def test_two_jobs_that_run_one_approved_turn_have_one_effect(waiting: Talk) -> None:
    waiting.decide(waiting.open_request()["id"])
    workers = [DatabaseThread(target=waiting.work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    assert_done(waiting)
    assert effects(waiting.world) == ["pipeline.update"]


def test_an_approval_whose_call_succeeded_is_shown_as_approved(waiting: Talk) -> None:
    waiting.decide(waiting.open_request()["id"])
    waiting.work()
    assert_done(waiting)
    assert state_of_approval(waiting) == "approved"


def test_late_repeated_and_unknown_decisions_are_refused_with_words(waiting: Talk) -> None:
    request = waiting.open_request()["id"]
    assert waiting.decide(request, "answer", answer={"text": "yes"}).status_code == 409
    assert waiting.decide(request, "reject", reason="Not now").status_code == 200
    repeated = waiting.decide(request)
    assert (repeated.status_code, repeated.json()["code"]) == (409, "already_decided")
    assert waiting.decide("01a22375-55b5-76c3-82cf-8a544340dda8").status_code == 404
    waiting.work()
    assert waiting.decide(request).status_code == 409
    assert_done(waiting)
    assert effects(waiting.world) == []


def test_an_expired_approval_is_closed_and_the_turn_goes_on_without_it(waiting: Talk) -> None:
    request = waiting.open_request()["id"]
    with waiting.world.scope():
        rows = Approval.objects.for_org(waiting.world.org).filter(pk=request)
        rows.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert waiting.decide(request).status_code == 409
    reconciler.reconcile()
    waiting.work()
    assert_done(waiting)
    assert [i["state"] for i in waiting.turn()["items"] if i["type"] == "approval"] == ["expired"]
    assert effects(waiting.world) == []


def test_an_approval_of_an_ended_turn_cannot_be_given(waiting: Talk) -> None:
    request = waiting.open_request()["id"]
    assert waiting.post("stop").status_code == 204
    assert waiting.decide(request).status_code == 409
    assert waiting.turn()["status"] == "stopped"
    assert effects(waiting.world) == []


def test_a_pipeline_that_was_deleted_before_its_approval_is_named_in_the_answer(
    waiting: Talk, pipeline: Any
) -> None:
    waiting.world.client(Role.OWNER).delete(f"/api/v1/pipelines/{pipeline.pk}")
    waiting.decide(waiting.open_request()["id"])
    waiting.work()
    assert_done(waiting)
    assert result_of(waiting) == "not_found"
    assert state_of_approval(waiting) == "failed"


def test_a_permission_that_was_taken_away_before_the_approval_is_missing(waiting: Talk) -> None:
    waiting.decide(waiting.open_request()["id"])
    _change_membership(waiting, lambda rows: rows.update(role=Role.VIEWER))
    waiting.work()
    assert waiting.row().status == "done"
    with waiting.world.scope():
        call = Call.objects.for_org(waiting.world.org).get()
    assert '"not_allowed"' in call.answer
    assert effects(waiting.world) == []
    _change_membership(waiting, lambda rows: rows.update(role=Role.MEMBER))
    assert state_of_approval(waiting) == "failed"


def test_a_member_who_was_removed_before_the_approval_was_carried_out_changes_nothing(
    waiting: Talk,
) -> None:
    waiting.decide(waiting.open_request()["id"])
    _change_membership(waiting, lambda rows: rows.delete())
    waiting.work()
    turn = waiting.row()
    assert (turn.status, turn.error_code) == ("failed", "not_a_member")
    assert "error" in waiting.kinds()
    assert effects(waiting.world) == []


@pytest.mark.parametrize(
    "change",
    [
        {"digest": digests.digest("set_pipeline_enabled", {"enabled": False})},
        {"state": ApprovalState.USED},
        {"state": ApprovalState.REJECTED},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
    ],
    ids=["for other arguments", "used before", "rejected", "expired"],
)
def test_a_call_is_carried_out_only_with_a_valid_approval_of_exactly_this_call(
    change: dict[str, Any], waiting: Talk
) -> None:
    """Even if the graph continues with the call, because its interrupt was answered with an approval."""
    request = waiting.open_request()["id"]
    waiting.decide(request)
    call = carry_out_approved_call(waiting, request, change)
    assert '"not_approved"' in call.text
    assert effects(waiting.world) == []


def carry_out_approved_call(talk: Talk, request_id: str, change: dict[str, Any]) -> Any:
    """Change the row of the approval, and carry its call out as the graph does."""
    claimed = claim(talk, "tests")
    with talk.world.scope():
        rows = Approval.objects.for_org(talk.world.org).filter(pk=request_id)
        rows.update(**change)
        request = rows.get()
    call = calls.requested_call(
        request.task_id,
        tool_call_id=request.tool_call_id,
        tool=request.tool,
        arguments=request.arguments,
    )
    return calls.carry_out(claimed, call)


def test_an_approved_call_is_carried_out_like_this(waiting: Talk) -> None:
    """Proves that the test above fails for the changed rows only."""
    request = waiting.open_request()["id"]
    waiting.decide(request)
    assert carry_out_approved_call(waiting, request, {"reason": ""}).ok
    assert effects(waiting.world) == ["pipeline.update"]


def test_a_worker_that_has_lost_the_lease_writes_nothing(waiting: Talk) -> None:
    waiting.decide(waiting.open_request()["id"])
    first = claim(waiting, "first")
    leases.void(first.org_id, first.turn_id, first.lease)
    second = claim(waiting, "second")
    before = waiting.events()
    for meter in (None, Meter(1, 1)):
        with pytest.raises(TurnLeaseLost):
            store_token(first, meter)
    with pytest.raises(TurnLeaseLost):
        tokens.count_tokens(first, Meter(1, 1))
    assert waiting.events() == before
    assert waiting.row().input_tokens == 0
    store_token(second, Meter(1, 1))
    assert len(waiting.events()) == len(before) + 1
    assert waiting.row().input_tokens == 1


def list_pipelines(claimed: ClaimedTurn) -> None:
    """Carry out a call that needs no approval."""
    call = calls.requested_call(
        "task of a reader", tool_call_id="c", tool="list_pipelines", arguments={}
    )
    calls.carry_out(claimed, call)


def test_a_worker_that_has_lost_the_lease_carries_nothing_out(waiting: Talk) -> None:
    waiting.decide(waiting.open_request()["id"])
    first = claim(waiting, "first")
    leases.void(first.org_id, first.turn_id, first.lease)
    second = claim(waiting, "second")
    with pytest.raises(TurnLeaseLost):
        list_pipelines(first)
    assert "task of a reader" not in stored_tasks(waiting)
    list_pipelines(second)
    assert "task of a reader" in stored_tasks(waiting)


def test_after_a_stop_no_call_is_carried_out(waiting: Talk) -> None:
    waiting.decide(waiting.open_request()["id"])
    claimed = claim(waiting, "worker")
    with waiting.world.scope():
        row = Turn.objects.for_org(waiting.world.org).filter(pk=claimed.turn_id)
        row.update(stop_requested_at=timezone.now())
    with pytest.raises(StopRequested):
        list_pipelines(claimed)
    assert "task of a reader" not in stored_tasks(waiting)


def stored_tasks(talk: Talk) -> set[str]:
    """Return the tasks of the calls that were begun."""
    with talk.world.scope():
        return set(Call.objects.for_org(talk.world.org).values_list("task_id", flat=True))


def claim(talk: Talk, worker: str) -> ClaimedTurn:
    """Take the lease of the newest turn."""
    turn_id = talk.row().pk

    async def take() -> ClaimedTurn:
        async with checkpoints.open_connection(talk.world.org.pk) as connection:
            claim = await leases.claim(connection, talk.world.org.pk, turn_id, worker)
        assert claim is not None
        return claim.claimed

    return asyncio.run(take())


def store_token(claimed: ClaimedTurn, meter: Meter | None) -> None:
    """Store a token, and what the meter has counted, over a connection of the turn's own."""

    async def store() -> None:
        async with checkpoints.open_saver(claimed.org_id, claimed.conversation_id) as saver:
            writer = TokenWriter(claimed, saver)
            writer.complete("m", "token")
            await writer.flush_with_next_checkpoint(meter)
            await writer.flush()

    asyncio.run(store())


def _change_membership(talk: Talk, change: Callable[[Any], Any]) -> None:
    with talk.world.scope():
        user = talk.world.users[Role.MEMBER]
        change(Membership.objects.for_org(talk.world.org).filter(user=user))


# --- While the agent works ---------------------------------------------------------------------


@pytest.fixture
def in_background() -> Iterator[Callable[[Talk], threading.Thread]]:
    """Return a function that runs the newest turn in a thread, which must end with the test."""
    threads = []

    def run(talk: Talk) -> threading.Thread:
        threads.append(DatabaseThread(target=talk.work))
        threads[-1].start()
        return threads[-1]

    yield run
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


Background = Callable[[Talk], threading.Thread]


def test_a_member_who_is_removed_during_an_answer_gets_no_more_of_it(
    world: World, in_background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, Step("This never ends", stalls=True))
    talk = begin(world, "hello")
    in_background(talk)
    talk.wait_for(lambda t: "token" in t.kinds())
    _change_membership(talk, lambda rows: rows.delete())
    talk.wait_for(lambda t: t.row().status == "failed", seconds=5)
    _, _, body = next(event for event in talk.events() if event[1] == "error")
    assert body["code"] == "not_a_member"
    assert body["next_step"]


def test_a_stop_ends_an_answer_that_does_not_end_itself(
    world: World, in_background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, Step("This never ends", stalls=True))
    talk = begin(world, "hello")
    in_background(talk)
    talk.wait_for(lambda t: "token" in t.kinds())
    assert_stops(talk)
    use_script(monkeypatch, Step("A new answer."))
    talk.send("and now?")
    talk.work()
    assert [turn["status"] for turn in talk.turns()] == ["stopped", "done"]


def test_a_stop_ends_a_tool_that_still_waits_and_its_outcome_is_unknown(
    world: World, in_background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    tool = slow_tool(release)
    monkeypatch.setattr(registry, "find", lambda *_: tool)
    use_script(monkeypatch, Step("", [("list_pipelines", {})]), Step("Done."))
    talk = begin(world, "hello")
    in_background(talk)
    talk.wait_for(lambda t: "tool_call" in t.kinds())
    assert_stops(talk)
    (call,) = [item for item in talk.turn()["items"] if item["type"] == "call"]
    assert (call["state"], "not known" in call["summary"]) == ("error", True)
    release.set()
    use_script(monkeypatch, Step("A new answer."))
    talk.send("and now?")
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()


def slow_tool(release: threading.Event) -> Tool[Any]:
    """Return a tool that waits for the event, and that has an effect outside of the database."""

    def perform(context: Any, arguments: Any) -> SlowAnswer:
        call = SlowCall(lambda: release.wait(120), lambda by: None)
        return SlowAnswer(call, lambda result: Answer({}, "It was reached."))

    return Tool(
        name="list_pipelines",
        description="",
        title="Reach a slow host",
        level=Level.READ,
        effect=Effect.EXTERNAL,
        permission=Permission.READ,
        arguments=Arguments,
        perform=perform,
    )


def assert_stops(talk: Talk) -> None:
    """Stop a turn whose work does not end by itself."""
    assert talk.post("stop").status_code == 204
    talk.wait_for(lambda t: t.turn()["status"] == "stopped")


def test_a_tool_that_holds_its_transaction_for_long_does_not_end_its_turn(
    world: World, in_background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch cannot renew the lease meanwhile, because the tool has locked the row of the turn."""
    tool = registry.find("list_pipelines")
    assert tool is not None
    original = tool.perform

    def perform(context: Any, arguments: Any) -> Any:
        time.sleep(4)
        return original(context, arguments)

    slow = Tool(**{**{f: getattr(tool, f) for f in tool.__dataclass_fields__}, "perform": perform})
    monkeypatch.setattr(registry, "find", lambda *_: slow)
    use_script(monkeypatch, Step("", [("list_pipelines", {})]), Step("Done."))
    talk = begin(world, "hello")
    talk.work()
    assert_done(talk)
    assert talk.row().attempts == 1


def test_a_model_that_fails_ends_the_turn_with_words_and_the_turn_can_be_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, Step("Half an answer", fails=True))
    talk = begin(world, "hello")
    talk.work()
    error = talk.turn()["items"][-1]
    assert (error["type"], error["code"]) == ("error", "internal")
    assert error["next_step"]
    use_script(monkeypatch, Step("A whole answer."))
    assert talk.post("retry").status_code == 202
    talk.work()
    assert_done(talk)


def test_a_stopped_turn_can_be_tried_again(waiting: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting.post("stop")
    assert waiting.post("retry").status_code == 202
    waiting.work()
    assert_done(waiting)
    assert effects(waiting.world) == []


def test_a_message_over_an_open_approval_keeps_the_answers_of_finished_calls(
    world: World, pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [("list_pipelines", {}), ("list_connectors", {}), disabling(pipeline)]
    use_script(monkeypatch, Step("", calls))
    talk = begin(world, "disable flights")
    talk.work()
    use_script(monkeypatch, Step("Understood."))
    talk.send("something else")
    talk.work()
    messages = thread_messages(talk)
    answers = {m.name: m.content for m in messages if m.type == "tool"}
    assert len(answers) == len([m for m in messages if m.type == "tool"]) == 3
    assert "flights" in answers["list_pipelines"]
    assert "another message" in answers["set_pipeline_enabled"]
    assert steps.open_calls(messages) == []


def test_an_unknown_pipeline_is_never_asked_about(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = make_pipeline(make_world("Other"))
    use_script(monkeypatch, Step("", [disabling(foreign)]), Step("Done."))
    talk = begin(world, "disable it")
    talk.work()
    assert_done(talk)
    with foreign_scope(foreign):
        assert Pipeline.objects.for_org(foreign.org_id).get(pk=foreign.pk).enabled
    assert "approval_required" not in talk.kinds()


def foreign_scope(pipeline: Any) -> Any:
    from apps.orgs.walls.scope import org_scope

    return org_scope(pipeline.org_id)


def test_a_turn_whose_model_takes_long_to_import_is_not_begun_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_slowly() -> ScriptedModel:
        with world.scope():
            rows = Turn.objects.for_org(world.org)
            assert rows.update(started_at=timezone.now() - timedelta(seconds=9)) == 1
            reconciler.reconcile()
            assert rows.filter(lease_until__gt=timezone.now()).exists(), "the lease was voided"
        return ScriptedModel(steps=[Step("Hello.")])

    chosen = ChosenModel("tests:script", build_slowly)
    monkeypatch.setattr(chat_models, "choose", lambda org, own: chosen)
    talk = begin(world, "Hello")
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()
    assert talk.row().attempts == 1
    assert_nothing_is_lost_or_doubled(talk)
