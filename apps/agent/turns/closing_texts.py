"""What a model is told about a tool call whose answer never reached the thread."""

from __future__ import annotations

from collections.abc import Iterable

from apps.agent.models import Approval, ApprovalState, Call, CallState
from apps.agent.turns import answers
from apps.agent.turns.leases import ClaimedTurn
from apps.orgs.walls.scope import org_scope

OF_REQUESTS = {
    ApprovalState.EXPIRED: "The request for approval has expired, so the call had no effect.",
    ApprovalState.STOPPED: "The turn ended before the user decided, so the call had no effect.",
    ApprovalState.SUPERSEDED: "The user sent another message instead of deciding, so the call had no effect.",
}


def of_calls(claimed: ClaimedTurn, tool_call_ids: Iterable[str]) -> dict[str, str]:
    """Return a text for each call. A call that was carried out gets its stored answer."""
    with org_scope(claimed.org_id):
        return {call_id: _of_call(claimed, call_id) for call_id in tool_call_ids}


def _of_call(claimed: ClaimedTurn, tool_call_id: str) -> str:
    calls = Call.objects.for_org(claimed.org_id).filter(conversation_id=claimed.conversation_id)
    call = calls.filter(tool_call_id=tool_call_id[:200]).order_by("-began_at").first()
    if call is not None and call.state == CallState.FINISHED:
        return call.answer
    if call is not None:
        return answers.OUTCOME_UNKNOWN
    rows = Approval.objects.for_org(claimed.org_id).filter(conversation_id=claimed.conversation_id)
    request = rows.filter(tool_call_id=tool_call_id[:200]).order_by("-created_at").first()
    state = ApprovalState(request.state) if request is not None else ApprovalState.STOPPED
    return OF_REQUESTS.get(state, OF_REQUESTS[ApprovalState.STOPPED])
