"""The saver of a conversation's checkpoints remembers what the database has, and its connections are kept cleanly."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from apps.agent.turns import checkpoints, loop
from apps.agent.turns.kept_connections import KeptConnections
from apps.agent.turns.thread_saver import ThreadSaver
from tests.agent.conversing import Talk, assert_nothing_is_lost_or_doubled, begin
from tests.agent.scripted_model import Step, use_script
from tests.world import World, make_pipeline, make_world


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Compare each checkpoint that the saver returns with the one in the database. Collects whether it was there."""
    original, results = ThreadSaver.aget_tuple, list[bool]()

    async def aget_tuple(saver: ThreadSaver, config: Any) -> Any:
        remembered = await original(saver, config)
        stored = await AsyncPostgresSaver.aget_tuple(saver, config)
        assert remembered == stored
        results.append(stored is not None)
        return remembered

    monkeypatch.setattr(ThreadSaver, "aget_tuple", aget_tuple)
    return results


@pytest.fixture
def talk(world: World, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """Return a conversation whose model reads, and then disables two pipelines at once."""
    calls = [
        ("set_pipeline_enabled", {"pipeline_id": str(pipeline.pk), "enabled": False})
        for pipeline in (make_pipeline(world, name="flights"), make_pipeline(world, name="trains"))
    ]
    steps = Step("I look.", [("list_pipelines", {}), *calls]), Step("Done.")
    use_script(monkeypatch, *steps)
    return begin(world)


def test_the_remembered_checkpoint_is_the_stored_one(talk: Talk, compared: list[bool]) -> None:
    talk.send("disable them")
    talk.work()
    requests = [item for item in talk.turn()["items"] if item.get("state") == "open"]
    for request in requests:
        assert talk.decide(request["id"]).status_code == 200
        talk.work()
    assert talk.turn()["status"] == "done", talk.turn()
    assert_nothing_is_lost_or_doubled(talk)
    assert len(requests) == 2
    assert compared.count(True) >= 6


def test_the_remembered_checkpoint_is_the_stored_one_after_a_new_message(
    talk: Talk, compared: list[bool]
) -> None:
    talk.send("disable them")
    talk.work()
    talk.send("never mind")  # closes the open calls of the first turn
    talk.work()
    assert_nothing_is_lost_or_doubled(talk)
    assert compared.count(True) >= 4


def in_saver(talk: Talk, action: Any, kept: KeptConnections | None = None) -> Any:
    """Return what the action returns for the conversation's saver."""

    async def run() -> Any:
        org, conversation = talk.world.org.pk, UUID(talk.id)
        async with checkpoints.open_saver(org, conversation, kept) as saver:
            return await action(saver)

    return asyncio.run_coroutine_threadsafe(run(), loop._loop()).result()


async def settings_of(saver: ThreadSaver) -> Any:
    connection: Any = saver.conn
    cursor = await connection.execute(
        """SELECT pg_backend_pid() AS pid, current_setting('app.current_org', true) AS org,
           (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks"""
    )
    return await cursor.fetchone()


def test_a_kept_connection_has_no_lock_and_no_org(talk: Talk) -> None:
    kept = KeptConnections(1)
    used = in_saver(talk, settings_of, kept)
    assert (used["org"], used["locks"]) == (str(talk.world.org.pk), 1)
    connection = kept.take()
    assert connection is not None

    async def look() -> Any:
        found = await settings_of(ThreadSaver(connection))
        await connection.close()
        return found

    unused = asyncio.run_coroutine_threadsafe(look(), loop._loop()).result()
    assert unused == {"pid": used["pid"], "org": unused["org"], "locks": 0}
    assert unused["org"] in {None, ""}


def test_a_kept_connection_that_the_database_has_closed_is_replaced(talk: Talk) -> None:
    kept = KeptConnections(1)

    async def close_connection(saver: ThreadSaver) -> int:
        return int((await settings_of(saver))["pid"])

    first = in_saver(talk, close_connection, kept)
    connection = kept.take()
    assert connection is not None

    async def keep_closed() -> None:
        await kept.keep(connection)
        connection.pgconn.finish()

    asyncio.run_coroutine_threadsafe(keep_closed(), loop._loop()).result()
    assert in_saver(talk, close_connection, kept) != first


def test_a_saver_cannot_be_used_after_its_turn(talk: Talk) -> None:
    async def keep(saver: ThreadSaver) -> ThreadSaver:
        return saver

    saver = in_saver(talk, keep, KeptConnections(1))
    read = saver.aget_tuple({"configurable": {"thread_id": talk.id}})
    with pytest.raises(psycopg.InterfaceError):
        asyncio.run_coroutine_threadsafe(read, loop._loop()).result()
