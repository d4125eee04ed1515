"""Decide open requests of a turn, or close them because nobody will decide them."""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone

from apps.agent.conversations.events import Kind, new_event, record
from apps.agent.models import Approval, ApprovalState, Turn, TurnStatus
from apps.agent.turns import answers, queue
from apps.json import JsonObject
from apps.live.events import NewEvent
from apps.orgs.models import Org
from apps.orgs.principals import Principal


def answer(org: Org, by: Principal, turn: Turn, question: Approval, value: JsonObject) -> None:
    """Answer a question. Call it with the rows of the turn and of the question locked."""
    question.answer = dict(value)
    decide(org, by, turn, question, ApprovalState.ANSWERED)


def decide(org: Org, by: Principal, turn: Turn, request: Approval, state: ApprovalState) -> None:
    """Store the decision and announce it. A waiting turn goes on."""
    request.decided_by_id, request.decided_at = by.user_id, timezone.now()
    _set_state(turn, request, state)


def expire(turn: Turn, request: Approval) -> None:
    """Close a request that nobody has decided in time. A waiting turn goes on without the call."""
    _set_state(turn, request, ApprovalState.EXPIRED)


def _set_state(turn: Turn, request: Approval, state: ApprovalState) -> None:
    request.state = state
    request.save()
    announce(turn.org_id, turn, request)
    if turn.status == TurnStatus.WAITING:
        turn.status = TurnStatus.PENDING
        turn.save(update_fields=["status"])
        queue.run_turn(org_id=turn.org_id, turn_id=turn.pk)


def close_open(org_id: UUID, turn: Turn, state: ApprovalState) -> None:
    """Close all requests of the turn that nobody has decided."""
    requests = Approval.objects.for_org(org_id).filter(turn=turn, state=ApprovalState.OPEN)
    for request in requests.select_for_update():
        request.state = state
        request.save(update_fields=["state"])
        announce(org_id, turn, request)


def announce(org_id: UUID, turn: Turn, request: Approval) -> None:
    """Tell the conversation what became of a request."""
    record(org_id, turn.conversation_id, resolved_event(turn, request))


def resolved_event(turn: Turn, request: Approval) -> NewEvent:
    """Return the event that says what became of a request."""
    body = {
        "id": str(request.pk),
        "state": request.state,
        "reason": request.reason,
        "edited": request.edited,
        "answer": request.answer,
    }
    if request.edited:
        body |= {"card": request.card, "arguments": answers.bounded_json(request.arguments)}
    return new_event(Kind.APPROVAL_RESOLVED, turn.number, **body)
