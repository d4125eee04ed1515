"""Guided mode: a deterministic planner with the interface of a chat model. It is not a language model, and says so."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from apps.agent.guided import planner

_WORD = re.compile(r"\s*\S+\s*")


class GuidedModel(BaseChatModel):
    """Answers with the planner's next step. Binding tools changes nothing: the planner knows them."""

    @property
    def _llm_type(self) -> str:
        return "guided"

    def bind_tools(
        self, tools: Sequence[Any | BaseTool], **kwargs: Any
    ) -> Runnable[Any, AIMessage]:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=_answer(messages))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        answer = _answer(messages)
        for word in _WORD.findall(answer.text):
            yield _chunk(AIMessageChunk(content=word, id=answer.id))
            await asyncio.sleep(0)
        calls = [
            {"name": c["name"], "args": orjson.dumps(c["args"]).decode(), "id": c["id"], "index": i}
            for i, c in enumerate(answer.tool_calls)
        ]
        yield _chunk(
            AIMessageChunk(content="", id=answer.id, tool_call_chunks=calls, chunk_position="last")
        )


def _answer(messages: Sequence[BaseMessage]) -> AIMessage:
    step = planner.next_step(messages)
    calls = [
        {"name": name, "args": dict(arguments), "id": f"call_{uuid.uuid4().hex[:12]}"}
        for name, arguments in step.calls
    ]
    return AIMessage(content=step.text, tool_calls=calls, id=str(uuid.uuid4()))


def _chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=message)
