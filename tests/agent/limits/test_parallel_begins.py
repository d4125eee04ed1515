"""A member who sends many messages at the same moment begins no more turns than one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from apps.agent.conversations import limits
from apps.agent.models import Conversation
from apps.orgs.roles import Role
from tests.agent.conversing import Talk, begin
from tests.world import make_world

COUNT = 8


def answers(actions: list[Any]) -> list[int]:
    """Return the status codes of requests that begin at the same moment."""
    barrier = threading.Barrier(len(actions))

    def call(action: Any) -> int:
        try:
            barrier.wait()
            return int(action().status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(actions)) as pool:
        return sorted(pool.map(call, actions))


def send(talk: Talk) -> Any:
    return lambda: talk.post("messages", text="Hello")


@pytest.fixture(autouse=True)
def _let_others_check_before_a_begin_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("check_turn", "check_new_conversation"):
        monkeypatch.setattr(limits, name, wait_afterwards(getattr(limits, name)))


def wait_afterwards(check: Callable[..., None]) -> Callable[..., None]:
    def check_and_wait(*arguments: Any) -> None:
        check(*arguments)
        time.sleep(0.2)

    return check_and_wait


def test_messages(committed_db: None, settings: Any) -> None:
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = 3
    world = make_world()
    talks = [begin(world) for _ in range(COUNT)]
    assert answers([send(talk) for talk in talks]) == [202] * 3 + [429] * (COUNT - 3)


def test_conversations(committed_db: None, settings: Any) -> None:
    settings.CONVERSATIONS_PER_MEMBER = 3
    world = make_world()
    client = world.client(Role.MEMBER)

    def create() -> Any:
        return client.post("/api/v1/agent/conversations", {}, format="json")

    assert answers([create] * COUNT) == [201] * 3 + [409] * (COUNT - 3)
    with world.scope():
        assert Conversation.objects.for_org(world.org).count() == 3
