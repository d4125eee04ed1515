"""Nothing of a conversation is left in the database if it is deleted while a worker stores a checkpoint of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.db import connection, connections

from apps.agent.models import Conversation
from apps.agent.turns.thread_saver import ThreadSaver
from apps.orgs.roles import Role
from tests.agent.conversing import Talk, begin
from tests.agent.scripted_model import Step, use_script
from tests.world import make_world

SHORT = 0.3  # seconds


def delete(talk: Talk, is_deleted: threading.Event, may_commit: threading.Event) -> None:
    """Delete the conversation, and commit later."""
    try:
        with talk.world.scope():
            Conversation.objects.for_org(talk.world.org).get(pk=talk.id).delete()
            is_deleted.set()
            assert may_commit.wait(10)
    finally:
        connections.close_all()


def rows_of_thread(talk: Talk) -> int:
    """Count the rows of the deleted conversation. Only a conversation with its id makes them visible."""
    with talk.world.scope():
        user = talk.world.users[Role.MEMBER]
        Conversation.unscoped.create(id=talk.id, org=talk.world.org, user=user)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM agent.checkpoints) + (SELECT count(*) FROM agent.checkpoint_writes)"
                " + (SELECT count(*) FROM agent.checkpoint_blobs)"
            )
            (count,) = cursor.fetchone()
    return int(count)


@pytest.mark.parametrize("name", ["_put_alone", "_put_writes"])
def test_a_conversation_is_deleted_while_a_checkpoint_is_stored(
    name: str, committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, Step("This answer fails", fails=True))
    talk = begin(make_world(), "A private message")
    put, deletions = getattr(ThreadSaver, name), list[threading.Thread]()

    async def put_while_it_is_deleted(saver: ThreadSaver, *arguments: Any) -> None:
        if deletions or not arguments[0]:  # there may be no writes
            await put(saver, *arguments)
            return
        is_deleted, may_commit = threading.Event(), threading.Event()
        thread = threading.Thread(target=delete, args=(talk, is_deleted, may_commit))
        deletions.append(thread)
        thread.start()
        await asyncio.to_thread(is_deleted.wait)
        storing = asyncio.create_task(put(saver, *arguments))
        await asyncio.sleep(SHORT)
        may_commit.set()
        await asyncio.to_thread(thread.join)
        await storing

    monkeypatch.setattr(ThreadSaver, name, put_while_it_is_deleted)
    talk.work()
    assert deletions, "the conversation was deleted in the middle of the turn"
    assert rows_of_thread(talk) == 0
