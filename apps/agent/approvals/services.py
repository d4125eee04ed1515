"""Decide a request of the agent: approve, edit or reject a tool call, or answer a question."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.agent.approvals import closing, digests
from apps.agent.conversations import limits
from apps.agent.conversations.visibility import find_conversation
from apps.agent.exceptions import AlreadyDecided, WrongDecision
from apps.agent.models import Approval, ApprovalKind, ApprovalState, Turn
from apps.agent.tools import registry
from apps.agent.tools.base import ToolContext
from apps.agent.turns.acting import acting_member
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal


def decide(
    *,
    org: Org,
    by: Principal,
    conversation_id: UUID,
    approval_id: UUID,
    decision: str,
    arguments: JsonObject | None = None,
    reason: str = "",
    answer: JsonObject | None = None,
    checked: Any = None,
) -> Approval:
    """Decide one request, once. `decision` is approve, edit, reject or answer.

    An edit replaces the arguments, and approves the tool call with them. They are checked like those of the model, and
    the tool cannot be changed. An answer may have to wait; decisions and the connector that was saved in a form never do.
    Raises NotFound, PermissionMissing, AlreadyDecided, WrongDecision, Problem 429 for an answer, Invalid for edited
    arguments, and CheckFirst, whose result is the argument `checked`.
    """
    conversation = find_conversation(org=org, by=by, conversation_id=conversation_id)
    found = find_object(
        Approval.objects.for_org(org).filter(conversation=conversation), approval_id
    )
    turn = Turn.objects.for_org(org).select_for_update().get(pk=found.turn_id)
    request = Approval.objects.for_org(org).select_for_update().get(pk=found.pk)
    if request.state != ApprovalState.OPEN or request.expires_at <= timezone.now():
        raise AlreadyDecided
    if (decision == "answer") != (request.kind == ApprovalKind.QUESTION):
        raise WrongDecision
    if decision == "answer" and not request.card.get("form"):
        limits.check_answer(org.pk, by.require_user())
    _audit(org, by, decision, request)
    if decision == "answer":
        closing.answer(org, by, turn, request, _checked_answer(by, turn, request, answer or {}))
        return request
    if decision == "edit":
        context = replace(acting_member(turn), by=by, checked=checked)
        _replace_arguments(context, request, arguments or {})
    request.reason = reason
    state = ApprovalState.REJECTED if decision == "reject" else ApprovalState.APPROVED
    closing.decide(org, by, turn, request, state)
    return request


def _audit(org: Org, by: Principal, decision: str, request: Approval) -> None:
    audit.record(
        org=org,
        by=by,
        action=f"approval.{decision}",
        object_kind="approval",
        object_id=request.pk,
        object_label=request.tool,
    )


def _checked_answer(by: Principal, turn: Turn, request: Approval, answer: JsonObject) -> JsonObject:
    """Return the answer as the tool has checked it. A browser may send anything."""
    tool = registry.find(request.tool)
    if tool is None or tool.check_answer is None:
        return answer
    return tool.check_answer(
        replace(acting_member(turn), by=by), tool.parse(request.arguments), answer
    )


def _replace_arguments(context: ToolContext, request: Approval, arguments: JsonObject) -> None:
    tool = registry.find(request.tool)
    if tool is None:
        raise NotFound
    parsed = tool.parse(arguments)
    request.card = tool.make_card(context, parsed)
    request.arguments, request.edited = dict(arguments), True
    request.digest = digests.digest(request.tool, arguments)
