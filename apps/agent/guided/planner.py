"""Decide the next step of guided mode from the messages of the thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage


@dataclass(frozen=True, slots=True)
class Step:
    """What the agent says, and the tools it calls."""

    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()


INTRODUCTION = (
    "I am Drover's guided mode, not a language model. I understand requests such as"
    ' "list pipelines". An admin can set a language model in the settings.'
)


def next_step(messages: Sequence[BaseMessage]) -> Step:
    """Return the next step."""
    turn = _messages_of_turn(messages)
    results = [message for message in turn if isinstance(message, ToolMessage)]
    request = turn[0].text.lower() if turn else ""
    if "pipelines" in request and not results:
        return Step("", (("list_pipelines", {}),))
    if results:
        return Step(results[-1].text)
    return Step(INTRODUCTION)


def _messages_of_turn(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    start = max((i for i, m in enumerate(messages) if isinstance(m, HumanMessage)), default=0)
    return messages[start:]
