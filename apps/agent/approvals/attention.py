"""The requests that wait for a decision of the user, for the overview."""

from __future__ import annotations

from django.utils import timezone

from apps.agent.conversations.visibility import conversations
from apps.agent.mcp.decisions import open_requests
from apps.agent.models import Approval, ApprovalState
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.runs.overview.attention import MAX_READ, Fix, Item


def open_approvals(org: Org, by: Principal) -> list[Item]:
    """Return what the agent has asked in the principal's own conversations. Makes one query."""
    rows = (
        Approval.objects.for_org(org)
        .filter(
            state=ApprovalState.OPEN,
            expires_at__gt=timezone.now(),
            conversation__in=conversations(org, by),
        )
        .order_by("-created_at", "id")[:MAX_READ]
    )
    return [
        Item(
            kind="approval",
            id=row["id"],
            name=str(row["card"].get("title") or "A question of the agent"),
            cause="The agent waits for your answer.",
            fixes=[Fix("open_conversation", row["conversation_id"])],
            since=row["created_at"],
        )
        for row in rows.values("id", "card", "conversation_id", "created_at")
    ]


def open_tool_requests(org: Org, by: Principal) -> list[Item]:
    """Return what programs have asked for with keys that the principal may see. Makes one query."""
    if by.session_id is None or not by.may_somewhere(Permission.API_KEYS_OWN):
        return []
    rows = open_requests(org=org, by=by).order_by("-created_at", "id")[:MAX_READ]
    return [
        Item(
            kind="approval",
            id=row["id"],
            name=row["card"]["title"],
            cause=f"The program with the key {row['key__name']} waits for an approval.",
            fixes=[Fix("open_request", row["id"])],
            since=row["created_at"],
        )
        for row in rows.values("id", "card", "key__name", "created_at")
    ]
