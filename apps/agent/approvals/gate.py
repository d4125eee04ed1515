"""Prepare the request for an approval or an answer, before the graph pauses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.agent.approvals import digests
from apps.agent.conversations.events import Kind, new_event, record
from apps.agent.models import Approval, ApprovalKind, ApprovalState, Turn
from apps.agent.sources import repairs
from apps.agent.tools.base import Answer, Tool
from apps.agent.tools.slow_work import with_checks
from apps.agent.turns import answers, calls, leases
from apps.agent.turns.acting import acting_member
from apps.agent.turns.calls import RequestedCall, check_arguments
from apps.agent.turns.leases import ClaimedTurn
from apps.json import JsonObject
from apps.orgs.exceptions import CheckFirst
from apps.orgs.walls.scope import org_scope


class Preparation(Enum):
    """What a call has to wait for."""

    ASKS = auto()  # the user's decision about the stored request
    GOES_ON = auto()


def may_ask(call: RequestedCall) -> bool:
    """Return whether calls of this tool may have to wait for the user."""
    tool = call.find_tool()
    return tool is not None and (tool.needs_approval or tool.is_question)


def prepare(claimed: ClaimedTurn, call: RequestedCall) -> Preparation | str:
    """Store the request with its card, once, and announce it. Returns whether the call has to wait for a decision.

    Returns the answer for the model if the call is invalid. Then nobody is asked, and the user sees the call with its
    error. Raises TurnLeaseLost and StopRequested.
    """
    tool = call.find_tool()
    if tool is None or not may_ask(call):
        return Preparation.GOES_ON
    prepared = check_arguments(call) or with_checks(
        partial(_prepare, claimed, call, tool),
        failed=partial(_answer_to_failed_check, claimed, call),
    )
    if isinstance(prepared, Answer):
        return calls.refuse(claimed, call, prepared).text
    return prepared


def _prepare(
    claimed: ClaimedTurn, call: RequestedCall, tool: Tool[Any], checked: Any
) -> Preparation | Answer:
    with org_scope(claimed.org_id):
        turn = leases.locked_unless_stopped(claimed)
        requests = Approval.objects.for_org(claimed.org_id)
        if requests.filter(conversation_id=claimed.conversation_id, task_id=call.task_id).exists():
            return Preparation.ASKS
        try:
            with transaction.atomic():
                context = replace(acting_member(turn), checked=checked)
                arguments = tool.parse(call.arguments)
                if not (tool.is_question or tool.asks_before(context, arguments)):
                    return Preparation.GOES_ON
                card = tool.make_card(context, arguments)
        except CheckFirst:
            raise
        except Exception as error:  # as for a tool that is carried out
            return _answer_to(error, call)
        _store(turn, call, tool, card)
    return Preparation.ASKS


def _answer_to_failed_check(claimed: ClaimedTurn, call: RequestedCall, error: Exception) -> Answer:
    """Return the answer to a call whose check has failed. For invalid code it says how many repairs are left."""
    answer = _answer_to(error, call)
    if not (call.tool in repairs.CHECKING_TOOLS and repairs.is_invalid_code(error)):
        return answer
    with org_scope(claimed.org_id):
        counted = repairs.needed_in_turn(claimed.org_id, claimed.turn_id)
    return replace(answer, content={**counted, **answer.content})


def _answer_to(error: Exception, call: RequestedCall) -> Answer:
    return answers.from_exception(error, tool=call.tool, arguments=call.arguments)


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
