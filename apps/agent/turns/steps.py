"""Decide from the state of a thread what a turn has to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any
from uuid import UUID

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.types import Command, StateSnapshot

from apps.agent.graphs import hand_over
from apps.agent.models import Approval, ApprovalKind, ApprovalState, Graph, Turn, TurnStatus
from apps.agent.turns import closing_texts
from apps.agent.turns.leases import ClaimedTurn
from apps.live.events import dumps
from apps.pipelines.schedules.times import time_zone_names

MAX_MISSING = 3  # earlier messages that are put into the thread with a new one
ENDED_EARLY = (TurnStatus.FAILED, TurnStatus.STOPPED)
_PAGE = re.compile(r"/[\w/-]{0,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Submit:
    """Put the user's message into the thread, after earlier ones that are missing in it."""

    messages: tuple[HumanMessage, ...]


@dataclass(frozen=True, slots=True)
class Continue:
    """Continue with what the thread has to do, and answer one pause if `decision` is set."""

    decision: Command[Any] | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Everything else is done; the user has to decide the requests of these tasks."""

    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandOver:
    """Go on with this graph, because a tool of the other graph has handed the turn over."""

    graph: Graph


class Finished:
    """The thread has answered the message."""


Step = Submit | Continue | Wait | HandOver | Finished


def next_step(turn: Turn, state: StateSnapshot, graph: Graph) -> Step:
    """Return the next step of the turn, which `graph` runs. Call it with the turn's row locked."""
    if not is_submitted(state, turn.pk):
        return submission(turn, graph, missing=_missing_turns(turn, state))
    if not state.next:
        other = hand_over.next_graph(state.values.get("messages", []))
        return Finished() if other is None else HandOver(other)
    for task in state.tasks:
        for interrupt in task.interrupts:
            if (decision := _decision(turn, task.id)) is not None:
                return Continue(Command(resume={interrupt.id: decision}))
    if any(not task.interrupts and task.result is None for task in state.tasks):
        return Continue()
    return Wait(tuple(task.id for task in state.tasks if task.interrupts))


def answers_to_open_calls(claimed: ClaimedTurn, state: StateSnapshot) -> list[ToolMessage]:
    """Return an answer to each tool call that has none.

    Call it before a new message is put into a thread that was stopped or superseded: providers refuse calls without
    answers. Calls that were carried out get their stored answer.
    """
    calls = open_calls(state.values.get("messages", []))
    texts = closing_texts.of_calls(claimed, [str(call["id"]) for call in calls])
    return [
        ToolMessage(
            content=texts[str(call["id"])],
            tool_call_id=call["id"],
            name=call["name"],
            status="error",
        )
        for call in calls
    ]


def submission(turn: Turn, graph: Graph, missing: Sequence[Turn] = ()) -> Submit:
    """Return the step that puts the messages of these turns and of this one into the thread."""
    return Submit(tuple(_message(each, graph) for each in [*missing, turn]))


def _message(turn: Turn, graph: Graph) -> HumanMessage:
    """Return the user's message, with the page from which it was sent, if that is one of the dashboard, and with the
    user's time zone, if it is known.
    """
    page = {"page": turn.page} if _PAGE.fullmatch(turn.page) else {}
    zone = {"timezone": turn.timezone} if turn.timezone in time_zone_names() else {}
    builder = {"graph": graph.value} if graph == Graph.SOURCE_BUILDER else {}
    return HumanMessage(turn.text, id=str(turn.pk), additional_kwargs={**builder, **page, **zone})


def _missing_turns(turn: Turn, state: StateSnapshot) -> list[Turn]:
    """Return the turns before this one, oldest first, that ended before their message was in the thread.

    The user may refer to such a message, for example after stopping the turn before a worker has begun it.
    """
    rows = Turn.objects.for_org(turn.org_id).filter(conversation_id=turn.conversation_id)
    newest = rows.filter(number__lt=turn.number).defer("transcript").order_by("-number")
    missing = takewhile(
        lambda each: each.status in ENDED_EARLY and not is_submitted(state, each.pk),
        newest[:MAX_MISSING],
    )
    return [*missing][::-1]


def is_submitted(state: StateSnapshot, turn_id: UUID) -> bool:
    """Return whether the user's message is in the thread."""
    return any(message.id == str(turn_id) for message in state.values.get("messages", []))


def is_answered(state: StateSnapshot, turn_id: UUID) -> bool:
    """Return whether the thread has answered the user's message, so that the turn is finished."""
    is_idle = not state.next and hand_over.next_graph(state.values.get("messages", [])) is None
    return is_idle and is_submitted(state, turn_id)


def open_calls(messages: list[AnyMessage]) -> list[Any]:
    """Return the tool calls that have no answer."""
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    return [
        call
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if call["id"] not in answered
    ]


def _decision(turn: Turn, task_id: str) -> dict[str, Any] | None:
    """Return the decision for LangChain's middleware, or None while the request is open."""
    rows = Approval.objects.for_org(turn.org_id).filter(conversation_id=turn.conversation_id)
    request = rows.filter(task_id=task_id).first()
    if request is None:
        return {"type": "reject", "message": "This call was not prepared, so it had no effect."}
    match request.state:
        case ApprovalState.OPEN:
            return None
        case ApprovalState.APPROVED | ApprovalState.USED | ApprovalState.FAILED:
            if not request.edited:
                return {"type": "approve"}
            action = {"name": request.tool, "args": request.arguments}
            return {"type": "edit", "edited_action": action}
        case ApprovalState.ANSWERED:
            return {"type": "respond", "message": _answer_text(request)}
        case ApprovalState.REJECTED:
            return {"type": "reject", "message": request.reason or "The user gave no reason."}
    message = closing_texts.OF_REQUESTS[ApprovalState(request.state)]
    decision_type = "respond" if request.kind == ApprovalKind.QUESTION else "reject"
    return {"type": decision_type, "message": message}


def _answer_text(request: Approval) -> str:
    answer = request.answer or {}
    return str(answer.get("text") or dumps(answer))
