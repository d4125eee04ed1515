"""People decide what programs have asked for over MCP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.agent.exceptions import AlreadyDecided, RequestOutdated
from apps.agent.models import ToolRequest, ToolRequestState
from apps.agent.tools import registry
from apps.agent.tools.base import ToolContext
from apps.orgs import audit
from apps.orgs.exceptions import Invalid, NotFound
from apps.orgs.models import ApiKey, Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal

STATE_OF_DECISION = {
    "approve": ToolRequestState.APPROVED,
    "reject": ToolRequestState.REJECTED,
}


def find_request(*, org: Org, by: Principal, request_id: UUID, lock: bool = False) -> ToolRequest:
    """Return a request of a key that the principal may see: an own key, or every key for admins. Raises NotFound."""
    return find_object(_requests(org, by).select_related("key"), request_id, lock=lock)


def open_requests(*, org: Org, by: Principal) -> QuerySet[ToolRequest]:
    """Return the requests that the principal may see and that wait for a decision."""
    return _requests(org, by).filter(state=ToolRequestState.OPEN, expires_at__gt=timezone.now())


def _requests(org: Org, by: Principal) -> QuerySet[ToolRequest]:
    keys = ApiKey.objects.for_org(org).visible_to(by)
    requests: QuerySet[ToolRequest] = ToolRequest.objects.for_org(org).filter(key__in=keys)
    return requests


def decide(
    *,
    org: Org,
    by: Principal,
    request_id: UUID,
    decision: str,
    reason: str = "",
    checked: Any = None,
) -> ToolRequest:
    """Approve or reject a request, once. The person needs the rights to do the same themselves.

    Raises NotFound, AlreadyDecided, and for an approval PermissionMissing, RequestOutdated and CheckFirst.
    """
    by.require_session()
    request = find_request(org=org, by=by, request_id=request_id, lock=True)
    if request.state != ToolRequestState.OPEN or request.expires_at <= timezone.now():
        raise AlreadyDecided
    if decision == "approve":
        _try_as(ToolContext(org=org, by=by, checked=checked), request)
    request.state, request.reason = STATE_OF_DECISION[decision], reason
    request.decided_by_id, request.decided_at = by.user_id, timezone.now()
    request.save(update_fields=["state", "reason", "decided_by", "decided_at"])
    _audit(org, by, decision, request)
    return request


def _try_as(context: ToolContext, request: ToolRequest) -> None:
    """Do a dry run with the rights of the person. Raises PermissionMissing and RequestOutdated."""
    tool = registry.find(request.tool)
    if tool is None:
        raise RequestOutdated
    if not context.by.may_somewhere(tool.permission):
        context.by.require(tool.permission)
    try:
        with transaction.atomic():
            tool.make_card(context, tool.parse(request.arguments))
    except (NotFound, Invalid) as error:
        raise RequestOutdated from error


def _audit(org: Org, by: Principal, decision: str, request: ToolRequest) -> None:
    audit.record(
        org=org,
        by=by,
        action=f"tool_request.{decision}",
        object_kind="tool_request",
        object_id=request.pk,
        object_label=request.tool,
    )
