"""An org becomes read-only while its agent works: nothing changes from then on, and the words name the next step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.agent.tools import registry
from apps.orgs.models import Org
from apps.orgs.operators import support
from tests.agent.conversing import Talk, assert_nothing_is_lost_or_doubled, begin, effects
from tests.agent.scripted_model import Step, use_script
from tests.agent.test_bad_luck import disabling, slow_tool
from tests.threads import DatabaseThread
from tests.world import World, make_pipeline, make_user, make_world

REASON = "The invoice is not paid."


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


@pytest.fixture
def waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """Return a conversation that waits for an approval to disable a pipeline."""
    pipeline = make_pipeline(world, name="flights")
    use_script(monkeypatch, Step("I disable it.", [disabling(pipeline)]), Step("That is all."))
    talk = begin(world, "disable flights")
    talk.work()
    assert talk.turn()["status"] == "waiting"
    return talk


def suspend(world: World) -> None:
    change(support.suspend, world)


def resume(world: World) -> None:
    change(support.resume, world)


def change(action: Callable[..., None], world: World) -> None:
    action(org_id=world.org.pk, operator=make_user("operator"), reason=REASON, ip=None)


def assert_failed(talk: Talk, code: str, next_step: str) -> None:
    error = talk.turn()["items"][-1]
    assert (talk.turn()["status"], error["type"], error["code"]) == ("failed", "error", code)
    assert next_step in error["next_step"]


def assert_works_again(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    use_script(monkeypatch, Step("A new answer."))
    talk.send("and now?")
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()


def test_a_decision_is_refused_with_the_reason_and_can_be_made_later(waiting: Talk) -> None:
    request = waiting.open_request()["id"]
    suspend(waiting.world)
    for decision in ("approve", "reject"):
        refused = waiting.decide(request, decision)
        assert (refused.status_code, refused.json()["code"]) == (423, "org_suspended")
        assert REASON in refused.json()["detail"]
    assert waiting.turn()["status"] == "waiting"
    resume(waiting.world)
    assert waiting.decide(request).status_code == 200
    waiting.work()
    assert waiting.turn()["status"] == "done"
    assert effects(waiting.world) == ["pipeline.update"]


def test_an_approved_call_is_not_carried_out_before_the_user_tries_again(waiting: Talk) -> None:
    waiting.decide(waiting.open_request()["id"])
    suspend(waiting.world)
    waiting.work()
    assert_failed(waiting, "org_suspended", "operator")
    assert waiting.post("retry").status_code == 423
    resume(waiting.world)
    assert effects(waiting.world) == []
    assert waiting.post("retry").status_code == 202
    waiting.work()
    assert waiting.turn()["status"] == "done", waiting.turn()
    assert_nothing_is_lost_or_doubled(waiting)
    assert effects(waiting.world) == ["pipeline.update"]


def test_an_answer_ends_and_the_conversation_can_be_used_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, Step("This never ends", stalls=True))
    talk = begin(world, "hello")
    turn = DatabaseThread(target=talk.work)
    turn.start()
    talk.wait_for(lambda t: "token" in t.kinds())
    suspend(world)
    turn.join(5)
    assert not turn.is_alive()
    assert_failed(talk, "org_suspended", "operator")
    resume(world)
    assert_works_again(talk, monkeypatch)


def test_a_preview_ends_with_an_unknown_outcome_and_is_not_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, made = threading.Event(), []
    tool = slow_tool(release)

    def perform(context: Any, arguments: Any) -> Any:
        made.append(context.org.pk)
        return tool.perform(context, arguments)

    fields = {name: getattr(tool, name) for name in tool.__dataclass_fields__}
    counted = type(tool)(**{**fields, "perform": perform})
    with monkeypatch.context() as patch:
        patch.setattr(registry, "find", lambda *_: counted)
        use_script(monkeypatch, Step("", [("list_pipelines", {})]), Step("Done."))
        talk = begin(world, "hello")
        turn = DatabaseThread(target=talk.work)
        turn.start()
        talk.wait_for(lambda t: "tool_call" in t.kinds())
        suspend(world)
        turn.join(5)
        assert not turn.is_alive()
        release.set()
        assert_failed(talk, "org_suspended", "operator")
        resume(world)
        talk.post("retry")
        talk.work()
    assert talk.turn()["status"] == "done", talk.turn()
    (call,) = [item for item in talk.turn()["items"] if item["type"] == "call"]
    assert (call["state"], "not known" in call["summary"]) == ("error", True)
    assert len(made) == 1
    assert_works_again(talk, monkeypatch)


def test_a_turn_of_an_org_that_will_be_deleted_names_who_can_restore_it(waiting: Talk) -> None:
    waiting.decide(waiting.open_request()["id"])
    with waiting.world.scope():
        rows = Org.objects.filter(pk=waiting.world.org.pk)
        rows.update(deletion_at=timezone.now() + timedelta(days=1))
    waiting.work()
    assert_failed(waiting, "org_deleting", "owner")
    assert effects(waiting.world) == []
