"""What is added to LangChain's agent: approvals, tool calls that are carried out once, and limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NotRequired

import structlog
from langchain.agents.middleware import (
    AgentMiddleware,
    AgentState,
    HumanInTheLoopMiddleware,
    InterruptOnConfig,
)
from langchain.agents.middleware.types import (
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    ToolCallRequest,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.types import Command

from apps.agent.approvals import gate
from apps.agent.graphs import hand_over, history, pairs, prompts, repairs, repetition
from apps.agent.models import Graph
from apps.agent.tools.base import Tool
from apps.agent.turns import calls, closing_texts
from apps.agent.turns.calls import RequestedCall
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.loop import CALLS_AT_ONCE, in_thread
from apps.agent.turns.spending import Spending
from apps.agent.turns.tokens import TokenWriter

logger = structlog.get_logger(__name__)

MAX_STEPS = 25  # model calls in one turn
TOO_MANY_STEPS = f"I stopped after {MAX_STEPS} steps without an answer. Ask for a smaller task."

ToolResult = ToolMessage | Command[Any]
Handler = Callable[[ToolCallRequest], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class GraphContext:
    """The context that the graph's runtime has. It is passed anew for each turn, and is not stored."""

    claimed: ClaimedTurn
    writer: TokenWriter
    spending: Spending
    model: BaseChatModel
    prompt: str
    graph: Graph = Graph.MAIN
    is_guided: bool = False  # guided mode uses no tokens
    # One answer of a model may ask for many slow calls, which must not take all threads of the worker.
    calls_at_once: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(CALLS_AT_ONCE)
    )


ModelHandler = Callable[[ModelRequest[GraphContext]], Awaitable[ModelResponse[Any]]]


class ThreadState(AgentState[Any]):
    """What is stored of a thread. `notes` replace the messages that were removed from it."""

    notes: NotRequired[str]


class CallModel(AgentMiddleware[ThreadState, GraphContext]):
    """Calls the org's model, and stores the text of its answer before the tool calls in it are carried out.

    After a hand-over to the other graph, and after MAX_STEPS calls, it ends this graph instead. All of this is one
    middleware, because LangChain wraps each middleware around each call.
    """

    state_schema = ThreadState

    async def awrap_model_call(
        self, request: ModelRequest[GraphContext], handler: ModelHandler
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        if _steps_of_turn(request.messages) >= MAX_STEPS:
            return ModelResponse([AIMessage(TOO_MANY_STEPS)])
        if stuck := repetition.text_if_stuck(request.messages):
            return ModelResponse([AIMessage(stuck)])
        graph = hand_over.next_graph(request.messages)
        if graph is not None and graph != request.runtime.context.graph:
            return ExtendedModelResponse(ModelResponse([]), Command(update={"jump_to": "end"}))
        return await self._call(request, handler)

    async def _call(
        self, request: ModelRequest[GraphContext], handler: ModelHandler
    ) -> ModelResponse[Any]:
        context = request.runtime.context
        prompt = SystemMessage(prompts.with_place(context.prompt, *_place(request.messages)))
        thread = request.messages
        messages = await _in_pairs(context.claimed, thread)
        request = request.override(model=context.model, system_message=prompt, messages=messages)
        if context.is_guided:
            response = _collect(await handler(request), thread, context.writer)
            await context.writer.flush_with_next_checkpoint()
            return response
        async with context.spending.count_tokens():
            return _collect(await _ask(request, handler), thread, context.writer)


def _collect(
    response: ModelResponse[Any], thread: list[AnyMessage], writer: TokenWriter
) -> ModelResponse[Any]:
    """Return the response with repaired answers, whose texts the next flush of the writer stores."""
    response.result = [
        repairs.repair(message, thread) if isinstance(message, AIMessage) else message
        for message in response.result
    ]
    for message in response.result:
        if isinstance(message, AIMessage) and message.id and message.text:
            writer.complete(message.id, message.text)
    return response


class CallTools(HumanInTheLoopMiddleware[Any, GraphContext]):
    """Pauses before a call that the user has to decide, and carries calls out itself, instead of LangChain's tools.

    It stores the request that the user will see before it pauses. Invalid calls are answered at once. After the pause,
    `calls.carry_out` decides alone whether a call is approved. The hook after each model call is removed, because it
    does nothing in this mode, and would cost a checkpoint.
    """

    after_model = AgentMiddleware.after_model
    aafter_model = AgentMiddleware.aafter_model

    def __init__(self, tools: Iterable[Tool[Any]]) -> None:
        super().__init__(_decisions_of_tools(tools), interrupt_mode="per_call")

    async def awrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> ToolResult:
        call = _requested_call(request)
        if not gate.may_ask(call):
            return await _carry_out(request)
        async with _context(request).calls_at_once:
            prepared = await in_thread(partial(gate.prepare, _claimed(request), call))
        if isinstance(prepared, str):
            return _tool_message(request, prepared, ok=False)
        if prepared is gate.Preparation.GOES_ON:
            return await _carry_out(request)
        return await super().awrap_tool_call(request, _carry_out)


async def _carry_out(request: ToolCallRequest) -> ToolResult:
    call = _requested_call(request)
    async with _context(request).calls_at_once:
        answer = await in_thread(partial(calls.carry_out, _claimed(request), call))
    return _tool_message(request, answer.text, ok=answer.ok)


def _decisions_of_tools(tools: Iterable[Tool[Any]]) -> dict[str, bool | InterruptOnConfig]:
    """Return the decisions that are allowed for each tool that may need an approval, or that asks a question."""
    pauses: dict[str, bool | InterruptOnConfig] = {}
    for tool in tools:
        if tool.is_question:
            pauses[tool.name] = InterruptOnConfig(allowed_decisions=["respond"])
        elif tool.needs_approval:
            pauses[tool.name] = InterruptOnConfig(allowed_decisions=["approve", "edit", "reject"])
    return pauses


async def _ask(request: ModelRequest[GraphContext], handler: ModelHandler) -> ModelResponse[Any]:
    """Send what fits into the language model's context."""
    context = request.runtime.context
    notes = request.state.get("notes", "")
    messages = history.shorten_answers(
        history.with_notes(request.messages, str(notes)), history.limits_of(context.model).answers
    )
    return await handler(request.override(messages=messages))


async def _in_pairs(claimed: ClaimedTurn, messages: list[AnyMessage]) -> list[AnyMessage]:
    """Return the messages with one answer to each call. Says of calls without an answer what became of them."""
    missing = pairs.unanswered_calls(messages)
    texts: dict[str, str] = {}
    if missing:
        logger.warning("tool calls have no answer", turn=str(claimed.turn_id), calls=len(missing))
        texts = await in_thread(partial(closing_texts.of_calls, claimed, missing))
    return pairs.in_pairs(messages, texts)


def _steps_of_turn(messages: list[AnyMessage]) -> int:
    steps = 0
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            break
        steps += isinstance(message, AIMessage)
    return steps


def _requested_call(request: ToolCallRequest) -> RequestedCall:
    info = request.runtime.execution_info
    if info is None:
        raise LookupError("the graph has no task id")
    call = request.tool_call
    return calls.requested_call(
        info.task_id,
        tool_call_id=str(call["id"]),
        tool=call["name"],
        arguments=call["args"],
        graph=_context(request).graph,
    )


def _place(messages: list[AnyMessage]) -> tuple[str, str]:
    """Return the page from which the newest message of the user was sent and the user's time zone, each "" if unknown."""
    newest = next((m for m in reversed(messages) if isinstance(m, HumanMessage)), None)
    attached = newest.additional_kwargs if newest else {}
    return str(attached.get("page", "")), str(attached.get("timezone", ""))


def _claimed(request: ToolCallRequest) -> ClaimedTurn:
    return _context(request).claimed


def _context(request: ToolCallRequest) -> GraphContext:
    context = request.runtime.context
    if not isinstance(context, GraphContext):
        raise LookupError("the graph was run without its context")
    return context


def _tool_message(request: ToolCallRequest, text: str, *, ok: bool) -> ToolMessage:
    return ToolMessage(
        content=text,
        tool_call_id=request.tool_call["id"],
        name=request.tool_call["name"],
        status="success" if ok else "error",
    )
