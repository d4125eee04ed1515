"""Find the conversations of a principal. Nobody sees the text of another member's conversation."""

from __future__ import annotations

from typing import TypedDict
from uuid import UUID

from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from apps.agent.models import Conversation, Turn
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission


class MemberCost(TypedDict):
    """What the conversations of a member cost."""

    user_id: UUID
    conversations: int
    turns: int
    input_tokens: int
    output_tokens: int


def conversations(org: Org | UUID, by: Principal) -> QuerySet[Conversation]:
    """Return the principal's own conversations. An API key has none."""
    rows = Conversation.objects.for_org(org)
    if by.user_id is None or by.actor.is_key:
        return rows.none()
    return rows.filter(user_id=by.user_id)


def costs_of_conversations(org: Org, by: Principal) -> QuerySet[Conversation]:
    """Return all conversations of the org with their cost and without their text. Raises PermissionMissing."""
    by.require(Permission.AUDIT_VIEW)
    turns = Turn.objects.for_org(org).filter(conversation_id=OuterRef("pk")).order_by()
    totals = turns.values("conversation_id").annotate(
        count=Count("*"), input=Sum("input_tokens"), output=Sum("output_tokens")
    )
    return Conversation.objects.for_org(org).annotate(
        turns=Coalesce(Subquery(totals.values("count")), 0),
        input_tokens=Coalesce(Subquery(totals.values("input")), 0),
        output_tokens=Coalesce(Subquery(totals.values("output")), 0),
    )


def costs_of_members(org: Org, by: Principal) -> list[MemberCost]:
    """Return what the kept conversations of each member cost, the highest first. Raises PermissionMissing."""
    by.require(Permission.AUDIT_VIEW)
    rows = (
        Turn.objects.for_org(org)
        .values(user_id=F("conversation__user_id"))
        .annotate(
            conversations=Count("conversation_id", distinct=True),
            turns=Count("*"),
            input_tokens=Sum("input_tokens"),
            output_tokens=Sum("output_tokens"),
        )
        .order_by("-input_tokens", "user_id")
    )
    return [MemberCost(**row) for row in rows]


def find_conversation(
    *, org: Org | UUID, by: Principal, conversation_id: UUID, lock: bool = False
) -> Conversation:
    """Return one of the principal's conversations. Raises PermissionMissing and NotFound."""
    by.require(Permission.AGENT_USE)
    return find_object(conversations(org, by), conversation_id, lock=lock)
