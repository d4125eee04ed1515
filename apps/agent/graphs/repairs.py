"""Repair the answer of a model, so that it can be stored and its tool calls can be answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage

from apps.agent.turns.tokens import storable_text

MAX_INTEGER = 2**63 - 1  # the serializer of checkpoints refuses larger numbers


def repair(answer: AIMessage, earlier: Iterable[AnyMessage]) -> AIMessage:
    """Return the answer with text that can be stored, and with tool calls whose ids are unique in the thread.

    Some servers leave ids out, or use one id several times. Other ids stay as they are.
    """
    used = {call["id"] for m in earlier if isinstance(m, AIMessage) for call in m.tool_calls}
    calls = []
    for call in _storable(answer.tool_calls):
        if not call["id"] or call["id"] in used:
            call = {**call, "id": f"call_{uuid4().hex}"}
        used.add(call["id"])
        calls.append(call)
    changes = {
        "content": _storable(answer.content),
        "tool_calls": calls,
        "invalid_tool_calls": _storable(answer.invalid_tool_calls),
        "additional_kwargs": _storable(answer.additional_kwargs),
    }
    is_fine = all(getattr(answer, name) == value for name, value in changes.items())
    return answer if is_fine else answer.model_copy(update=changes)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        return str(value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value
