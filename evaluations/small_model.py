"""`python -m evaluations.small_model`: serve a small language model that can call tools, see docs/howto/evaluations.md.

It is the server of llama-cpp-python with its options. Two things of its format `chatml-function-calling` are changed. It
fails when an answer is streamed that may call tools; here such an answer is finished first, and then sent as a stream.
And it leaves out what the tools have answered; here the model gets this as a message. The module runs in an environment
of its own, which has neither Django nor Drover's other packages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from llama_cpp.llama_chat_format import (
    get_chat_completion_handler,
    register_chat_completion_handler,
)
from llama_cpp.server.__main__ import main as serve

CHAT_FORMAT = "streamed-function-calling"
MAX_TOKENS = 512  # of an answer, because a small model often does not end by itself


@register_chat_completion_handler(CHAT_FORMAT)  # type: ignore[untyped-decorator]
def answer(
    *,
    messages: list[Any],
    tools: list[Any] | None = None,
    tool_choice: Any = None,
    stream: bool = False,
    max_tokens: int | None = None,
    **parameters: Any,
) -> Any:
    """Return an answer, or an iterator of its chunks. Tools may be called if the request does not say otherwise."""
    ask = partial(
        get_chat_completion_handler("chatml-function-calling"),
        messages=[_readable(message) for message in messages],
        max_tokens=max_tokens or MAX_TOKENS,
        **parameters,
    )
    if not tools or tool_choice == "none":
        return ask(stream=stream)
    completion = ask(tools=tools, tool_choice=tool_choice or "auto")
    if "tool_calls" not in completion["choices"][0]["message"]:
        return ask(stream=stream)  # the format can begin a text, but not write it
    return _chunks(completion) if stream else completion


def _readable(message: Any) -> Any:
    """Return the answer of a tool as a message of the user."""
    if message["role"] != "tool":
        return message
    return {"role": "user", "content": f"The tool answered: {_text(message['content'])}"}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _chunks(completion: Any) -> Iterator[Any]:
    """Yield the tool calls of an answer as the chunks of a stream."""
    usage = completion.pop("usage")
    base = {**completion, "object": "chat.completion.chunk"}
    calls = completion["choices"][0]["message"]["tool_calls"]
    numbered_calls = [{**call, "index": index} for index, call in enumerate(calls)]
    delta = {"role": "assistant", "content": None, "tool_calls": numbered_calls}
    yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    end = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    yield {**base, "choices": [end], "usage": usage}


if __name__ == "__main__":
    sys.argv += ["--chat_format", CHAT_FORMAT]
    serve()
