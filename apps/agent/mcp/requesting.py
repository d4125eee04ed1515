"""Store a tool call that needs an approval, and answer with a link where a person decides."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apps.agent.approvals import digests
from apps.agent.models import ToolRequest, ToolRequestState
from apps.agent.tools.base import Answer, Tool, ToolContext
from apps.agent.turns import answers
from apps.json import JsonObject
from apps.orgs import rules
from apps.orgs.models import Org

UNDECIDED_OR_UNUSED = (ToolRequestState.OPEN, ToolRequestState.APPROVED)
MAX_OPEN = 50  # requests of one key that nobody has decided
KEPT_FOR = timedelta(days=30)


def request_approval(
    context: ToolContext, key_id: UUID, tool: Tool[Any], arguments: JsonObject
) -> Answer:
    """Store the request, and return the answer that a person must approve it.

    The same call of the same key is the same request until it was carried out, was rejected or has expired. Raises what
    a dry run of the tool raises: then nobody is asked.
    """
    rules.require_writable(context.org)
    card = tool.make_card(context, tool.parse(arguments))
    rows = ToolRequest.objects.for_org(context.org)
    now = timezone.now()
    rows.filter(created_at__lt=now - KEPT_FOR).delete()
    digest = digests.digest(tool.name, arguments)
    same = rows.filter(key_id=key_id, digest=digest, state__in=UNDECIDED_OR_UNUSED)
    same.filter(expires_at__lte=now).update(state=ToolRequestState.EXPIRED)
    is_open = ToolRequest.objects.for_org(context.org).filter(key_id=key_id, expires_at__gt=now)
    if is_open.filter(state=ToolRequestState.OPEN).count() >= MAX_OPEN and not same.exists():
        return _too_many()
    request = _new_request(context.org, key_id, tool, arguments, card, now)
    ToolRequest.unscoped.bulk_create([request], ignore_conflicts=True)
    return pending(same.get())


def pending(request: ToolRequest) -> Answer:
    """Return the answer for a request that nobody has decided."""
    return Answer(
        {
            "status": "waiting_for_approval",
            "request_id": str(request.pk),
            "approve_at": link(request),
            "expires_at": request.expires_at,
            "change": request.card["title"],
            "next_step": "Show the link to the user. Call collect_result with this request_id after the approval.",
        },
        "Waiting for an approval.",
    )


def link(request: ToolRequest) -> str:
    """Return the address of the page where a person decides the request."""
    return f"{settings.PUBLIC_URL}/approvals/{request.pk}"


def _new_request(
    org: Org,
    key_id: UUID,
    tool: Tool[Any],
    arguments: JsonObject,
    card: JsonObject,
    now: datetime,
) -> ToolRequest:
    return ToolRequest(
        org=org,
        key_id=key_id,
        tool=tool.name,
        arguments=dict(arguments),
        digest=digests.digest(tool.name, arguments),
        card=dict(card),
        expires_at=now + timedelta(seconds=settings.APPROVAL_LIFETIME),
    )


def _too_many() -> Answer:
    message = f"{MAX_OPEN} requests of this API key wait for an approval: ask the user to decide them first."
    return answers.failed("too_many_requests", message)
