"""A user, an admin and a worker lock the rows of one turn at the same time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from apps.agent.models import Turn
from apps.agent.turns import calls, checkpoints, leases
from apps.agent.turns.leases import ClaimedTurn
from apps.orgs.models import Membership
from apps.orgs.roles import Role
from apps.pipelines import visibility
from tests.agent.conversing import Talk, assert_nothing_is_lost_or_doubled, begin
from tests.agent.scripted_model import Step, use_script
from tests.world import World, make_world

SHORT = 0.4  # seconds, which is less than a statement waits for a lock


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


@pytest.fixture
def talk(world: World, monkeypatch: pytest.MonkeyPatch) -> Talk:
    use_script(monkeypatch, Step("I look.", [("list_pipelines", {})]), Step("Done."))
    return begin(world, "Which pipelines are there?")


def in_thread(pool: ThreadPoolExecutor, action: Callable[[], Any]) -> Future[Any]:
    def call() -> Any:
        try:
            return action()
        finally:
            connections.close_all()

    return pool.submit(call)


@pytest.mark.parametrize(
    ("action", "expected", "status"),
    [
        (lambda talk: talk.post("stop"), 204, "stopped"),
        (lambda talk: talk.post("messages", text="And now?"), 409, "done"),
        (lambda talk: talk.client.delete(f"/api/v1/agent/conversations/{talk.id}"), 204, None),
    ],
    ids=["stop", "message", "delete"],
)
def test_a_user_who_acts_while_a_tool_is_carried_out_is_answered(
    action: Callable[[Talk], Any],
    expected: int,
    status: str | None,
    talk: Talk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both need the turn and the conversation. If they locked them in different orders, one of them would fail."""
    began, goes_on, original = threading.Event(), threading.Event(), visibility.pipelines

    def wait_in_tool(*arguments: Any) -> Any:
        began.set()
        assert goes_on.wait(20)
        return original(*arguments)

    monkeypatch.setattr(visibility, "pipelines", wait_in_tool)
    with ThreadPoolExecutor(2) as pool:
        work = in_thread(pool, talk.work)
        assert began.wait(20)
        acted = in_thread(pool, lambda: action(talk))
        time.sleep(SHORT)
        assert not acted.done(), "it waits for the turn that the tool has locked"
        goes_on.set()
        assert acted.result().status_code == expected
        work.result()
    if status is not None:
        assert (talk.turn()["status"], talk.row().attempts) == (status, 1)
        assert_nothing_is_lost_or_doubled(talk)


def claim(talk: Talk) -> ClaimedTurn:
    org_id, turn_id = talk.world.org.pk, talk.row().pk

    async def take() -> ClaimedTurn:
        async with checkpoints.open_connection(org_id) as connection:
            taken = await leases.claim(connection, org_id, turn_id, "tests")
            assert taken is not None
            return taken.claimed

    with ThreadPoolExecutor(1) as pool:
        claimed: ClaimedTurn = in_thread(pool, lambda: asyncio.run(take())).result()
    return claimed


def remove_member(world: World) -> None:
    with world.scope():
        Membership.objects.for_org(world.org).filter(user=world.users[Role.MEMBER]).delete()


def test_a_call_that_has_waited_for_its_turn_has_the_rights_of_then(
    talk: Talk, world: World
) -> None:
    claimed = claim(talk)
    call = calls.requested_call("1", tool_call_id="c", tool="list_pipelines", arguments={})
    with ThreadPoolExecutor(2) as pool:
        with world.scope():
            Turn.objects.for_org(world.org).select_for_update().get()
            answered = in_thread(pool, lambda: calls.carry_out(claimed, call))
            time.sleep(SHORT)
            in_thread(pool, lambda: remove_member(world)).result()
            assert not answered.done(), "it waits for the turn"
        assert not answered.result().ok
        assert "member" in answered.result().text
