"""The event stream of a conversation. Only the user to whom it belongs can follow it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from apps.agent.conversations import transcripts, visibility
from apps.live.events import dumps
from apps.live.feeds import MAX_ROWS, Backlog, EventFeed, fetch_rows
from apps.live.frames import Frame
from apps.live.subjects import Subject
from apps.orgs.principals import Principal
from apps.orgs.walls.scope import org_scope


class ConversationFeed(EventFeed):
    """First the conversation with its newest turns as one event, then each new event."""

    def first_backlog(self) -> Backlog:
        with org_scope(self.org_id):
            shown = transcripts.render(self.org_id, self.key)
        number: int = shown["event_sequence"]
        return Backlog((Frame(number, "conversation", dumps(shown)),), number)

    def newest_number(self) -> int:
        rows = fetch_rows(
            "SELECT event_sequence FROM agent_conversation WHERE org_id = %s AND id = %s",
            [self.org_id, self.key],
        )
        return int(rows[0][0]) if rows else 0

    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        return fetch_rows(
            """SELECT sequence, kind, body::text FROM agent_event
               WHERE org_id = %s AND conversation_id = %s AND sequence > %s ORDER BY sequence LIMIT %s""",
            [self.org_id, self.key, after, MAX_ROWS],
        )


def feed_for(principal: Principal, conversation_id: UUID) -> ConversationFeed:
    """Return the stream of one of the principal's conversations. Raises NotFound. Call it inside the org's scope."""
    org_id = principal.require_org()
    visibility.find_conversation(org=org_id, by=principal, conversation_id=conversation_id)
    return ConversationFeed(org_id, conversation_id)


CONVERSATION = Subject(
    event_table="agent_event",
    id_column="conversation_id",
    table="agent_conversation",
    org_kinds=frozenset(),
    live_only_kinds=frozenset(),
    path="agent/conversations/<uuid:key>",
    feed=feed_for,
)
