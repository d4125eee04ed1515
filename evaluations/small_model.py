"""`python -m evaluations.small_model`: serve a small language model that can call tools, see docs/howto/evaluations.md.

It is the server of llama-cpp-python with its options, but with another way to call tools, because its own fails if an
answer is streamed, leaves out what the tools have answered, and rejects the history of a conversation with calls. Here
the model first chooses between a text and the names of the tools, and then writes the arguments of this one call. The
names are in the system prompt, and what the model is asked for comes after the conversation, so that the server reads
each message only once. The module runs in an environment of its own, which has neither Django nor Drover's other
packages.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NotRequired

from llama_cpp import LlamaGrammar, llama_types
from llama_cpp.llama_chat_format import (
    get_chat_completion_handler,
    register_chat_completion_handler,
)

CHAT_FORMAT = "one-tool-call"
# Limits that let an answer take seconds instead of minutes on a small machine.
MAX_TOKENS = 96  # of an answer; a small model often does not end by itself
MAX_TOOL_ANSWER = 200  # characters
MAX_MESSAGES = 2  # besides those of the system and the user: the newest call and its answer
TEXT = "text"
Message = dict[str, Any]

ask = get_chat_completion_handler("chatml-function-calling")


@register_chat_completion_handler(CHAT_FORMAT)  # type: ignore[untyped-decorator]
def answer(
    *,
    messages: Sequence[Message],
    tools: Sequence[Any] | None = None,
    tool_choice: Any = None,
    stream: bool = False,
    max_tokens: int | None = None,
    **parameters: Any,
) -> Any:
    """Return an answer, or an iterator of its chunks. Tools may be called if the request does not say otherwise."""
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools or ()}
    readable = [_readable(message) for message in _newest(messages)]
    if schemas:
        readable.insert(0, _system(_names_of(schemas)))
    parameters["max_tokens"] = min(max_tokens or MAX_TOKENS, MAX_TOKENS)
    if isinstance(tool_choice, dict):
        name = tool_choice["function"]["name"]
    else:
        name = TEXT if tool_choice == "none" else _choose(readable, [*schemas], **parameters)
    if name not in schemas:
        return ask(messages=readable, stream=stream, **parameters)
    completion = _call(readable, name, schemas[name], **parameters)
    return _chunks(completion) if stream else completion


def _choose(messages: Sequence[Message], tools: Sequence[str], **parameters: Any) -> str:
    """Return the tool that the model calls, or TEXT."""
    if not tools:
        return TEXT
    request = f"Reply with the name of one tool, or with {TEXT} to answer."
    names = " | ".join(f'"{name}"' for name in (TEXT, *tools))
    parameters["grammar"] = LlamaGrammar.from_string(f"root ::= {names}", verbose=False)
    parameters["temperature"] = 0.0
    completion = ask(messages=[*messages, _system(request)], **parameters)
    return str(completion["choices"][0]["message"]["content"])


def _call(messages: Sequence[Message], name: str, schema: Any, **parameters: Any) -> Any:
    """Return an answer with a call of this tool. The arguments are cut if they are too long."""
    request = f"Reply with the arguments of {name} as JSON."
    grammar = LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)
    completion = ask(messages=[*messages, _system(request)], **{**parameters, "grammar": grammar})
    choice = completion["choices"][0]
    function = {"name": name, "arguments": choice["message"]["content"]}
    call = {"index": 0, "id": f"call_{completion['id']}", "type": "function", "function": function}
    choice["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
    if choice["finish_reason"] != "length":
        choice["finish_reason"] = "tool_calls"
    return completion


def _names_of(tools: Iterable[str]) -> str:
    return f"Tools: {', '.join(tools)}."


def _system(text: str) -> Message:
    return {"role": "system", "content": text}


def _newest(messages: Sequence[Message]) -> list[Message]:
    """Return all messages of the system and the user, and the newest of the others."""
    others = [
        number
        for number, message in enumerate(messages)
        if message["role"] not in {"system", "user"}
    ]
    left_out = others[:-MAX_MESSAGES]
    return [message for number, message in enumerate(messages) if number not in left_out]


def _readable(message: Message) -> Message:
    """Return the beginning of a tool's answer as a message of the user, which the format can show to the model."""
    if message["role"] != "tool":
        return message
    text = _text(message["content"])[:MAX_TOOL_ANSWER]
    return {"role": "user", "content": f"The tool answered: {text}"}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _chunks(completion: Any) -> Iterator[Any]:
    """Yield an answer with a tool call as the chunks of a stream."""
    usage, choice = completion.pop("usage"), completion["choices"][0]
    base = {**completion, "object": "chat.completion.chunk"}
    yield {**base, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}]}
    end = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
    yield {**base, "choices": [end], "usage": usage}


def main() -> None:
    # As in the API of OpenAI, a message with tool calls may have no text. The server builds its checks at its import.
    optional_text = NotRequired[str | None]
    llama_types.ChatCompletionRequestAssistantMessage.__annotations__["content"] = optional_text
    from llama_cpp.server.__main__ import main as serve

    sys.argv += ["--chat_format", CHAT_FORMAT]
    serve()


if __name__ == "__main__":
    main()
