"""A chat model that answers with the steps of a script, whatever it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from apps.agent import chat_models
from apps.agent.chat_models import ChosenModel

Call = tuple[str, Mapping[str, Any]]  # a tool's name and its arguments


@dataclass(frozen=True)
class Step:
    """One answer of the model. It never ends if `stalls` is true, and raises an exception if `fails` is true.

    If `waits_for` is the path of a file, the answer goes on after its first word when the file exists.
    """

    text: str = ""
    calls: Sequence[Call] = ()
    stalls: bool = False
    fails: bool = False
    waits_for: str = ""


class ScriptedModel(BaseChatModel):
    """Takes the next step for each answer that it has given in the current turn, and repeats the last one."""

    steps: list[Any]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: Any = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        step, message_id = self._step(messages), str(uuid4())
        for word in step.text.split(" "):
            yield _chunk(AIMessageChunk(content=f"{word} ", id=message_id))
            await asyncio.sleep(0.001)
            while step.waits_for and not Path(step.waits_for).exists():  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.01)
        if step.stalls:
            await asyncio.Event().wait()
        if step.fails:
            raise RuntimeError("the scripted model fails")
        calls = [
            {"name": name, "args": orjson.dumps(dict(a)).decode(), "id": f"c{uuid4()}", "index": n}
            for n, (name, a) in enumerate(step.calls)
        ]
        yield _chunk(
            AIMessageChunk(content="", id=message_id, tool_call_chunks=calls, chunk_position="last")
        )

    def _step(self, messages: Sequence[BaseMessage]) -> Step:
        count = 0
        for message in reversed(messages):
            if message.type == "human":
                break
            count += message.type == "ai"
        step: Step = self.steps[min(count, len(self.steps) - 1)]
        return step


def use_script(monkeypatch: pytest.MonkeyPatch, *steps: Step) -> None:
    """Let the agent in this process use the scripted model."""
    chosen = ChosenModel("tests:script", lambda: ScriptedModel(steps=list(steps)))
    monkeypatch.setattr(chat_models, "choose", lambda org, own: chosen)


def _chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=message)
