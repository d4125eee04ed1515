"""Let a turn wait for its user, or end it. Its events are then stored as a transcript in its row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from django.utils import timezone

from apps.agent.approvals import closing
from apps.agent.chat_models import budgets
from apps.agent.conversations import transcripts
from apps.agent.conversations.events import (
    ConversationEvent,
    Kind,
    change_and_record,
    new_event,
    record,
    stored,
)
from apps.agent.models import ApprovalState, Call, CallState, Turn, TurnStatus
from apps.agent.turns import answers
from apps.live.events import NewEvent, Statement, dumps

MESSAGE_LENGTH = 2000
# The states of transcript items that have not ended: an open request, and a call that was begun.
OPEN_STATES = {"open", "running"}
END_TURN = """
    allowed AS (
        UPDATE agent_turn
        SET status = %(status)s, finished_at = %(finished_at)s, lease = NULL, lease_until = NULL,
            error_code = %(code)s, error_message = %(message)s, transcript = %(transcript)s::jsonb
        WHERE org_id = %(org)s AND id = %(turn)s {condition} RETURNING id
    ),"""


def end(
    *,
    org_id: UUID,
    turn: Turn,
    status: TurnStatus,
    code: str = "",
    message: str = "",
    next_step: str = "",
    events: Sequence[ConversationEvent] | None = None,
) -> None:
    """End the turn, with an error event if `code` is set. Call it with the turn's row locked.

    Requests that nobody has decided are closed, because nothing would carry out a later decision. `events` are the
    turn's events if they are known; otherwise they are read from the database.
    """
    if events is None:
        events = stored(org_id, turn.conversation_id, first=turn.first_event)
    if has_open_items(turn, events):
        closing.close_open(org_id, turn, ApprovalState.STOPPED)
        _close_calls(org_id, turn)
        events = stored(org_id, turn.conversation_id, first=turn.first_event)
    warning = budgets.current(org_id).warning if turn.input_tokens else ""
    last_events = [
        *_error_events(turn, code, message, next_step),
        *closing_events(turn, status, warning),
    ]
    turn.transcript = transcripts.transcript_of(turn, [*events, *last_events])
    turn.status, turn.finished_at, turn.lease, turn.lease_until = status, timezone.now(), None, None
    turn.error_code, turn.error_message = code, message[:MESSAGE_LENGTH]
    change_and_record(end_statement(turn), org_id, turn.conversation_id, *last_events)


def has_open_items(turn: Turn, events: Sequence[ConversationEvent]) -> bool:
    """Return whether the turn has requests that nobody has decided, or calls that have not finished."""
    items = transcripts.transcript_of(turn, events)
    return any(item.get("state") in OPEN_STATES for item in items)


def end_statement(turn: Turn, condition: str = "") -> Statement:
    """Return the query that stores the end of this turn, as its object says, if the condition is true."""
    values = {
        "turn": turn.pk,
        "status": turn.status,
        "finished_at": turn.finished_at,
        "code": turn.error_code,
        "message": turn.error_message,
        "transcript": dumps(turn.transcript),
    }
    return Statement(END_TURN.format(condition=condition), values)


def _error_events(turn: Turn, code: str, message: str, next_step: str) -> Iterator[NewEvent]:
    if code:
        yield new_event(Kind.ERROR, turn.number, code=code, message=message, next_step=next_step)


def closing_events(turn: Turn, status: TurnStatus, warning: str) -> Sequence[NewEvent]:
    """Return the last events of a turn. `warning` is what to tell the user about the tokens of the month."""
    usage = new_event(
        Kind.USAGE,
        turn.number,
        model=turn.model,
        input_tokens=turn.input_tokens,
        output_tokens=turn.output_tokens,
        warning=warning,
    )
    return [usage, new_event(Kind.DONE, turn.number, status=status)]


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
