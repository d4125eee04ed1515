"""The number of conversations, and what one of them stores and shows at once, are limited."""

from __future__ import annotations

import secrets
from typing import Any

import orjson
import pytest
from django.db.models import Func, IntegerField, Sum

from apps.agent.conversations import transcripts
from apps.agent.conversations.feed import ConversationFeed
from apps.agent.models import Conversation, SourceDocument, Turn, TurnStatus
from apps.orgs.roles import Role
from tests.agent.conversing import Talk, begin
from tests.world import World

URL = "/api/v1/agent/conversations"


def create(world: World, role: Role = Role.MEMBER) -> Any:
    return world.client(role).post(URL, {}, format="json")


def add_turns(talk: Talk, count: int, text: str = "Hello.") -> None:
    """Store ended turns of the conversation, each with one message."""
    with talk.world.scope():
        org = talk.world.org
        first = Turn.objects.for_org(org).filter(conversation_id=talk.id).count() + 1
        for number in range(first, first + count):
            item = {"type": "message", "id": f"m{number}", "text": text}
            Turn.unscoped.create(
                org=org,
                conversation_id=talk.id,
                number=number,
                status=TurnStatus.DONE,
                text=f"Message {number}",
                first_event=0,
                transcript=[item],
            )


def numbers(talk: Talk, query: str = "") -> list[int]:
    shown = talk.client.get(f"{URL}/{talk.id}{query}").json()
    assert shown["earlier_turns"] == (shown["turns"][0]["number"] - 1 if shown["turns"] else 0)
    return [turn["number"] for turn in shown["turns"]]


def test_a_member_begins_a_limited_number_of_conversations(world: World, settings: Any) -> None:
    settings.CONVERSATIONS_PER_MEMBER = 1
    first = create(world)
    refused = create(world)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_conversations")
    assert "delete" in refused.json()["detail"]
    assert create(world, Role.ADMIN).status_code == 201
    world.client().delete(f"{URL}/{first.json()['id']}")
    assert create(world).status_code == 201


def test_an_org_has_a_limited_number_of_conversations_and_other_orgs_their_own(
    world: World, stranger: World, settings: Any
) -> None:
    settings.CONVERSATIONS_PER_ORG = 1
    assert create(world).status_code == 201
    assert create(world, Role.ADMIN).status_code == 409
    assert create(stranger).status_code == 201
    with world.scope():
        assert Conversation.objects.for_org(world.org).count() == 1


def test_a_conversation_that_stores_too_much_takes_no_more_messages_and_documents(
    world: World, settings: Any
) -> None:
    settings.CONVERSATION_SIZE = 2**20
    talk = begin(world)
    add_turns(talk, 1)
    document = {"name": "api", "content": secrets.token_urlsafe(1_000_000)}
    assert talk.post("documents", **document).status_code == 201
    refused = talk.post("messages", text="Hello")
    assert (refused.status_code, refused.json()["code"]) == (409, "conversation_full")
    assert "1 MB" in refused.json()["detail"]
    assert talk.post("documents", **document).status_code == 409
    assert begin(world, "Hello").row().number == 1


def test_an_org_whose_conversations_store_too_much_takes_no_more_messages_until_some_are_deleted(
    world: World, stranger: World, settings: Any
) -> None:
    settings.CONVERSATIONS_SIZE_PER_ORG = 2**20
    large, small = begin(world), begin(world)
    document = {"name": "api", "content": secrets.token_urlsafe(1_000_000)}
    assert large.post("documents", **document).status_code == 201
    refused = small.post("messages", text="Hello")
    assert (refused.status_code, refused.json()["code"]) == (409, "org_conversations_full")
    assert "1 MB" in refused.json()["detail"]
    assert small.post("documents", **document).json()["code"] == "org_conversations_full"
    assert begin(stranger, "Hello").row().number == 1
    large.client.delete(f"{URL}/{large.id}")
    small.send("Hello")


def test_a_conversation_counts_the_bytes_of_its_transcripts_and_documents(world: World) -> None:
    talk = begin(world)
    add_turns(talk, 2, secrets.token_urlsafe(50_000))
    talk.post("documents", name="api", content=secrets.token_urlsafe(70_000))
    assert_bytes_are_counted(talk)
    with world.scope():
        rows = Turn.objects.for_org(world.org)
        rows.filter(number=1).update(transcript=None)
        rows.filter(number=2).update(transcript=[{"text": secrets.token_urlsafe(90_000)}])
    assert_bytes_are_counted(talk)


def assert_bytes_are_counted(talk: Talk) -> None:
    counted = stored_bytes(talk)
    assert counted > 200_000
    assert counted == pytest.approx(
        size_of_rows(talk), abs=100
    )  # values have headers of 1 to 18 bytes


class StoredSize(Func):
    """The bytes that a value needs in the database, after compression."""

    function = "pg_column_size"
    output_field = IntegerField()


def stored_bytes(talk: Talk) -> int:
    with talk.world.scope():
        return Conversation.objects.for_org(talk.world.org).get(pk=talk.id).stored_bytes


def size_of_rows(talk: Talk) -> int:
    with talk.world.scope():
        turns = Turn.objects.for_org(talk.world.org).aggregate(size=Sum(StoredSize("transcript")))
        documents = SourceDocument.objects.for_org(talk.world.org).aggregate(
            size=Sum(StoredSize("text"))
        )
    return int(turns["size"] + documents["size"])


def test_messages_count_also_if_their_turns_are_stopped_at_once(
    world: World, settings: Any
) -> None:
    settings.CONVERSATION_SIZE = 50_000
    talk = begin(world)
    for _ in range(3):
        talk.send("ä" * 10_000)
        talk.post("stop")
    assert talk.post("messages", text="Hello").json()["code"] == "conversation_full"
    assert begin(world, "Hello").row().number == 1


def test_a_turn_of_a_conversation_that_stores_too_much_is_not_tried_again(
    world: World, settings: Any
) -> None:
    talk = begin(world, "Hello")
    talk.post("stop")
    settings.CONVERSATION_SIZE = 0
    refused = talk.post("retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "conversation_full")


def test_a_conversation_is_shown_from_its_newest_turns_on(world: World) -> None:
    talk = begin(world)
    assert numbers(talk) == []
    add_turns(talk, 70)
    assert numbers(talk) == list(range(41, 71))
    assert numbers(talk, "?before=41") == list(range(11, 41))
    assert numbers(talk, "?before=11") == list(range(1, 11))
    assert numbers(talk, "?before=1") == []


@pytest.mark.parametrize("before", ["0", "-1", "x", "1.5", str(10**30)])
def test_a_wrong_number_of_a_turn_is_refused(world: World, before: str) -> None:
    talk = begin(world)
    assert talk.client.get(f"{URL}/{talk.id}?before={before}").status_code == 400


def test_large_turns_are_shown_in_small_numbers_also_if_they_are_well_compressed(
    world: World,
) -> None:
    talk = begin(world)
    add_turns(talk, 5, text="a" * (transcripts.MAX_BYTES // 2 - 1000))
    assert numbers(talk) == [4, 5]
    add_turns(talk, 1, text="a" * (transcripts.MAX_BYTES * 2))
    assert numbers(talk) == [6], "the newest is always shown"


def test_the_first_event_of_the_stream_is_limited_too(world: World) -> None:
    talk = begin(world)
    add_turns(talk, 70)
    with world.scope():
        (frame,) = (
            ConversationFeed(world.org.pk, Conversation.unscoped.get().pk).first_backlog().frames
        )
    shown = orjson.loads(frame.body)
    assert [turn["number"] for turn in shown["turns"]] == list(range(41, 71))
    assert shown["earlier_turns"] == 40


def test_strangers_and_other_members_do_not_see_earlier_turns(
    world: World, stranger: World
) -> None:
    talk = begin(world)
    add_turns(talk, 40)
    for client in (stranger.client(), world.client(Role.ADMIN)):
        assert client.get(f"{URL}/{talk.id}?before=11").status_code == 404


def test_an_export_has_all_turns_in_records_of_limited_size(world: World) -> None:
    talk = begin(world)
    add_turns(talk, 70)
    talk.post("documents", name="api", content="text")
    answer = talk.client.get(f"{URL}/export")
    records = [orjson.loads(line) for line in answer.getvalue().splitlines()]
    assert [record["record"] for record in records] == [*["conversation"] * 3, "document"]
    shown = [turn["number"] for record in records[:3] for turn in record["turns"]]
    assert sorted(shown) == list(range(1, 71))
