"""The result of a check of a language model. This module imports neither Django nor a provider's package."""

from __future__ import annotations

from typing import Literal, TypedDict

State = Literal["ok", "warning", "failed", "skipped"]

TITLES = {
    "reachable": "The server can be reached",
    "key": "Key and model",
    "streaming": "Streaming",
    "tool_calls": "Tool calls",
    "call_ids": "Ids of tool calls",
    "context": "Context of 8,000 tokens",
    "two_at_once": "Two requests at once",
    "structured_output": "Structured output",
}
NAMES = tuple(TITLES)


class ModelCheckRow(TypedDict):
    """One part of a check. `next_step` is empty if nothing has to be done."""

    name: str
    title: str
    state: State
    message: str
    next_step: str
    ms: float
    tokens: int  # input and output


class ModelCheckAnswer(TypedDict):
    """`ok` says whether the agent can work with the model: nothing has failed. There may be warnings."""

    ok: bool
    model: str  # provider:name
    checks: list[ModelCheckRow]
    input_tokens: int
    output_tokens: int


def make_row(
    name: str,
    state: State,
    message: str,
    next_step: str = "",
    *,
    ms: float = 0.0,
    tokens: int = 0,
) -> ModelCheckRow:
    return {
        "name": name,
        "title": TITLES[name],
        "state": state,
        "message": message,
        "next_step": next_step,
        "ms": round(ms, 1),
        "tokens": tokens,
    }
