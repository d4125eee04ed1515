"""Requests of programs for an approval, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agent.mcp import decisions, requesting
from apps.agent.models import ToolRequest, ToolRequestState
from apps.agent.serializers import (
    ToolRequestAnswer,
    ToolRequestDecision,
    ToolRequestFilter,
    ToolRequestRow,
)
from apps.agent.tools import registry
from apps.json import JsonObject
from apps.orgs.http.views import OrgView, respond_after_check
from apps.orgs.roles import Permission
from apps.web import paging
from apps.web.schema import PAGE_PARAMETERS, operation, page_of
from apps.web.slow import SlowResponse
from apps.web.views import data_of, query_of

EXAMPLE: dict[str, Any] = {
    "id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11",
    "state": "open",
    "tool": "set_pipeline_enabled",
    "title": "Enable or disable a pipeline",
    "key_name": "Assistant",
    "arguments": {"pipeline_id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a12", "enabled": True},
    "card": {
        "title": "Enable the pipeline flights",
        "facts": [],
        "changes": [{"field": "enabled", "before": False, "after": True}],
        "warnings": [],
        "streams": [],
    },
    "reason": "",
    "ok": None,
    "summary": "",
    "created_at": "2026-03-01T06:00:00Z",
    "decided_at": None,
    "expires_at": "2026-03-02T06:00:00Z",
}
EXAMPLE_ROW: dict[str, Any] = {
    "id": EXAMPLE["id"],
    "title": "Enable the pipeline flights",
    "key_name": EXAMPLE["key_name"],
    "created_at": EXAMPLE["created_at"],
    "expires_at": EXAMPLE["expires_at"],
}
COLUMNS = ("id", "card", "key__name", "created_at", "expires_at")
ORDERS = {"-created_at": paging.newest_first("created_at")}


class ToolRequestView(OrgView):
    """A program cannot approve its own request, so API keys cannot use these routes."""

    permissions = dict.fromkeys(("get", "post"), Permission.API_KEYS_OWN)
    session_methods = frozenset({"get", "post"})


class ToolRequests(ToolRequestView):
    @operation(
        "agent_tool_requests_list",
        tag="agent",
        summary="List what programs have asked for over MCP and nobody has decided",
        answer=page_of(ToolRequestRow),
        parameters=[ToolRequestFilter, *PAGE_PARAMETERS],
        example={"results": [EXAMPLE_ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        rows = decisions.open_requests(org=self.org, by=self.principal).values(*COLUMNS)
        if text := query_of(ToolRequestFilter, request).get("q"):
            rows = rows.filter(Q(card__title__icontains=text) | Q(key__name__icontains=text))
        return paging.page(request, rows, orders=ORDERS, default="-created_at", render=_render_row)


class ToolRequestById(ToolRequestView):
    @operation(
        "agent_tool_requests_get",
        tag="agent",
        summary="Show what a program has asked for over MCP",
        answer=ToolRequestAnswer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        found = decisions.find_request(org=self.org, by=self.principal, request_id=pk)
        return Response(_render(found))


class Decision(ToolRequestView):
    @operation(
        "agent_tool_requests_decide",
        tag="agent",
        summary="Approve or reject what a program has asked for over MCP",
        request=ToolRequestDecision,
        answer=ToolRequestAnswer,
        errors=(404, 409),
        example={**EXAMPLE, "state": "approved"},
        request_example={"decision": "approve"},
    )
    def post(self, request: Request, pk: UUID) -> Response | SlowResponse:
        fields = data_of(ToolRequestDecision, request)

        def decide(checked: Any) -> Response:
            decided = decisions.decide(
                org=self.org, by=self.principal, request_id=pk, checked=checked, **fields
            )
            return Response(_render(decided))

        return respond_after_check(decide)


def _render_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "title": row["card"]["title"],
        "key_name": row["key__name"],
        "created_at": row["created_at"],
        "expires_at": row["expires_at"],
    }


def _render(request: ToolRequest) -> dict[str, Any]:
    tool = registry.find(request.tool)
    return {
        "id": request.pk,
        "state": _shown_state(request),
        "tool": request.tool,
        "title": tool.title if tool else request.tool,
        "key_name": request.key.name,
        "arguments": request.arguments,
        "card": _render_card(request.card),
        "reason": request.reason,
        "ok": request.ok,
        "summary": request.summary,
        "created_at": request.created_at,
        "decided_at": request.decided_at,
        "expires_at": request.expires_at,
    }


def _render_card(card: JsonObject) -> dict[str, Any]:
    lists = {name: card.get(name, []) for name in ("facts", "changes", "warnings", "streams")}
    return {"title": card["title"], **lists}


def _shown_state(request: ToolRequest) -> str:
    is_over = request.expires_at <= timezone.now()
    if is_over and request.state in requesting.UNDECIDED_OR_UNUSED:
        return ToolRequestState.EXPIRED
    return request.state
