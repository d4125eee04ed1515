"""Prepare the request for an approval or an answer, before the graph pauses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.agent.approvals import digests
from apps.agent.conversations.events import Kind, new_event, record
from apps.agent.models import Approval, ApprovalKind, ApprovalState, Turn
from apps.agent.tools.base import Answer, Tool
from apps.agent.turns import answers, leases
from apps.agent.turns.acting import acting_member
from apps.agent.turns.calls import RequestedCall, check_arguments
from apps.agent.turns.leases import ClaimedTurn
from apps.json import JsonObject
from apps.orgs.exceptions import CheckFirst
from apps.orgs.walls.scope import org_scope


def prepare(claimed: ClaimedTurn, call: RequestedCall) -> str | None:
    """Store the request with its card, once, and announce it. Returns None if the call may go on to its pause.

    Returns the answer for the model if the call is invalid: then nobody is asked. Raises TurnLeaseLost and StopRequested.
    """
    tool = call.find_tool()
    if tool is None or not (tool.needs_approval or tool.is_question):
        return None
    if (problem := check_arguments(call)) is not None:
        return answers.text_for_model(problem)
    checked: Any = None
    while True:
        try:
            failure = _prepare(claimed, call, tool, checked)
            return None if failure is None else answers.text_for_model(failure)
        except CheckFirst as needed:
            checked = needed.check()


def _prepare(
    claimed: ClaimedTurn, call: RequestedCall, tool: Tool[Any], checked: Any
) -> Answer | None:
    with org_scope(claimed.org_id):
        turn = leases.locked_unless_stopped(claimed)
        requests = Approval.objects.for_org(claimed.org_id)
        if requests.filter(conversation_id=claimed.conversation_id, task_id=call.task_id).exists():
            return None
        try:
            with transaction.atomic():
                context = replace(acting_member(turn), checked=checked)
                card = tool.make_card(context, tool.parse(call.arguments))
        except CheckFirst:
            raise
        except Exception as error:  # as for a tool that is carried out
            return answers.from_exception(error, tool=call.tool)
        _store(turn, call, tool, card)
    return None


def _store(turn: Turn, call: RequestedCall, tool: Tool[Any], card: JsonObject) -> None:
    kind = ApprovalKind.QUESTION if tool.is_question else ApprovalKind.APPROVAL
    request = Approval.unscoped.create(
        org_id=turn.org_id,
        conversation_id=turn.conversation_id,
        turn=turn,
        kind=kind,
        state=ApprovalState.OPEN,
        task_id=call.task_id,
        tool_call_id=call.tool_call_id,
        tool=call.tool,
        arguments=dict(call.arguments),
        digest=digests.digest(call.tool, call.arguments),
        card=dict(card),
        expires_at=timezone.now() + timedelta(seconds=settings.APPROVAL_LIFETIME),
    )
    event_kind = Kind.QUESTION if tool.is_question else Kind.APPROVAL_REQUIRED
    body = {
        "id": str(request.pk),
        "state": request.state,
        "tool": tool.name,
        "title": tool.title,
        "card": card,
        "arguments": answers.bounded_json(call.arguments),
        "expires_at": request.expires_at,
    }
    record(turn.org_id, turn.conversation_id, new_event(event_kind, turn.number, **body))
