"""Let a turn wait for its user, or end it. Its events are then stored as a transcript in its row."""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.utils import timezone

from apps.agent.approvals import closing
from apps.agent.chat_models import budgets
from apps.agent.conversations import transcripts
from apps.agent.conversations.events import Kind, new_event, record
from apps.agent.models import ApprovalState, Call, CallState, Turn, TurnStatus
from apps.agent.turns import answers

MESSAGE_LENGTH = 2000
# Each turn needs it, so it is a statement of its own. Row-level security applies to it too.
WHAT_IS_OPEN = """
    SELECT EXISTS (SELECT FROM agent_approval WHERE org_id = %(org)s AND turn_id = %(turn)s AND state = 'open'),
           EXISTS (SELECT FROM agent_call WHERE org_id = %(org)s AND turn_id = %(turn)s AND state = 'begun')
"""


def end(
    *,
    org_id: UUID,
    turn: Turn,
    status: TurnStatus,
    code: str = "",
    message: str = "",
    next_step: str = "",
) -> None:
    """End the turn, with an error event if `code` is set. Call it with the turn's row locked.

    Requests that nobody has decided are closed, because nothing would carry out a later decision.
    """
    has_requests, has_calls = _what_is_open(org_id, turn)
    if has_requests:
        closing.close_open(org_id, turn, ApprovalState.STOPPED)
    if has_calls:
        _close_calls(org_id, turn)
    events = []
    if code:
        events.append(
            new_event(Kind.ERROR, turn.number, code=code, message=message, next_step=next_step)
        )
    warning = budgets.current(org_id).warning if turn.input_tokens else ""
    events.append(
        new_event(
            Kind.USAGE,
            turn.number,
            model=turn.model,
            input_tokens=turn.input_tokens,
            output_tokens=turn.output_tokens,
            warning=warning,
        )
    )
    events.append(new_event(Kind.DONE, turn.number, status=status))
    record(org_id, turn.conversation_id, *events)
    turn.status, turn.finished_at, turn.lease, turn.lease_until = status, timezone.now(), None, None
    turn.error_code, turn.error_message = code, message[:MESSAGE_LENGTH]
    turn.transcript = transcripts.transcript_of(org_id, turn)
    turn.save()


def _what_is_open(org_id: UUID, turn: Turn) -> tuple[bool, bool]:
    """Return whether there are requests that nobody has decided, and calls that were begun and not finished."""
    with connection.cursor() as cursor:
        cursor.execute(WHAT_IS_OPEN, {"org": org_id, "turn": turn.pk})
        has_requests, has_calls = cursor.fetchone()
    return has_requests, has_calls


def _close_calls(org_id: UUID, turn: Turn) -> None:
    """Say of each call that was begun and not finished that its outcome is unknown."""
    calls = Call.objects.for_org(org_id).filter(turn=turn, state=CallState.BEGUN)
    for task_id in calls.values_list("task_id", flat=True):
        event = new_event(
            Kind.TOOL_RESULT,
            turn.number,
            id=task_id,
            state="error",
            summary=answers.OUTCOME_UNKNOWN,
            result={},
            links=[],
        )
        record(org_id, turn.conversation_id, event)
