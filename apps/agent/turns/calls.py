"""Carry out tool calls, each at most once.

For each call a row is stored with the graph's task id, and the answer. What a tool writes in Drover's database is in
the same transaction as this row, so after a crash either both are there or neither is. A call that was begun and not
finished, and whose effect is outside of the database, is not repeated: its outcome is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from apps.agent.approvals import closing, digests
from apps.agent.conversations.events import Kind, change_and_record, new_event, record
from apps.agent.exceptions import TurnLeaseLost
from apps.agent.models import Approval, ApprovalState, Call, CallState, Graph, Turn
from apps.agent.tools import registry
from apps.agent.tools.base import Answer, Effect, SlowAnswer, Tool
from apps.agent.tools.slow_work import return_connection, with_checks
from apps.agent.turns import answers, leases
from apps.agent.turns.acting import (
    MEMBER_COLUMNS,
    MEMBER_TABLES,
    acting_member,
    member_of_row,
)
from apps.agent.turns.leases import ClaimedTurn
from apps.auth import names
from apps.auth.models import new_id
from apps.json import JsonObject
from apps.live.events import NewEvent, Statement
from apps.orgs.exceptions import CheckFirst
from apps.orgs.principals import Principal
from apps.orgs.walls.scope import org_scope


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A tool call that the model has asked for, after a possible edit by the user."""

    task_id: str
    tool_call_id: str
    tool: str
    arguments: JsonObject
    graph: Graph | None = None  # the graph whose model has asked; None for a program over MCP

    def find_tool(self) -> Tool[Any] | None:
        """Return the tool, if the graph has it."""
        tool = registry.find(self.tool)
        is_missing = tool is None or (self.graph is not None and self.graph not in tool.graphs)
        return None if is_missing else tool


MAX_ARGUMENTS = 200_000  # characters of a call's arguments as JSON
# Each call needs these, so they are statements of their own. Row-level security applies to them too.
# BEGIN_CALL does not wait for the lock of the turn, because it would then read the rights from before the wait.
BEGIN_CALL = f"""
    WITH turn AS MATERIALIZED ({leases.SELECT_TURN} FOR UPDATE SKIP LOCKED), begun AS (
        INSERT INTO agent_call (id, org_id, conversation_id, turn_id, task_id, tool_call_id, tool, state, answer, began_at)
        SELECT %(call)s, org_id, conversation_id, id, %(task)s, %(tool_call)s, %(tool)s, 'begun', '', now()
        FROM turn WHERE stop_requested_at IS NULL
        ON CONFLICT (org_id, conversation_id, task_id) DO NOTHING RETURNING id
    )
    SELECT begun.id IS NOT NULL, {leases.columns_of("turn")}, {MEMBER_COLUMNS} FROM turn
    JOIN agent_conversation c ON c.org_id = turn.org_id AND c.id = turn.conversation_id {MEMBER_TABLES}
    LEFT JOIN begun ON true
"""  # noqa: S608 - column names of our own models; values are parameters
FINISH_CALL = """
    allowed AS (
        UPDATE agent_call SET state = 'finished', ok = %(ok)s, answer = %(answer)s, finished_at = clock_timestamp()
        WHERE org_id = %(org)s AND conversation_id = %(key)s AND task_id = %(task)s AND state = 'begun' RETURNING id
    ),"""


def requested_call(
    task_id: str,
    *,
    tool_call_id: str,
    tool: str,
    arguments: JsonObject,
    graph: Graph | None = None,
) -> RequestedCall:
    """Return a call with a tool name and an id that can be stored."""
    return RequestedCall(
        task_id=task_id,
        tool_call_id=names.clean_name(tool_call_id, max_length=200),
        tool=names.clean_name(tool, max_length=64),
        arguments=arguments,
        graph=graph,
    )


def check_arguments(call: RequestedCall) -> Answer | None:
    """Return the answer for arguments that cannot be stored as JSON, or None."""
    try:
        text = json.dumps(call.arguments, allow_nan=False, ensure_ascii=False)
        text.encode("utf-8")
    except (ValueError, TypeError, RecursionError, UnicodeEncodeError):
        return answers.failed("invalid", "The arguments are not valid JSON: send a JSON object.")
    if len(text) > MAX_ARGUMENTS:
        return answers.failed(
            "invalid", f"The arguments are longer than {MAX_ARGUMENTS:,} characters."
        )
    if "\\u0000" in text:
        return answers.failed("invalid", "The arguments contain characters that cannot be stored.")
    return None


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """The text that the model gets."""

    ok: bool
    text: str


def as_text(answer: Answer) -> CallAnswer:
    """Return the answer as text of limited size."""
    return CallAnswer(answer.ok, answers.text_for_model(answer))


@dataclass(frozen=True, slots=True)
class BegunCall:
    """The locked turn of a call, and the row of the member for whom it acts (`acting.member_of_row`).

    `is_new` is false if the call was begun before, by a worker that has stopped.
    """

    turn: Turn
    is_new: bool
    member: Sequence[Any]


@dataclass(frozen=True, slots=True)
class SlowResult:
    """What a slow call of a tool has returned or raised."""

    outcome: SlowAnswer
    value: Any = None
    error: Exception | None = None

    def as_answer(self, tool: str, load_principal: Callable[[], Principal]) -> Answer:
        """Return the answer if this principal may still see the result. What is raised becomes an answer too."""
        if self.error is not None:
            return answers.from_exception(self.error, tool=tool)
        try:
            with transaction.atomic():
                return self.outcome.render(self.outcome.call.finish(load_principal(), self.value))
        except Exception as error:  # as in `_perform`
            return answers.from_exception(error, tool=tool)


def make_slow_call(outcome: SlowAnswer) -> SlowResult:
    """Make the slow call without a transaction and without a database connection."""
    return_connection()
    try:
        return SlowResult(outcome, outcome.call.run())
    except Exception as error:  # `as_answer` turns it into an answer
        return SlowResult(outcome, error=error)


OUTCOME_UNKNOWN = answers.failed(
    "outcome_unknown", f"{answers.OUTCOME_UNKNOWN} Do not repeat it: look first."
)


def carry_out(claimed: ClaimedTurn, call: RequestedCall) -> CallAnswer:
    """Carry the call out, or return its stored answer. Raises TurnLeaseLost and StopRequested, nothing that a tool raises."""
    return with_checks(
        partial(_carry_out, claimed, call), failed=partial(_finish_with_failed_check, claimed, call)
    )


def refuse(claimed: ClaimedTurn, call: RequestedCall, failure: Answer) -> CallAnswer:
    """Finish the call with this failure instead of carrying it out, or return its stored answer.

    The user sees the call with its error. Raises TurnLeaseLost and StopRequested.
    """
    return _carry_out(claimed, call, None, failure)


def _finish_with_failed_check(
    claimed: ClaimedTurn, call: RequestedCall, error: Exception
) -> CallAnswer:
    """Finish the call with the answer for a check that has failed, such as that of code with mistakes."""
    failure = answers.from_exception(error, tool=call.tool, arguments=call.arguments)
    return refuse(claimed, call, failure)


def _carry_out(
    claimed: ClaimedTurn, call: RequestedCall, checked: Any, failure: Answer | None = None
) -> CallAnswer:
    """Carry the call out, or finish it with the failure of the check that it needs."""
    tool = call.find_tool()
    with org_scope(claimed.org_id):
        begun = _begin(claimed, call)
        turn = begun.turn
        begun_events = [_begun_event(turn, call, tool)] if begun.is_new else []
        if not begun_events and (earlier := _earlier_answer(turn, call, tool)) is not None:
            return earlier
        outcome = check_arguments(call) or failure or _perform(begun, call, tool, checked)
        if isinstance(outcome, Answer):
            return _finish(turn, call, outcome, *begun_events)
        record(turn.org_id, turn.conversation_id, *begun_events)
    return _carry_out_slowly(claimed, call, outcome)


def _earlier_answer(turn: Turn, call: RequestedCall, tool: Tool[Any] | None) -> CallAnswer | None:
    """Return the answer of a call that was begun before, or None if it has to be carried out again.

    An external call that has not finished is finished with an unknown outcome.
    """
    calls = Call.objects.for_org(turn.org_id)
    stored = calls.get(conversation_id=turn.conversation_id, task_id=call.task_id)
    if stored.state == CallState.FINISHED:
        return CallAnswer(bool(stored.ok), stored.answer)
    if tool is not None and tool.effect == Effect.EXTERNAL:
        return _finish(turn, call, OUTCOME_UNKNOWN)
    return None


def _perform(
    begun: BegunCall, call: RequestedCall, tool: Tool[Any] | None, checked: Any
) -> Answer | SlowAnswer:
    """Return the answer. Everything that a failed action has written is rolled back."""
    if tool is None:
        return answers.unknown_tool(call.tool, call.graph)
    try:
        with transaction.atomic():
            arguments = tool.parse(call.arguments)
            context = replace(member_of_row(begun.turn, begun.member), checked=checked)
            if tool.asks_before(context, arguments):
                _use_approval(begun.turn, call)
            outcome: Answer | SlowAnswer = tool.perform(context, arguments)
            return outcome
    except CheckFirst:
        raise
    except Exception as error:  # a tool must not raise into the graph, which would store the text
        return answers.from_exception(error, tool=call.tool, arguments=call.arguments)


def _use_approval(turn: Turn, call: RequestedCall) -> None:
    """Mark the approval of exactly this call as used. Raises NotApproved."""
    rows = Approval.objects.for_org(turn.org_id).select_for_update()
    approval = rows.filter(conversation_id=turn.conversation_id, task_id=call.task_id).first()
    if (
        approval is None
        or approval.state != ApprovalState.APPROVED
        or approval.digest != digests.digest(call.tool, call.arguments)
        or approval.expires_at <= timezone.now()
    ):
        raise answers.NotApproved
    approval.state = ApprovalState.USED
    approval.save(update_fields=["state"])


def _mark_approvals_failed(turn: Turn, call: RequestedCall) -> Iterator[NewEvent]:
    """Mark the approvals of a failed call as failed, and yield their events."""
    approved = Approval.objects.for_org(turn.org_id).filter(
        conversation_id=turn.conversation_id,
        task_id=call.task_id,
        state__in=[ApprovalState.APPROVED, ApprovalState.USED],
    )
    for approval in approved:
        approval.state = ApprovalState.FAILED
        approval.save(update_fields=["state"])
        yield closing.resolved_event(turn, approval)


def _carry_out_slowly(claimed: ClaimedTurn, call: RequestedCall, outcome: SlowAnswer) -> CallAnswer:
    """Make the slow call outside every transaction, and store its answer."""
    made = make_slow_call(outcome)
    with org_scope(claimed.org_id):
        turn = leases.locked(claimed)
        answer = made.as_answer(call.tool, lambda: acting_member(turn).by)
        return _finish(turn, call, answer)


def _begin(claimed: ClaimedTurn, call: RequestedCall) -> BegunCall:
    """Lock the turn, and store that the call has begun. Raises TurnLeaseLost and StopRequested."""
    parameters: dict[str, Any] = {
        **leases.parameters(claimed),
        "call": new_id(),
        "task": call.task_id,
        "tool_call": call.tool_call_id,
        "tool": call.tool,
    }
    row = _row_of_begun_call(parameters)
    if row is None:
        # Perhaps another transaction has locked the turn. Wait for it, so that the next statement reads newer rights.
        leases.locked(claimed)
        row = _row_of_begun_call(parameters)
    if row is None:
        raise TurnLeaseLost
    is_new, *others = row
    turn = leases.turn_of_row(others)
    leases.require_not_stopped(turn)
    return BegunCall(turn, is_new, others[len(leases.TURN_FIELDS) :])


def _row_of_begun_call(parameters: Mapping[str, Any]) -> Sequence[Any] | None:
    """Return the row of BEGIN_CALL, or None if the lease is lost or another transaction has locked the turn."""
    with connection.cursor() as cursor:
        cursor.execute(BEGIN_CALL, parameters)
        row: Sequence[Any] | None = cursor.fetchone()
    return row


def _begun_event(turn: Turn, call: RequestedCall, tool: Tool[Any] | None) -> NewEvent:
    return new_event(
        Kind.TOOL_CALL,
        turn.number,
        id=call.task_id,
        tool=call.tool,
        title=tool.title if tool else call.tool,
        arguments={} if check_arguments(call) else answers.bounded_json(call.arguments),
    )


def _finish(
    turn: Turn, call: RequestedCall, answer: Answer, *events_before: NewEvent
) -> CallAnswer:
    """Store the answer with its event. `events_before` are stored before it."""
    given = as_text(answer)
    event = new_event(
        Kind.TOOL_RESULT,
        turn.number,
        id=call.task_id,
        state="ok" if answer.ok else "error",
        summary=answer.summary,
        result=answers.bounded_json(answer.content),
        links=[dict(link) for link in answer.links],
    )
    failed = [] if answer.ok else _mark_approvals_failed(turn, call)
    values = {"task": call.task_id, "ok": given.ok, "answer": given.text}
    new_events = [*events_before, *failed, event]
    finish = Statement(FINISH_CALL, values)
    change_and_record(finish, turn.org_id, turn.conversation_id, *new_events)
    return given
