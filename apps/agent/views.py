"""Conversations over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agent.approvals import services as approvals
from apps.agent.conversations import exports, services, transcripts, visibility
from apps.agent.conversations.feed import feed_for
from apps.agent.models import Approval, Conversation, Turn
from apps.agent.serializers import (
    ApprovalAnswer,
    ConversationCost,
    ConversationCreate,
    ConversationDetail,
    ConversationFilter,
    ConversationRow,
    ConversationUpdate,
    DecisionRequest,
    MemberCosts,
    MessageCreate,
    Nothing,
    TurnAccepted,
    TurnsQuery,
)
from apps.live.views import PARAMETERS, EventStreamRenderer, respond_once
from apps.orgs.http.views import OrgView, respond_after_check
from apps.orgs.roles import Permission
from apps.web import paging
from apps.web.schema import PAGE_PARAMETERS, operation, page_of
from apps.web.slow import SlowResponse
from apps.web.views import data_of, query_of
from apps.web.wire import JSONRenderer, dumps

COLUMNS = ("id", "graph", "title", "created_at", "updated_at")
COST_COLUMNS = (
    *("id", "user_id", "graph", "created_at", "updated_at"),
    *("turns", "input_tokens", "output_tokens"),
)
ORDERS = {"-updated_at": paging.newest_first("updated_at")}
EXAMPLE_ROW: dict[str, Any] = {
    "id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11",
    "graph": "main",
    "title": "Sync flights every six hours",
    "created_at": "2026-03-01T06:00:00Z",
    "updated_at": "2026-03-01T06:00:05Z",
}
EXAMPLE_COST: dict[str, Any] = {
    **{name: value for name, value in EXAMPLE_ROW.items() if name != "title"},
    "user_id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a12",
    "turns": 3,
    "input_tokens": 4211,
    "output_tokens": 380,
}
EXAMPLE_MEMBER_COST: dict[str, Any] = {
    "user_id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a12",
    "conversations": 2,
    "turns": 9,
    "input_tokens": 12840,
    "output_tokens": 1210,
}
EXAMPLE_TURN: dict[str, Any] = {
    "number": 1,
    "status": "done",
    "text": "Which pipelines are there?",
    "model": "guided",
    "created_at": "2026-03-01T06:00:00Z",
    "finished_at": "2026-03-01T06:00:05Z",
    "input_tokens": 812,
    "output_tokens": 64,
    "items": [{"type": "message", "id": "m1", "text": "There is one: flights."}],
}
EXAMPLE: dict[str, Any] = {
    **EXAMPLE_ROW,
    "event_sequence": 9,
    "earlier_turns": 0,
    "turns": [EXAMPLE_TURN],
}
ACCEPTED = {"number": 1, "status": "pending"}


class OrgConversations(OrgView):
    permissions = {"get": Permission.AUDIT_VIEW}

    @operation(
        "org_conversations_list",
        tag="agent",
        summary="List the conversations of all members with their cost, without their text",
        answer=page_of(ConversationCost),
        parameters=[*PAGE_PARAMETERS],
        example={"results": [EXAMPLE_COST], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        rows = visibility.costs_of_conversations(self.org, self.principal)
        return paging.page(
            request, rows.values(*COST_COLUMNS), orders=ORDERS, default="-updated_at"
        )


class OrgConversationsByMember(OrgView):
    permissions = {"get": Permission.AUDIT_VIEW}

    @operation(
        "org_conversations_by_member",
        tag="agent",
        summary="Show what the conversations of each member cost, without their text",
        answer=MemberCosts,
        example={"members": [EXAMPLE_MEMBER_COST]},
    )
    def get(self, request: Request) -> Response:
        """Counted are the conversations that have not been deleted."""
        rows = visibility.costs_of_members(self.org, self.principal)
        return Response({"members": rows})


class ConversationView(OrgView):
    """Conversations belong to a person, so an API key cannot use them."""

    permissions = dict.fromkeys(("get", "post", "patch", "delete"), Permission.AGENT_USE)
    session_methods = frozenset({"get", "post", "patch", "delete"})


class Conversations(ConversationView):
    @operation(
        "agent_conversations_list",
        tag="agent",
        summary="List your conversations, the last used first",
        answer=page_of(ConversationRow),
        parameters=[ConversationFilter, *PAGE_PARAMETERS],
        example={"results": [EXAMPLE_ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        text = query_of(ConversationFilter, request).get("q", "")
        found = visibility.conversations(self.org, self.principal).filter(title__icontains=text)
        rows = found.values(*COLUMNS)
        return paging.page(request, rows, orders=ORDERS, default="-updated_at")

    @operation(
        "agent_conversations_create",
        tag="agent",
        summary="Begin a conversation",
        request=ConversationCreate,
        answer=ConversationRow,
        status=201,
        errors=(409,),
        example=EXAMPLE_ROW,
        request_example={"title": "Flights"},
    )
    def post(self, request: Request) -> Response:
        fields = data_of(ConversationCreate, request)
        conversation = services.create(org=self.org, by=self.principal, **fields)
        return Response(_render(conversation), status=201)


class ConversationsExport(OrgView):
    permissions = {"get": Permission.READ}
    session_methods = frozenset({"get"})

    @operation(
        "agent_conversations_export",
        tag="agent",
        summary="Export your own conversations with their texts and documents, as JSON Lines",
        answer=str,
        media_type="application/jsonl",
        example='{"record":"conversation","id":"0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11","turns":[]}',
    )
    def get(self, request: Request) -> Any:
        records = exports.export_own(org=self.org, by=self.principal)
        response = StreamingHttpResponse(
            (dumps(record) + b"\n" for record in records),
            content_type="application/jsonl; charset=utf-8",
        )
        response["Content-Disposition"] = 'attachment; filename="conversations.jsonl"'
        return response


class ConversationById(ConversationView):
    @operation(
        "agent_conversations_get",
        tag="agent",
        summary="Show a conversation with its newest turns",
        answer=ConversationDetail,
        parameters=[TurnsQuery],
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        visibility.find_conversation(org=self.org, by=self.principal, conversation_id=pk)
        before = query_of(TurnsQuery, request).get("before")
        return Response(transcripts.render(self.org.pk, pk, before=before))

    @operation(
        "agent_conversations_update",
        tag="agent",
        summary="Rename a conversation",
        request=ConversationUpdate,
        answer=ConversationRow,
        errors=(404,),
        example=EXAMPLE_ROW,
        request_example={"title": "Flights"},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        title = data_of(ConversationUpdate, request)["title"]
        conversation = services.rename(
            org=self.org, by=self.principal, conversation_id=pk, title=title
        )
        return Response(_render(conversation))

    @operation(
        "agent_conversations_delete",
        tag="agent",
        summary="Delete a conversation",
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        services.delete(org=self.org, by=self.principal, conversation_id=pk)
        return Response(status=204)


class Messages(ConversationView):
    @operation(
        "agent_messages_create",
        tag="agent",
        summary="Send a message, or answer the agent's question",
        request=MessageCreate,
        answer=TurnAccepted,
        status=202,
        errors=(404, 409),
        example=ACCEPTED,
        request_example={"text": "Which pipelines are there?"},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        fields = data_of(MessageCreate, request)
        turn = services.send_message(org=self.org, by=self.principal, conversation_id=pk, **fields)
        return _accepted(turn)


class Stop(ConversationView):
    @operation(
        "agent_conversations_stop",
        tag="agent",
        summary="Stop the agent within two seconds",
        request=Nothing,
        status=204,
        errors=(404, 409),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        services.stop(org=self.org, by=self.principal, conversation_id=pk)
        return Response(status=204)


class Retry(ConversationView):
    @operation(
        "agent_conversations_retry",
        tag="agent",
        summary="Try a failed turn again from its last checkpoint",
        request=Nothing,
        answer=TurnAccepted,
        status=202,
        errors=(404, 409),
        example=ACCEPTED,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        turn = services.retry(org=self.org, by=self.principal, conversation_id=pk)
        return _accepted(turn)


class Decisions(ConversationView):
    @operation(
        "agent_approvals_decide",
        tag="agent",
        summary="Approve, edit or reject a tool call, or answer a question",
        request=DecisionRequest,
        answer=ApprovalAnswer,
        errors=(404, 409),
        example={"id": EXAMPLE_ROW["id"], "state": "approved"},
        request_example={"decision": "approve"},
    )
    def post(self, request: Request, pk: UUID, approval_id: UUID) -> Response | SlowResponse:
        fields = data_of(DecisionRequest, request)

        def decide(checked: Any) -> Response:
            decided: Approval = approvals.decide(
                org=self.org,
                by=self.principal,
                conversation_id=pk,
                approval_id=approval_id,
                checked=checked,
                **fields,
            )
            return Response({"id": decided.pk, "state": decided.state})

        return respond_after_check(decide)


class ConversationEvents(ConversationView):
    renderer_classes = [EventStreamRenderer, JSONRenderer]

    @operation(
        "agent_conversations_events",
        tag="agent",
        summary="Follow a conversation as server-sent events",
        answer=str,
        media_type="text/event-stream",
        example='id: 7\nevent: token\ndata: {"turn":1,"message":"m1","text":"There is"}\n\n',
        errors=(404,),
        parameters=PARAMETERS,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """The first event is `conversation`, as `GET /agent/conversations/{id}` shows it. Then each change follows."""
        return respond_once(request, feed_for(self.principal, pk))


def _render(conversation: Conversation) -> dict[str, Any]:
    return {column: getattr(conversation, column) for column in COLUMNS}


def _accepted(turn: Turn) -> Response:
    return Response({"number": turn.number, "status": turn.status}, status=202)
