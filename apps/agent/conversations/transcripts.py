"""Render a conversation from its events.

The transcript of a turn is a list of items in the order in which they appeared: messages of the agent, tool calls,
approvals, questions and errors. The dashboard applies the same rules to the events that it receives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from django.db.models import QuerySet

from apps.agent.conversations.events import Body, ConversationEvent, Kind, stored
from apps.agent.conversations.sizes import TextSize
from apps.agent.models import Conversation, Turn
from apps.json import JsonObject

Item = dict[str, Any]

MAX_TURNS = 30  # turns that are rendered at once
MAX_BYTES = 1_000_000  # bytes of the turns that are rendered at once, unless the newest turn alone is larger


class RenderedTurn(TypedDict):
    number: int
    status: str
    text: str
    model: str
    created_at: datetime
    finished_at: datetime | None
    input_tokens: int
    output_tokens: int
    items: list[Item]


class RenderedConversation(TypedDict):
    id: str
    graph: str
    title: str
    created_at: datetime
    updated_at: datetime
    event_sequence: int
    earlier_turns: int
    turns: list[RenderedTurn]


def render(
    org_id: UUID, conversation_id: UUID, *, before: int | None = None
) -> RenderedConversation:
    """Return the conversation with its newest turns, or with the newest turns before the number `before`.

    Call it inside the org's scope. `earlier_turns` is the number of the turns before those that are returned.
    """
    conversation = Conversation.objects.for_org(org_id).get(pk=conversation_id)
    rows = Turn.objects.for_org(org_id).filter(conversation_id=conversation_id)
    if before is not None:
        rows = rows.filter(number__lt=before)
    turns = list(rows.filter(number__gte=_first_number(rows)).order_by("number"))
    live = [turn for turn in turns if turn.transcript is None]
    items = _items_of_live_turns(org_id, conversation_id, live)
    return {
        "id": str(conversation.pk),
        "graph": conversation.graph,
        "title": conversation.title,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "event_sequence": conversation.event_sequence,
        "earlier_turns": turns[0].number - 1 if turns else 0,
        "turns": [_render_turn(turn, items.get(turn.number, [])) for turn in turns],
    }


def _first_number(rows: QuerySet[Turn]) -> int:
    """Return the number of the first turn to render, so that the answer has a limited size."""
    newest = rows.annotate(size=TextSize("transcript")).order_by("-number")
    first, total = 0, 0
    for number, size in newest.values_list("number", "size")[:MAX_TURNS]:
        total += size or 0
        if first and total > MAX_BYTES:
            break
        first = number
    return first


def transcript_of(turn: Turn, events: Sequence[ConversationEvent]) -> list[JsonObject]:
    """Return the items of one turn. `events` are the conversation's events from the first one of the turn on."""
    items: dict[int, list[Item]] = {turn.number: []}
    _apply_all(items, events)
    return [*items[turn.number]]


def apply(items: list[Item], kind: str, body: Body) -> None:
    """Change the items of a turn as the event says."""
    match kind:
        case Kind.TOKEN:
            message = _find(items, "message", body["message"])
            if message is None:
                items.append({"type": "message", "id": body["message"], "text": body["text"]})
            else:
                message["text"] += body["text"]
        case Kind.MESSAGE_DISCARDED:
            items[:] = [item for item in items if item["id"] != body["message"]]
        case Kind.TOOL_CALL:
            items.append({"type": "call", "state": "running", **_without_turn(body)})
        case Kind.TOOL_RESULT:
            call = _find(items, "call", body["id"])
            if call is not None:
                call.update(_without_turn(body))
        case Kind.QUESTION:
            items.append({"type": "question", **_without_turn(body)})
        case Kind.APPROVAL_REQUIRED:
            items.append({"type": "approval", **_without_turn(body)})
        case Kind.APPROVAL_RESOLVED:
            for item in items:
                if item["type"] in {"approval", "question"} and item["id"] == body["id"]:
                    item.update(_without_turn(body))
        case Kind.ERROR:
            items.append({"type": "error", "id": f"error-{len(items)}", **_without_turn(body)})


def _items_of_live_turns(
    org_id: UUID, conversation_id: UUID, turns: list[Turn]
) -> dict[int, list[Item]]:
    items: dict[int, list[Item]] = {turn.number: [] for turn in turns}
    if not turns:
        return items
    first = min(turn.first_event for turn in turns)
    _apply_all(items, stored(org_id, conversation_id, first=first))
    return items


def _apply_all(items: Mapping[int, list[Item]], events: Sequence[ConversationEvent]) -> None:
    for event in events:
        if (turn_items := items.get(event.body["turn"])) is not None:
            apply(turn_items, event.kind, event.body)


def _render_turn(turn: Turn, items: list[Item]) -> RenderedTurn:
    return {
        "number": turn.number,
        "status": turn.status,
        "text": turn.text,
        "model": turn.model,
        "created_at": turn.created_at,
        "finished_at": turn.finished_at,
        "input_tokens": turn.input_tokens,
        "output_tokens": turn.output_tokens,
        "items": items if turn.transcript is None else turn.transcript,
    }


def _find(items: list[Item], kind: str, item_id: str) -> Item | None:
    return next((i for i in items if i["type"] == kind and i["id"] == item_id), None)


def _without_turn(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "turn"}
