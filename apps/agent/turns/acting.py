"""For whom a turn acts: the member to whom the conversation belongs, with the member's current rights."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

from apps.agent.models import Conversation, Turn
from apps.agent.tools.base import ToolContext
from apps.orgs import credentials
from apps.orgs.principals import Actor

# Each tool call needs this, so it is a statement of its own. Row-level security applies to it too.
USER_AND_VALUES_ALLOWED = """
    SELECT c.user_id, m.values_allowed FROM agent_conversation c
    LEFT JOIN agent_modelsettings m ON m.org_id = c.org_id
    WHERE c.org_id = %s AND c.id = %s
"""


def acting_member(turn: Turn) -> ToolContext:
    """Return the context of the turn's tools. Raises AuthenticationFailed if the user is not a member any more.

    The rights are read now, so a change between a proposal and its approval counts. The audit log names the agent, and
    the member for whom it acts.
    """
    user_id, values_allowed = _user_and_values_allowed(turn)
    org, member = credentials.load_member(org_id=turn.org_id, user_id=user_id, ip=turn.ip)
    agent = Actor("agent", turn.conversation_id, "agent")
    return ToolContext(
        org=org,
        by=member.acting_through(agent),
        conversation_id=turn.conversation_id,
        turn_id=turn.pk,
        values_allowed=values_allowed,
    )


def _user_and_values_allowed(turn: Turn) -> tuple[UUID, bool]:
    """Return to whom the conversation belongs, and whether record values may be sent to the org's language model."""
    with connection.cursor() as cursor:
        cursor.execute(USER_AND_VALUES_ALLOWED, [turn.org_id, turn.conversation_id])
        row = cursor.fetchone()
    if row is None:
        raise Conversation.DoesNotExist
    return row[0], bool(row[1])
