"""Give each tool call exactly one answer, and remove answers without a call.

Providers refuse messages in which an answer is missing. They would then refuse every later message of the
conversation too. So this is checked before each call of a model, whatever has happened to the thread before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from apps.agent.chat_models.answer_checks import CALL_BLOCKS

UNKNOWN = "It is not known whether this call had an effect. Do not repeat it: look first."
CALLS_LEFT_OUT = "(The tool calls of this answer were left out, because they had no valid ids.)"


def unanswered_calls(messages: Sequence[AnyMessage]) -> list[str]:
    """Return the ids of the calls without an answer."""
    answers = _answers(messages)
    calls = (str(call["id"]) for m in messages if isinstance(m, AIMessage) for call in m.tool_calls)
    return [call_id for call_id in calls if call_id not in answers]


def in_pairs(messages: Sequence[AnyMessage], missing: Mapping[str, str]) -> list[AnyMessage]:
    """Return the messages with exactly one answer directly after each call, in the order of the calls.

    `missing` has a text for each call without an answer. Only the first answer of a call is kept.
    """
    return list(_in_pairs(messages, missing))


def _in_pairs(messages: Sequence[AnyMessage], missing: Mapping[str, str]) -> Iterator[AnyMessage]:
    answers, used = _answers(messages), set[str]()
    for message in messages:
        if isinstance(message, ToolMessage):
            continue
        if not isinstance(message, AIMessage):
            yield message
            continue
        answer = _with_valid_calls(message, used)
        yield answer
        for call in answer.tool_calls:
            call_id = str(call["id"])
            used.add(call_id)
            text = missing.get(call_id, UNKNOWN)
            yield answers.get(call_id) or ToolMessage(
                text, tool_call_id=call_id, name=call["name"], status="error"
            )


def _answers(messages: Sequence[AnyMessage]) -> dict[str, ToolMessage]:
    """Return the first answer to each call. An answer before its call does not count."""
    called: set[str] = set()
    answers: dict[str, ToolMessage] = {}
    for message in messages:
        if isinstance(message, AIMessage):
            called.update(str(call["id"]) for call in message.tool_calls)
        elif isinstance(message, ToolMessage) and message.tool_call_id in called:
            answers.setdefault(message.tool_call_id, message)
    return answers


def _with_valid_calls(message: AIMessage, used: set[str]) -> AIMessage:
    """Return the message, or only its text if ids are missing, repeated, or not those of the provider's blocks."""
    ids = [call["id"] for call in message.tool_calls]
    if not all(ids) or len({*ids} - used) < len(ids) or not _blocks_fit(message, ids):
        text = str(message.text).strip()
        return AIMessage(text or CALLS_LEFT_OUT, id=message.id)
    if not message.invalid_tool_calls and (ids or "tool_calls" not in message.additional_kwargs):
        return message
    # LangChain would send these again as calls, and nothing has answered them.
    extra = {name: v for name, v in message.additional_kwargs.items() if name != "tool_calls"}
    return message.model_copy(update={"invalid_tool_calls": [], "additional_kwargs": extra})


def _blocks_fit(message: AIMessage, ids: Sequence[str | None]) -> bool:
    if isinstance(message.content, str):
        return True
    blocks = [
        block.get("id")
        for block in message.content
        if isinstance(block, dict) and block.get("type") in CALL_BLOCKS
    ]
    return not blocks or blocks == [*ids]
