"""A conversation belongs to one member: its checkpoints, its export, its retention, and its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from django.contrib.admin import site
from django.db import ProgrammingError, connection, transaction
from django.test import RequestFactory
from langgraph.checkpoint.postgres import PostgresSaver

from apps.agent.conversations import limits, retention
from apps.agent.conversations.exports import export_own
from apps.agent.exceptions import TurnLeaseLost
from apps.agent.graphs import main
from apps.agent.models import Conversation, Event, Turn
from apps.agent.turns import checkpoints
from apps.orgs.members import erasure, exports
from apps.orgs.models import AuditEvent, Membership
from apps.orgs.roles import Role
from apps.orgs.walls.scope import org_scope
from tests import database
from tests.agent.conversing import Talk, begin, thread_messages
from tests.agent.scripted_model import Step, use_script
from tests.isolation.planted import principal
from tests.world import World, client_for, make_pipeline, make_world, new_client

NEW_ROWS = {  # {table of checkpoints: columns and values of a row of a conversation}
    "checkpoints": "(thread_id, checkpoint_id, checkpoint) VALUES (%s, 'new', '{}')",
    "checkpoint_blobs": "(thread_id, channel, version, type) VALUES (%s, 'messages', 'new', 'null')",
    "checkpoint_writes": (
        "(thread_id, checkpoint_id, task_id, idx, channel, blob) VALUES (%s, 'new', 'new', 0, 'messages', '')"
    ),
}
TABLES = tuple(NEW_ROWS)
COLUMNS = """SELECT table_name, column_name, data_type, is_nullable, column_default
             FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, column_name"""
INDEXES = """SELECT tablename, replace(indexdef, %s, '') FROM pg_indexes WHERE schemaname = %s
             AND tablename LIKE 'checkpoint%%' ORDER BY 1, 2"""


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


@pytest.fixture
def talk(world: World, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """Return a conversation that waits for an approval, so that it has all kinds of checkpoint rows."""
    pipeline = make_pipeline(world)
    disabling = {"pipeline_id": str(pipeline.pk), "enabled": False}
    calls = [("list_pipelines", {}), ("set_pipeline_enabled", disabling)]
    use_script(monkeypatch, Step("A private answer.", calls), Step("Done."))
    talk = begin(world, "A private question.")
    talk.work()
    assert talk.turn()["status"] == "waiting"
    return talk


@pytest.fixture
def admin(committed_db: None) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(
        database.url_of(database.process_database_name()), autocommit=True
    ) as connected:
        yield connected


def counts(admin: psycopg.Connection[Any]) -> dict[str, int]:
    found = {}
    for table in TABLES:
        row = admin.execute(f"SELECT count(*) FROM agent.{table}").fetchone()
        found[table] = row[0] if row else 0
    return found


def test_the_checkpoint_tables_are_those_that_the_saver_itself_creates(
    admin: psycopg.Connection[Any],
) -> None:
    admin.execute("CREATE SCHEMA of_the_saver")
    admin.execute("SET search_path = of_the_saver")
    try:
        admin.row_factory = psycopg.rows.dict_row
        PostgresSaver(admin).setup()
        admin.row_factory = psycopg.rows.tuple_row
        for query, schema_first in ((COLUMNS, False), (INDEXES, True)):
            ours = ("agent.", "agent") if schema_first else ("agent",)
            theirs = ("of_the_saver.", "of_the_saver") if schema_first else ("of_the_saver",)
            rows = admin.execute(query, theirs).fetchall()
            assert rows
            assert admin.execute(query, ours).fetchall() == rows
        versions = "SELECT v FROM {}.checkpoint_migrations ORDER BY v"
        stored = admin.execute(versions.format("agent")).fetchall()
        assert stored == admin.execute(versions.format("of_the_saver")).fetchall()
    finally:
        admin.execute("DROP SCHEMA of_the_saver CASCADE")


def test_another_org_reads_and_writes_no_checkpoint(
    talk: Talk, admin: psycopg.Connection[Any]
) -> None:
    assert min(counts(admin).values()) > 0
    other = make_world("Other")
    config: Any = {"configurable": {"thread_id": talk.id}}

    async def read() -> Any:
        async with checkpoints.open_saver(other.org.pk, UUID(talk.id)) as saver:
            graph = main.build(saver)
            values = (await graph.aget_state(config)).values
            with pytest.raises(TurnLeaseLost):
                await graph.aupdate_state(config, {"messages": []}, as_node="tools")
            return values

    before = counts(admin)
    assert asyncio.run(read()) == {}
    with other.scope(), connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT count(*) FROM agent.{table}")
            assert cursor.fetchone() == (0,)
            cursor.execute(f"DELETE FROM agent.{table}")
            with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
                cursor.execute(f"INSERT INTO agent.{table} {NEW_ROWS[table]}", [talk.id])
    assert counts(admin) == before


@pytest.mark.parametrize("table", TABLES)
def test_the_conversation_of_a_checkpoint_is_found_by_its_id_and_not_among_all_of_the_org(
    world: World, table: str
) -> None:
    statement = f"EXPLAIN SELECT 1 FROM agent.{table} WHERE thread_id = %s"
    with org_scope(world.org.pk), connection.cursor() as cursor:
        cursor.execute(statement, [str(uuid4())])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "(id = " in plan, plan
    assert "hashed" not in plan, plan  # of all conversations of the org


def test_every_channel_of_a_checkpoint_is_loaded_with_the_types_that_were_stored(
    talk: Talk,
) -> None:
    """The strict serializer returns other types as mappings or numbers, without an error."""

    async def read() -> Any:
        async with checkpoints.open_saver(talk.world.org.pk, UUID(talk.id)) as saver:
            found = await saver.aget_tuple({"configurable": {"thread_id": talk.id}})
            assert found is not None
            values = found.checkpoint["channel_values"]
            writes = [value for _, _, value in found.pending_writes or []]
            return saver.serde, [*values.values(), *writes]

    serde, values = asyncio.run(read())
    assert values
    allowed = ("langchain_core.messages", "langgraph.types", "builtins")
    for value in values:
        for part in parts(value):
            assert type(part).__module__.startswith(allowed), type(part)
        assert serde.loads_typed(serde.dumps_typed(value)) == value
    kinds = {type(message).__name__ for message in thread_messages(talk)}
    assert kinds == {"HumanMessage", "AIMessage", "ToolMessage"}


def parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from parts(item)


def add_document_and_settings(talk: Talk) -> None:
    path = f"/api/v1/agent/conversations/{talk.id}"
    document = {"name": "api.txt", "content": "A private document."}
    answer = talk.client.post(f"{path}/documents", document, format="json")
    assert answer.status_code == 201, answer.json()
    settings = {"config": {"token": "a private token"}, "hosts": ["api.example.com"]}
    answer = talk.client.put(f"{path}/source-settings", settings, format="json")
    assert answer.status_code == 204, answer.json()


def test_the_audit_log_has_no_text_of_a_conversation(talk: Talk) -> None:
    add_document_and_settings(talk)
    answer = talk.client.patch(
        f"/api/v1/agent/conversations/{talk.id}", {"title": "A private title."}, format="json"
    )
    assert answer.status_code == 200, answer.json()
    add_document_and_settings(talk)
    with talk.world.scope():
        events = AuditEvent.objects.for_org(talk.world.org).filter(object_kind="conversation")
        texts = str(list(events.values("action", "object_label", "changes")))
    assert "conversation.document" in texts
    assert "conversation.settings" in texts
    assert "rivate" not in texts


def rows_of_conversations(admin: psycopg.Connection[Any]) -> dict[str, int]:
    """Return {table: number of rows} of all tables that have a conversation or a thread, and of the conversations."""
    tables = admin.execute(
        """SELECT format('%I.%I', table_schema, table_name) FROM information_schema.columns
           WHERE column_name IN ('conversation_id', 'thread_id') AND table_schema IN ('public', 'agent')"""
    ).fetchall()
    found = {}
    for table in ("public.agent_conversation", *(name for (name,) in tables)):
        row = admin.execute(f"SELECT count(*) FROM {table}").fetchone()
        found[table] = row[0] if row else 0
    return found


def assert_rows_are_gone(before: dict[str, int], admin: psycopg.Connection[Any]) -> None:
    assert len(before) == 10
    assert min(before.values()) > 0, before
    assert set(rows_of_conversations(admin).values()) == {0}


def test_a_deleted_conversation_leaves_nothing(talk: Talk, admin: psycopg.Connection[Any]) -> None:
    add_document_and_settings(talk)
    before = rows_of_conversations(admin)
    assert talk.client.delete(f"/api/v1/agent/conversations/{talk.id}").status_code == 204
    assert_rows_are_gone(before, admin)


def test_an_erased_org_leaves_nothing_of_its_conversations(
    talk: Talk, admin: psycopg.Connection[Any]
) -> None:
    add_document_and_settings(talk)
    before = rows_of_conversations(admin)
    other = begin(make_world("Other"), "This one stays.")
    assert talk.world.client(Role.OWNER).delete("/api/v1/org").status_code < 300
    admin.execute(
        "UPDATE orgs_org SET deletion_at = now() - interval '1 minute' WHERE id = %s",
        [talk.world.org.pk],
    )
    assert erasure.erase_due_orgs() == 1
    assert other.turn()["text"] == "This one stays."
    assert other.client.delete(f"/api/v1/agent/conversations/{other.id}").status_code == 204
    assert_rows_are_gone(before, admin)


def test_a_conversation_that_nobody_uses_is_deleted_after_its_retention(
    talk: Talk, admin: psycopg.Connection[Any], settings: Any
) -> None:
    used = begin(talk.world, "hello", Role.OWNER)
    settings.CONVERSATION_RETENTION = timedelta(days=30)
    admin.execute("UPDATE agent_conversation SET updated_at = now() - interval '31 days'")
    retention.delete_old_conversations()
    with talk.world.scope():
        rows = Conversation.objects.for_org(talk.world.org).values_list("pk", flat=True)
        assert [str(pk) for pk in rows] == [used.id]  # its turn is pending
    assert set(counts(admin).values()) == {0}


def test_an_export_of_the_org_has_the_cost_of_conversations_and_not_their_text(talk: Talk) -> None:
    with talk.world.scope():
        owner = principal(talk.world, Role.OWNER)
        rows = [str(row) for row in exports.export_org(org=talk.world.org, by=owner)]
    text = "\n".join(rows)
    assert talk.id in text
    assert "private" not in text.lower()


def read_export(client: Any) -> list[Any]:
    answer = client.get("/api/v1/agent/conversations/export")
    assert answer.status_code == 200
    return [orjson.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def test_a_member_exports_their_own_conversations_with_their_texts(talk: Talk) -> None:
    add_document_and_settings(talk)
    conversation, document = read_export(talk.client)
    assert (conversation["record"], conversation["id"]) == ("conversation", talk.id)
    (turn,) = conversation["turns"]
    assert turn["text"] == "A private question."
    assert {item["type"] for item in turn["items"]} == {"message", "call", "approval"}
    assert (document["record"], document["text"]) == ("document", "A private document.")
    assert "a private token" not in str((conversation, document))
    with talk.world.scope():
        events = AuditEvent.objects.for_org(talk.world.org)
        assert events.filter(action="conversation.export").count() == 1


def test_nobody_exports_the_conversations_of_others(talk: Talk) -> None:
    other = make_world("Other")
    for client in (
        *(talk.world.client(role) for role in (Role.OWNER, Role.ADMIN, Role.VIEWER)),
        other.client(Role.MEMBER),
    ):
        assert read_export(client) == []
    assert new_client().get("/api/v1/agent/conversations/export").status_code == 401


def test_a_member_whose_role_no_longer_allows_the_agent_still_exports_their_conversations(
    talk: Talk,
) -> None:
    user = talk.world.users[Role.MEMBER]
    with talk.world.scope():
        Membership.objects.for_org(talk.world.org).filter(user=user).update(role=Role.VIEWER)
    viewer = client_for(user, talk.world.org)
    assert viewer.get(f"/api/v1/agent/conversations/{talk.id}").status_code == 403
    assert [record["id"] for record in read_export(viewer)] == [talk.id]


def test_a_conversation_that_is_deleted_during_an_export_is_left_out(talk: Talk) -> None:
    with talk.world.scope():
        records = export_own(org=talk.world.org, by=principal(talk.world, Role.MEMBER))
    assert talk.client.delete(f"/api/v1/agent/conversations/{talk.id}").status_code == 204
    assert list(records) == []


def test_an_admin_sees_what_conversations_cost_and_not_their_text(talk: Talk) -> None:
    answer = talk.world.client(Role.ADMIN).get("/api/v1/org/conversations")
    (row,) = answer.json()["results"]
    assert (row["id"], row["turns"], row["input_tokens"]) == (talk.id, 1, 0)
    assert "rivate" not in answer.content.decode()
    assert talk.client.get("/api/v1/org/conversations").status_code == 403


def test_an_admin_sees_what_the_conversations_of_each_member_cost(talk: Talk) -> None:
    path = "/api/v1/org/conversations/by-member"
    begin(talk.world, "another", Role.OWNER)
    begin(make_world("Other"), "of another org")
    with talk.world.scope():
        rows = Turn.objects.for_org(talk.world.org).filter(conversation_id=talk.id)
        rows.update(input_tokens=70, output_tokens=9)
    answer = talk.world.client(Role.ADMIN).get(path)
    first, second = answer.json()["members"]
    assert first == {
        "user_id": str(talk.world.users[Role.MEMBER].pk),
        "conversations": 1,
        "turns": 1,
        "input_tokens": 70,
        "output_tokens": 9,
    }
    assert second["user_id"] == str(talk.world.users[Role.OWNER].pk)
    assert "rivate" not in answer.content.decode()
    for role in (Role.MEMBER, Role.VIEWER):
        assert talk.world.client(role).get(path).status_code == 403


def test_a_member_who_sends_too_many_messages_is_told_when_to_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = 2
    use_script(monkeypatch, Step("Yes."))
    talk = begin(world, "one")
    talk.work()
    begin(world, "two").work()
    refused = talk.post("messages", text="three")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_turns")
    assert 1 <= int(refused["Retry-After"]) <= 60
    begin(world, "not limited", Role.OWNER)
    monkeypatch.setattr(limits, "MINUTE", timedelta())
    talk.send("three")


def test_a_turn_that_is_tried_again_counts_like_a_message(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = 3
    use_script(monkeypatch, *[Step("Half", fails=True)] * 3)
    talk = begin(world, "one")
    for _ in range(2):
        talk.work()
        assert talk.post("retry").status_code == 202
    talk.work()
    refused = talk.post("retry")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_turns")
    assert "3 messages, answers and decisions within a minute" in refused.json()["detail"]


def test_deleted_conversations_count_too(world: World, settings: Any) -> None:
    settings.AGENT_MEMBER_TURNS_PER_MINUTE = 1
    talk = begin(world, "one")
    assert talk.client.delete(f"/api/v1/agent/conversations/{talk.id}").status_code == 204
    assert begin(world).post("messages", text="two").status_code == 429


@pytest.mark.parametrize("limit", ["AGENT_MEMBER_TURNS_AT_ONCE", "AGENT_ORG_TURNS_AT_ONCE"])
def test_the_agent_works_on_a_limited_number_of_messages_at_once(
    limit: str, world: World, settings: Any
) -> None:
    setattr(settings, limit, 1)
    begin(world, "one")
    second = begin(world)
    assert second.post("messages", text="two").status_code == 429
    with world.scope():
        assert Event.objects.for_org(world.org).count() == 1


@pytest.mark.parametrize("model", [Conversation, Turn])
def test_operators_pages_neither_show_nor_filter_by_texts_of_conversations(model: Any) -> None:
    page: Any = site._registry[model]
    request = RequestFactory().get("/operators/")
    private = {"title", "text", "page", "transcript", "error_message"}
    assert private.isdisjoint(page.get_fields(request))
    assert not any(page.lookup_allowed(f"{name}__startswith", "a", request) for name in private)
    assert page.lookup_allowed("org__exact", "a", request)
