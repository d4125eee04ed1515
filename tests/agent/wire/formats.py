"""The streaming formats of OpenAI's chat completions, Anthropic's messages and Google's generateContent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.agent.wire.replies import End, Reply, pieces_of, words_of

USAGE = (100, 20)  # input and output tokens that the servers report


def openai(reply: Reply, model: str) -> Iterator[str]:
    yield _openai_chunk(model, {"role": "assistant", "content": ""})
    for word in words_of(reply.text):
        yield _openai_chunk(model, {"content": word})
    for index, call in enumerate(reply.calls):
        start = {
            "index": index,
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        yield _openai_chunk(model, {"tool_calls": [{**start, "id": call.id}]})
        for piece in pieces_of(call):
            delta = {"index": index, "function": {"arguments": piece}}
            yield _openai_chunk(model, {"tool_calls": [delta]})
    if reply.end == End.BROKEN:
        return
    if reply.end == End.FAILED:
        yield _data(error_body("", reply))
        return
    if reply.end == End.REFUSED:
        yield _openai_chunk(model, {"refusal": "I cannot help with that."})
    if reply.end != End.WITHOUT_REASON:
        finished = "tool_calls" if reply.calls else "stop"
        reasons = {End.LENGTH: "length", End.REFUSED: "content_filter"}
        yield _openai_chunk(model, {}, reasons.get(reply.end, finished))
    if reply.has_usage:
        usage = {
            "prompt_tokens": USAGE[0],
            "completion_tokens": USAGE[1],
            "total_tokens": sum(USAGE),
        }
        yield _data({**_openai_base(model), "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def anthropic(reply: Reply, model: str) -> Iterator[str]:
    message: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": USAGE[0] if reply.has_usage else 0, "output_tokens": 0},
    }  # fmt: skip
    yield _event("message_start", message=message)
    index = 0
    if reply.text:
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for word in words_of(reply.text):
            yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        yield _event("content_block_stop", index=0)
        index = 1
    for number, call in enumerate(reply.calls, start=index):
        block: dict[str, Any] = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield _event("content_block_start", index=number, content_block=block)
        for piece in pieces_of(call):
            delta = {"type": "input_json_delta", "partial_json": piece}
            yield _event("content_block_delta", index=number, delta=delta)
        yield _event("content_block_stop", index=number)
    if reply.end == End.BROKEN:
        return
    if reply.end == End.FAILED:
        yield _event("error", error={"type": "overloaded_error", "message": reply.message})
        return
    if reply.end != End.WITHOUT_REASON:
        finished = "tool_use" if reply.calls else "end_turn"
        reasons = {End.LENGTH: "max_tokens", End.REFUSED: "refusal"}
        stop: dict[str, Any] = {
            "stop_reason": reasons.get(reply.end, finished),
            "stop_sequence": None,
        }
        counts = USAGE if reply.has_usage else (0, 0)
        usage = {"input_tokens": counts[0], "output_tokens": counts[1]}
        yield _event("message_delta", delta=stop, usage=usage)
    yield _event("message_stop")


def google(reply: Reply, model: str) -> Iterator[str]:
    """Google sends the arguments of a call as an object, so they cannot be cut. Raw text that is cut is sent as `{}`."""
    for word in words_of(reply.text):
        yield _google_chunk(model, [{"text": word}])
    for call in reply.calls:
        try:
            arguments = json.loads(call.arguments)
        except ValueError:
            arguments = {}
        function = {"name": call.name, "args": arguments}
        if call.id:
            function["id"] = call.id
        yield _google_chunk(model, [{"functionCall": function, "thoughtSignature": "c2lnbmF0dXJl"}])
    if reply.end == End.BROKEN:
        return
    if reply.end == End.FAILED:
        error = {"code": 503, "message": reply.message, "status": "UNAVAILABLE"}
        yield _data({"error": error})
        return
    usage = {
        "promptTokenCount": USAGE[0],
        "candidatesTokenCount": USAGE[1],
        "totalTokenCount": sum(USAGE),
    }
    reasons = {End.FINISHED: "STOP", End.LENGTH: "MAX_TOKENS", End.REFUSED: "SAFETY"}
    reason = reasons.get(reply.end)
    yield _google_chunk(model, [{"text": ""}], reason, usage if reply.has_usage else None)


def error_body(path: str, reply: Reply) -> Any:
    """Return the JSON body of an error in the format of the provider that has this path."""
    if path.endswith("/messages"):
        return {"type": "error", "error": {"type": "api_error", "message": reply.message}}
    if ":streamGenerateContent" in path:
        return {"error": {"code": reply.status, "message": reply.message, "status": "ERROR"}}
    return {"error": {"message": reply.message, "type": "error", "code": None, "param": None}}


def whole_body(path: str, reply: Reply) -> Any:
    """Return the text of a reply as one JSON body, in the format of the provider that has this path."""
    if path.endswith("/messages"):
        content = [{"type": "text", "text": reply.text}]
        usage = {"input_tokens": USAGE[0], "output_tokens": USAGE[1]}
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": "end_turn", "usage": usage,
        }  # fmt: skip
    if ":streamGenerateContent" in path:
        parts = {"role": "model", "parts": [{"text": reply.text}]}
        return {"candidates": [{"content": parts, "finishReason": "STOP", "index": 0}]}
    message = {"role": "assistant", "content": reply.text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**_openai_base("m"), "object": "chat.completion", "choices": [choice]}


def _openai_base(model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}


def _openai_chunk(model: str, delta: dict[str, Any], reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return _data({**_openai_base(model), "choices": [choice]})


def _google_chunk(
    model: str, parts: list[Any], reason: str | None = None, usage: dict[str, int] | None = None
) -> str:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    body: dict[str, Any] = {"candidates": [candidate], "modelVersion": model}
    if usage:
        body["usageMetadata"] = usage
    return _data(body)


def _data(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"
