"""A language model that takes no time: it calls one tool, and then answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

TOOL = "list_pipelines"


class InstantModel(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "instant"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("the agent calls models asynchronously")

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        message_id = uuid4().hex
        if messages[-1].type == "tool":
            text, calls = "There are no pipelines.", []
        else:
            text = "I look."
            calls = [{"name": TOOL, "args": "{}", "id": uuid4().hex, "index": 0}]
        yield ChatGenerationChunk(message=AIMessageChunk(content=text, id=message_id))
        last = AIMessageChunk(
            content="", id=message_id, tool_call_chunks=calls, chunk_position="last"
        )
        yield ChatGenerationChunk(message=last)
