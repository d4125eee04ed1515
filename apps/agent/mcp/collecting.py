"""Give a program the result of a tool call that needed an approval.

An approved call is carried out here, when the program asks for its result, and not at the approval: so it has the
current rights of the key, and a revoked key changes nothing. The row is locked, and its state, the effect and the
answer change in one transaction, so a request has at most one effect.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from pydantic import Field

from apps.agent.approvals import digests
from apps.agent.mcp import levels, requesting
from apps.agent.mcp.callers import Caller
from apps.agent.models import ToolRequest, ToolRequestState
from apps.agent.tools.base import Answer, Arguments, SlowAnswer, ToolContext, parse_arguments
from apps.agent.tools.slow_work import with_checks
from apps.agent.turns import answers
from apps.agent.turns.calls import OUTCOME_UNKNOWN, CallAnswer, as_text, make_slow_call
from apps.json import JsonObject
from apps.orgs import rules
from apps.orgs.exceptions import CheckFirst
from apps.orgs.models import Org
from apps.orgs.placement import find_object

NAME = "collect_result"
DESCRIPTION = (
    "Get the result of a call that needed an approval: waiting_for_approval, the reason of a rejection, or the result."
    " An approved call is carried out now, once; asking again returns the same result."
)
LONGEST_CALL = timedelta(minutes=10)  # after that, the process that made a slow call has died


class CollectResult(Arguments):
    request_id: UUID = Field(description="From the answer of the call that needs an approval.")


def collect_result(caller: Caller, arguments: JsonObject) -> CallAnswer:
    """Return the result of one of the caller's requests. Raises Invalid, NotFound, and what the org's rules raise."""
    request_id = parse_arguments(CollectResult, arguments).request_id
    outcome = with_checks(lambda checked: _collect(caller, request_id, checked))
    if isinstance(outcome, SlowAnswer):
        return _finish_slowly(caller, request_id, outcome)
    return outcome


def _collect(caller: Caller, request_id: UUID, checked: Any) -> CallAnswer | SlowAnswer:
    with caller.scope() as (org, principal):
        request = _locked(caller, org, request_id)
        if request.state == ToolRequestState.DONE:
            return CallAnswer(bool(request.ok), request.answer)
        if request.state == ToolRequestState.BEGUN:
            return _begun(request)
        if request.state == ToolRequestState.APPROVED and request.expires_at > timezone.now():
            rules.require_writable(org)
            context = ToolContext(org=org, by=principal, checked=checked)
            return _carry_out(context, request)
        return as_text(_without_result(request))


def _locked(caller: Caller, org: Org, request_id: UUID) -> ToolRequest:
    """Return and lock a request of this key. Raises NotFound, also for the requests of other keys."""
    rows = ToolRequest.objects.for_org(org).filter(key_id=caller.credential.key_id)
    return find_object(rows, request_id, lock=True)


def _without_result(request: ToolRequest) -> Answer:
    if request.state == ToolRequestState.REJECTED:
        return answers.failed("rejected", "A person has rejected this call.", reason=request.reason)
    if request.expires_at <= timezone.now():
        return answers.failed("expired", "The request has expired: make the call again.")
    return requesting.pending(request)


def _begun(request: ToolRequest) -> CallAnswer:
    if request.began_at is not None and request.began_at > timezone.now() - LONGEST_CALL:
        return as_text(Answer({"status": "in_progress"}, "The call is in progress."))
    return _finish(request, OUTCOME_UNKNOWN)


def _carry_out(context: ToolContext, request: ToolRequest) -> CallAnswer | SlowAnswer:
    try:
        with transaction.atomic():
            outcome = _perform(context, request)
    except (CheckFirst, OperationalError, InterfaceError):
        raise  # the request stays approved
    except Exception as error:  # everything that the tool has written is rolled back
        outcome = answers.from_exception(error, tool=request.tool, arguments=request.arguments)
    if isinstance(outcome, Answer):
        return _finish(request, outcome)
    request.state, request.began_at = ToolRequestState.BEGUN, timezone.now()
    request.save(update_fields=["state", "began_at"])
    return outcome


def _perform(context: ToolContext, request: ToolRequest) -> Answer | SlowAnswer:
    tool = levels.find_tool(context.by, request.tool)
    if tool is None:
        return levels.unknown_tool(context.by, request.tool)
    if request.digest != digests.digest(request.tool, request.arguments):
        raise answers.NotApproved
    outcome: Answer | SlowAnswer = tool.perform(context, tool.parse(request.arguments))
    return outcome


def _finish_slowly(caller: Caller, request_id: UUID, outcome: SlowAnswer) -> CallAnswer:
    """Make the slow call outside of every transaction, and store its answer."""
    made = make_slow_call(outcome)
    with caller.read_again().scope() as (org, principal):
        request = _locked(caller, org, request_id)
        if request.state != ToolRequestState.BEGUN:  # counted as interrupted meanwhile
            return CallAnswer(bool(request.ok), request.answer)
        return _finish(request, made.as_answer(request.tool, lambda: principal))


def _finish(request: ToolRequest, answer: Answer) -> CallAnswer:
    given = as_text(answer)
    request.state, request.ok, request.answer = ToolRequestState.DONE, given.ok, given.text
    request.summary = answer.summary[:1000]
    request.save(update_fields=["state", "ok", "answer", "summary"])
    return given
