"""For whom a turn acts: the member to whom the conversation belongs, with the member's current rights."""

from __future__ import annotations

from apps.agent.chat_models import own_model
from apps.agent.models import Conversation, Turn
from apps.agent.tools.base import ToolContext
from apps.orgs import credentials
from apps.orgs.principals import Actor


def acting_member(turn: Turn) -> ToolContext:
    """Return the context of the turn's tools. Raises AuthenticationFailed if the user is not a member any more.

    The rights are read now, so a change between a proposal and its approval counts. The audit log names the agent, and
    the member for whom it acts.
    """
    conversation = Conversation.objects.for_org(turn.org_id).get(pk=turn.conversation_id)
    org, member = credentials.load_member(
        org_id=turn.org_id, user_id=conversation.user_id, ip=turn.ip
    )
    agent = Actor("agent", conversation.pk, "agent")
    return ToolContext(
        org=org,
        by=member.acting_through(agent),
        conversation_id=conversation.pk,
        turn_id=turn.pk,
        values_allowed=own_model.values_allowed(org),
    )
