"""The number of conversations, and what one of them stores and shows at once, are limited."""

from __future__ import annotations

import secrets
from typing import Any

import orjson
import pytest

from apps.agent.conversations import transcripts
from apps.agent.conversations.feed import ConversationFeed
from apps.agent.models import Conversation, Turn, TurnStatus
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
