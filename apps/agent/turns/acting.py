"""For whom a turn acts: the member to whom the conversation belongs, with the member's current rights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

from apps.agent.models import Conversation, Turn
from apps.agent.tools.base import ToolContext
from apps.orgs import credentials
from apps.orgs.principals import Actor

# Each tool call needs these, so they are parts of statements of their own. Row-level security applies to them too.
# They follow a conversation `c`.
MEMBER_COLUMNS = f"c.user_id, m.values_allowed, {credentials.ACCESS_COLUMNS}"
MEMBER_TABLES = """
    LEFT JOIN agent_modelsettings m ON m.org_id = c.org_id
    LEFT JOIN LATERAL org_access(c.org_id, c.user_id, NULL) a ON true
"""
SELECT_MEMBER = f"""
    SELECT {MEMBER_COLUMNS} FROM agent_conversation c {MEMBER_TABLES} WHERE c.org_id = %s AND c.id = %s
"""  # noqa: S608 - column names of our own model; values are parameters


def acting_member(turn: Turn) -> ToolContext:
    """Return the context of the turn's tools. Raises AuthenticationFailed if the user is not a member any more.

    The rights are read now, so a change between a proposal and its approval counts. The audit log names the agent, and
    the member for whom it acts.
    """
    return member_of_row(turn, _select_member(turn))


def member_of_row(turn: Turn, row: Sequence[Any]) -> ToolContext:
    """Return the same as `acting_member` from a row of MEMBER_COLUMNS that was read in this transaction."""
    user_id, values_allowed, *access = row
    org, member = credentials.member_of_row(access, org_id=turn.org_id, user_id=user_id, ip=turn.ip)
    agent = Actor("agent", turn.conversation_id, "agent")
    return ToolContext(
        org=org,
        by=member.acting_through(agent),
        conversation_id=turn.conversation_id,
        turn_id=turn.pk,
        values_allowed=bool(values_allowed),
    )


def _select_member(turn: Turn) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(SELECT_MEMBER, [turn.org_id, turn.conversation_id])
        row: Sequence[Any] | None = cursor.fetchone()
    if row is None:
        raise Conversation.DoesNotExist
    return row
