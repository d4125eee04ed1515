"""Check a complete answer of a language model before anything in it is used.

Providers and their clients repair what they can. So an answer that was cut inside the arguments of a tool call could be
carried out with other arguments than the model meant. Here only calls pass whose raw arguments are complete JSON, and
only from an answer that the model has finished.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.outputs import ChatGenerationChunk

from apps.agent.chat_models import failures
from apps.agent.chat_models.failures import ModelFailed

# The reasons with which a model has finished. OpenAI, Anthropic and Google use different words.
FINISHED = frozenset(
    {"stop", "tool_calls", "function_call", "end_turn", "tool_use", "stop_sequence"}
)
CUT = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})
REFUSED = frozenset(
    {"content_filter", "refusal", "safety", "recitation", "blocklist", "prohibited_content", "spii"}
)
BAD_CALL = frozenset({"malformed_function_call", "unexpected_tool_call", "malformed_response"})
SIGNATURES = "__gemini_function_call_thought_signatures__"  # kept by call id
CALL_BLOCKS = frozenset({"tool_use", "tool_call", "function_call"})  # in the content of an answer


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer. If `problem` is set, the answer cannot be used, and the text tells the model why."""

    calls: tuple[ToolCallChunk, ...] = ()
    problem: str = ""
    is_cut: bool = False


def check(answer: ChatGenerationChunk, used_ids: set[str]) -> CheckedAnswer:
    """Check a whole answer. `used_ids` are the ids of calls in the thread. Raises ModelFailed for a refusal."""
    message = _message(answer)
    reason = finish_reason(answer)
    if reason in REFUSED or message.additional_kwargs.get("refusal"):
        raise ModelFailed(failures.REFUSED)
    if reason in BAD_CALL:
        return CheckedAnswer(problem="a tool call in your answer had the wrong form")
    calls = message.tool_call_chunks
    if not calls:
        return _check_text(message, reason)
    if reason not in FINISHED:
        return CheckedAnswer(problem="your answer was cut inside or after a tool call")
    problem = next((p for p in map(_problem_of_call, calls) if p), "")
    if problem:
        return CheckedAnswer(problem=problem)
    return CheckedAnswer(tuple(_with_unique_ids(calls, used_ids)))


def finish_reason(answer: ChatGenerationChunk) -> str | None:
    """Return the reason in lower case, or None if the answer has none, because it was cut."""
    metadata = {**(answer.generation_info or {}), **answer.message.response_metadata}
    reason = metadata.get("finish_reason") or metadata.get("stop_reason")
    return str(reason).lower() if reason else None


def ids_in(messages: Iterable[BaseMessage]) -> set[str]:
    """Return the ids of all tool calls in the messages."""
    return {
        str(call["id"])
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
    }


def apply_ids(message: AIMessageChunk, calls: Sequence[ToolCallChunk]) -> AIMessageChunk:
    """Return the message with these calls, and with their ids in the provider's own blocks."""
    new_ids = [str(call["id"]) for call in calls]
    old_ids = [call["id"] for call in message.tool_call_chunks]
    extra = dict(message.additional_kwargs)
    extra.pop("tool_calls", None)
    if signatures := extra.get(SIGNATURES):
        renamed = dict(zip(old_ids, new_ids, strict=True))
        extra[SIGNATURES] = {renamed.get(old, old): value for old, value in signatures.items()}
    return AIMessageChunk(
        content=_content_with_ids(message.content, new_ids),
        additional_kwargs=extra,
        response_metadata=message.response_metadata,
        tool_call_chunks=[*calls],
        usage_metadata=message.usage_metadata,
    )


def _message(answer: ChatGenerationChunk) -> AIMessageChunk:
    if not isinstance(answer.message, AIMessageChunk):
        raise ModelFailed(failures.BAD_ANSWER)
    return answer.message


def _check_text(message: AIMessageChunk, reason: str | None) -> CheckedAnswer:
    if reason in CUT and message.text:
        return CheckedAnswer(is_cut=True)
    if reason not in FINISHED and reason not in CUT:
        raise ModelFailed(failures.INTERRUPTED)
    if not message.text.strip():
        return CheckedAnswer(problem="your answer was empty")
    return CheckedAnswer()


def _problem_of_call(call: ToolCallChunk) -> str:
    if not call["name"]:
        return "a tool call had no name"
    try:
        arguments = json.loads(call["args"] or "{}")
    except ValueError:
        return f"the arguments of {call['name'][:64]} were not complete JSON"
    if not isinstance(arguments, dict):
        return f"the arguments of {call['name'][:64]} were not a JSON object"
    return ""


def _with_unique_ids(calls: Sequence[ToolCallChunk], used_ids: set[str]) -> Iterable[ToolCallChunk]:
    """Yield the calls. Missing and repeated ids are replaced; other ids stay as they are."""
    seen = set(used_ids)
    for index, call in enumerate(calls):
        call_id = call["id"]
        if not call_id or call_id in seen:
            call_id = f"call_{uuid.uuid4().hex}"
        seen.add(call_id)
        yield ToolCallChunk(
            name=call["name"],
            args=call["args"] or "{}",
            id=call_id,
            index=call["index"] if call["index"] is not None else index,
            type="tool_call_chunk",
        )


def _content_with_ids(content: Any, new_ids: list[str]) -> Any:
    """Return the content with the new ids in the blocks of tool calls, which are in the order of the calls."""
    if isinstance(content, str):
        return content
    ids = iter(new_ids)
    blocks: list[Any] = []
    for block in content:
        is_call = isinstance(block, dict) and block.get("type") in CALL_BLOCKS
        blocks.append({**block, "id": next(ids, block.get("id"))} if is_call else block)
    return blocks
