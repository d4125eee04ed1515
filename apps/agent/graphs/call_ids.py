"""Give tool calls ids that are unique in their conversation. Some servers leave ids out, or use one id several times."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage


def make_unique(answer: AIMessage, earlier: Iterable[AnyMessage]) -> AIMessage:
    """Return the answer with new ids for calls without an id, and for ids that were used before. Others stay."""
    used = {call["id"] for m in earlier if isinstance(m, AIMessage) for call in m.tool_calls}
    calls = []
    for call in answer.tool_calls:
        if not call["id"] or call["id"] in used:
            call = {**call, "id": f"call_{uuid4().hex}"}
        used.add(call["id"])
        calls.append(call)
    return answer if calls == answer.tool_calls else answer.model_copy(update={"tool_calls": calls})
