"""The events of a conversation. docs/reference lists their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from apps.live import events
from apps.live.events import NewEvent, Statement

Body = Mapping[str, Any]
# Each turn needs it twice, so it is a statement of its own. Row-level security applies to it too.
SELECT_EVENTS = """
    SELECT kind, body::text FROM agent_event
    WHERE org_id = %s AND conversation_id = %s AND sequence >= %s ORDER BY sequence
"""


class Kind(StrEnum):
    TURN_STARTED = "turn_started"
    TOKEN = "token"  # noqa: S105 - a kind of event
    MESSAGE_DISCARDED = "message_discarded"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    QUESTION = "question"
    APPROVAL_REQUIRED = "approval_required"
    APPROVAL_RESOLVED = "approval_resolved"
    USAGE = "usage"
    ERROR = "error"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of a conversation, with its JSON."""

    kind: str
    body: Body


ConversationEvent = StoredEvent | NewEvent


def new_event(kind: Kind, turn: int, **body: Any) -> NewEvent:
    """Return an event of the turn with this number."""
    return NewEvent(kind.value, {"turn": turn, **body})


def record(org_id: UUID, conversation_id: UUID, *new_events: NewEvent) -> int:
    """Store events, in the caller's transaction. Returns the number of the last one."""
    from apps.agent.conversations.feed import CONVERSATION

    return events.publish(CONVERSATION, org_id=org_id, key=conversation_id, new_events=new_events)


def change_and_record(
    queries: Statement, org_id: UUID, conversation_id: UUID, *new_events: NewEvent
) -> None:
    """Change a row and store events with one statement. Raises LookupError if the row was not found.

    The queries change the row, see `statement_with_events`. They may use %(org)s, and %(key)s for the conversation.
    """
    statement = statement_with_events(queries, org_id, conversation_id, *new_events)
    with connection.cursor() as cursor:
        cursor.execute(statement.text, statement.values)
        if cursor.fetchone() is None:
            raise LookupError("the row was not found, so no event was stored")


def statement_with_events(
    queries: Statement, org_id: UUID, conversation_id: UUID, *new_events: NewEvent
) -> Statement:
    """Return a statement that runs the queries, and stores the events if the query `allowed` finds a row."""
    from apps.agent.conversations.feed import CONVERSATION

    return events.statement_with_events(
        queries, CONVERSATION, org_id=org_id, key=conversation_id, new_events=new_events
    )


def stored(org_id: UUID, conversation_id: UUID, *, first: int) -> list[StoredEvent]:
    """Return the conversation's events from this number on, in order."""
    with connection.cursor() as cursor:
        cursor.execute(SELECT_EVENTS, [org_id, conversation_id, first])
        return [StoredEvent(kind, orjson.loads(body)) for kind, body in cursor.fetchall()]
