"""An answered turn ends with one statement, which does nothing if something has changed since the turn was read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from apps.agent.conversations.events import Kind, new_event, record
from apps.agent.models import Turn, TurnStatus
from apps.agent.turns import quick_ending, runner
from tests.agent.conversing import Talk, assert_nothing_is_lost_or_doubled, begin
from tests.agent.scripted_model import Step, use_script
from tests.world import make_world

Change = Callable[[Talk], None]


@pytest.fixture
def talk(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> Talk:
    use_script(monkeypatch, Step("I look.", [("list_pipelines", {})]), Step("Done."))
    return begin(make_world())


@pytest.fixture
def ended_quickly(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Collect for each end whether it was a quick one."""
    original, results = quick_ending.end_answered, list[bool]()

    async def end_answered(*arguments: Any) -> bool:
        results.append(await original(*arguments))
        return results[-1]

    monkeypatch.setattr(quick_ending, "end_answered", end_answered)
    return results


def change_before_the_statement(
    monkeypatch: pytest.MonkeyPatch, talk: Talk, change: Change
) -> list[str]:
    """Make the change between the statement that reads the turn and the one that ends it. Collects that it was made."""
    original, made = quick_ending._statement, list[str]()

    def make_statement(*arguments: Any) -> Any:
        statement = original(*arguments)
        if not made:
            made.append(change.__name__)
            in_another_thread(lambda: change(talk))
        return statement

    monkeypatch.setattr(quick_ending, "_statement", make_statement)
    return made


def in_another_thread(action: Callable[[], None]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    def call() -> None:
        try:
            action()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()


def request_stop(talk: Talk) -> None:
    with talk.world.scope():
        row = Turn.objects.for_org(talk.world.org)
        row.filter(conversation_id=talk.id).update(stop_requested_at=timezone.now())


def store_an_event(talk: Talk) -> None:
    with talk.world.scope():
        event = new_event(Kind.TOKEN, 1, message="another", text="More.")
        record(talk.world.org.pk, talk.row().conversation_id, event)


def take_the_lease_away(talk: Talk) -> None:
    with talk.world.scope():
        row = Turn.objects.for_org(talk.world.org).filter(conversation_id=talk.id)
        row.update(lease="00000000-0000-7000-8000-000000000001")


def test_an_answered_turn_ends_quickly(talk: Talk, ended_quickly: list[bool]) -> None:
    talk.send("pipelines?")
    talk.work()
    assert ended_quickly == [True]
    assert talk.turn()["status"] == "done"
    assert talk.kinds()[-2:] == ["usage", "done"]
    assert_nothing_is_lost_or_doubled(talk)


def test_a_stop_at_the_last_moment_stops_the_turn(
    talk: Talk, ended_quickly: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = change_before_the_statement(monkeypatch, talk, request_stop)
    talk.send("pipelines?")
    talk.work()
    assert (made, ended_quickly) == (["request_stop"], [False])
    assert talk.turn()["status"] == "stopped"


def test_an_event_at_the_last_moment_is_in_the_transcript(
    talk: Talk, ended_quickly: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = change_before_the_statement(monkeypatch, talk, store_an_event)
    talk.send("pipelines?")
    talk.work()
    assert (made, ended_quickly) == (["store_an_event"], [False])
    turn = talk.turn()
    assert turn["status"] == "done"
    assert "More." in [item.get("text") for item in turn["items"]]


def test_a_worker_without_the_lease_does_not_end_the_turn(
    talk: Talk, ended_quickly: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = change_before_the_statement(monkeypatch, talk, take_the_lease_away)
    monkeypatch.setattr(runner, "RENEW_INTERVAL", 60.0)
    talk.send("pipelines?")
    talk.work()
    assert (made, ended_quickly) == (["take_the_lease_away"], [False])
    with talk.world.scope():
        assert talk.row().status == TurnStatus.RUNNING
    assert "done" not in talk.kinds()


def test_a_turn_with_an_open_call_is_left_to_the_slow_end(
    talk: Talk, ended_quickly: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.agent.turns.ending.OPEN_STATES", {"ok"})
    talk.send("pipelines?")
    talk.work()
    assert ended_quickly == [False]
    assert talk.turn()["status"] == "done"
