"""Run one turn: from the user's message, or from where a worker has stopped, to the answer or a pause."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any
from uuid import UUID

import psycopg
import structlog
from django.conf import settings
from django.db import OperationalError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langgraph.types import StateSnapshot

from apps.agent import chat_models
from apps.agent.chat_models import ChosenModel
from apps.agent.exceptions import StopRequested, ThreadLocked, TurnLeaseLost
from apps.agent.graphs import main, prompts, source_builder
from apps.agent.graphs.assembly import CompiledGraph
from apps.agent.graphs.middleware import GraphContext
from apps.agent.graphs.prompts import Prompt
from apps.agent.models import Approval, ApprovalState, Conversation, Graph, Turn, TurnStatus
from apps.agent.turns import (
    checkpoints,
    ending,
    leases,
    quick_ending,
    steps,
    summarising,
    tokens,
)
from apps.agent.turns.acting import member_of_row
from apps.agent.turns.failures import TurnFailure, classify
from apps.agent.turns.kept_connections import KeptConnections
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.loop import in_thread
from apps.agent.turns.spending import Spending
from apps.agent.turns.steps import Continue, Finished, HandOver, Step, Submit
from apps.agent.turns.thread_saver import ThreadSaver
from apps.agent.turns.tokens import TokenWriter
from apps.background.database_errors import first_line, is_lock_error
from apps.orgs.walls.scope import org_scope

logger = structlog.get_logger(__name__)

RENEW_INTERVAL = 1.0  # seconds; a stop is noticed after this time at the latest
LAST_FLUSH = 1.0  # seconds for storing the last tokens of a graph that has failed or was stopped
RETRY_WAIT = 2.0  # seconds until a turn is tried again
CRASHED = TurnFailure(
    "crashed",
    "The worker stopped several times while it worked on this message.",
    "Try again, or ask an operator to look at the worker's log.",
)
GRAPHS = {Graph.MAIN: main, Graph.SOURCE_BUILDER: source_builder}


async def run(org_id: UUID, turn_id: UUID, worker: str) -> None:
    """Run the turn until it ends or has to wait for its user. Does nothing if another worker runs it."""
    try:
        async with checkpoints.open_connection(org_id, _kept()) as connection:
            begun = await _begin(connection, org_id, turn_id, worker)
            if begun is not None:
                await _run_claimed(begun, connection)
    except TurnLeaseLost:
        logger.warning("another worker has taken over a turn", turn=str(turn_id))


async def _run_claimed(begun: BegunTurn, connection: psycopg.AsyncConnection[Any]) -> None:
    claimed = begun.claimed
    try:
        async with checkpoints.lock_thread(connection, claimed.conversation_id) as saver:
            # Under the lock, because building may take seconds, and the reconciler voids a lease without a lock.
            begun = await _with_model(begun)
            await _run_begun(begun, saver)
            await checkpoints.prune(saver, claimed.conversation_id)
    except ThreadLocked:
        await in_thread(partial(leases.hand_back, claimed, seconds=RETRY_WAIT, counts=False))
    finally:
        if begun.model is not None:
            await chat_models.close(begun.model)


@cache
def _kept() -> KeptConnections:
    """Return the connections of this process. All turns of a process run on one event loop."""
    return KeptConnections(settings.AGENT_TURNS)


@dataclass
class RunningTurn:
    """A claimed turn with its graph and what it has written."""

    claimed: ClaimedTurn
    saver: ThreadSaver
    graph: CompiledGraph
    context: GraphContext
    # Set while the turn may end or pause, and so give its lease back.
    giving_back: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def writer(self) -> TokenWriter:
        return self.context.writer

    @property
    def config(self) -> Any:
        return _config(self.claimed)

    async def state(self) -> StateSnapshot:
        return await self.graph.aget_state(self.config)


def _config(claimed: ClaimedTurn) -> Any:
    return {"configurable": {"thread_id": str(claimed.conversation_id)}}


@dataclass(frozen=True, slots=True)
class BegunTurn:
    """A claimed turn with its row, prompt and model, which is built from `chosen` under the lock of the thread.

    Without a chosen model, `problem` says why; without both, a stop was requested.
    """

    claimed: ClaimedTurn
    turn: Turn
    prompt: Prompt
    is_after_failure: bool
    is_guided: bool = False
    chosen: ChosenModel | None = None
    model: BaseChatModel | None = None
    problem: Exception | None = None


async def _run_begun(begun: BegunTurn, saver: ThreadSaver) -> None:
    claimed = begun.claimed
    try:
        if begun.model is None:
            raise begun.problem or StopRequested
        graph = GRAPHS[claimed.graph].build(saver)
        state = await graph.aget_state(_config(claimed))
        step = await _first_step(begun, state)
        writer = TokenWriter(claimed, saver)
        context = GraphContext(
            claimed,
            writer,
            Spending(claimed, writer, saver),
            begun.model,
            begun.prompt.text,
            claimed.graph,
            begun.is_guided,
        )
        running = RunningTurn(claimed, saver, graph, context)
        work = asyncio.create_task(_advance(running, state, step))
        watch = asyncio.create_task(_watch(running))
        await _wait_for_first(work, watch)
    except StopRequested:
        await _end_stopped(claimed)
    except TurnLeaseLost:
        raise
    except Exception as error:  # the outermost handler of a turn: every failure becomes an event
        failure = classify(error)
        if failure is None:
            logger.warning("the database was unavailable in a turn", error=first_line(error))
            await in_thread(partial(leases.hand_back, claimed, seconds=RETRY_WAIT, counts=True))
        else:
            await in_thread(partial(_fail, claimed, failure))


async def _end_stopped(claimed: ClaimedTurn) -> None:
    """End the turn. A tool that is being carried out may hold the turn's row; then it is committed first."""
    while True:
        try:
            return await in_thread(partial(_end, claimed, TurnStatus.STOPPED))
        except OperationalError as error:
            if not is_lock_error(error):
                raise


async def _begin(
    connection: psycopg.AsyncConnection[Any], org_id: UUID, turn_id: UUID, worker: str
) -> BegunTurn | None:
    """Take the lease of the turn, and store which model and prompt it uses. Returns None if it cannot be taken."""
    claim = await leases.claim(connection, org_id, turn_id, worker)
    if claim is None:
        return None
    claimed, turn = claim.claimed, claim.turn
    if turn.attempts > leases.MAX_ATTEMPTS:
        await in_thread(partial(_fail, claimed, CRASHED))
        return None
    prompt = prompts.load(claimed.graph.value)
    begun = BegunTurn(claimed, turn, prompt, claim.is_after_failure)
    if turn.stop_requested_at is not None:
        return begun
    try:
        chosen = chat_models.choose(member_of_row(turn, claim.member).org, claim.own_model)
    except Exception as error:  # `_run_begun` raises it again
        return replace(begun, problem=error)
    turn.model, turn.prompt = chosen.label, prompts.add_version(turn.prompt, begun.prompt)
    await leases.store_model_and_prompt(connection, claimed, model=turn.model, prompt=turn.prompt)
    return replace(begun, chosen=chosen)


async def _with_model(begun: BegunTurn) -> BegunTurn:
    """Return the turn with the model that was chosen for it, if there is one."""
    chosen = begun.chosen
    if chosen is None:
        return begun
    try:
        model = await in_thread(chosen.build)  # it may import a provider's package
    except Exception as error:  # as in `_begin`
        return replace(begun, problem=error)
    return replace(begun, model=model, is_guided=chosen.label == chat_models.GUIDED)


async def _first_step(begun: BegunTurn, state: StateSnapshot) -> Step:
    """Return the first step. Ends the turn if all its steps were taken before."""
    claimed, turn = begun.claimed, begun.turn
    is_new = turn.attempts == 1 and not steps.is_submitted(state, turn.pk)
    if is_new and not begun.is_after_failure:
        return steps.submission(turn, claimed.graph)  # nothing has happened in this turn yet
    return await in_thread(partial(_go_on, claimed, state, claimed.graph, is_first=True))


async def _hand_over(running: RunningTurn, graph: Graph) -> RunningTurn:
    """Return the turn in this graph. The conversation stays in it, also for later messages."""
    prompt = await in_thread(partial(_store_graph, running.claimed, graph))
    context = replace(running.context, graph=graph, prompt=prompt.text)
    return replace(running, graph=GRAPHS[graph].build(running.saver), context=context)


def _store_graph(claimed: ClaimedTurn, graph: Graph) -> Prompt:
    with org_scope(claimed.org_id):
        turn = leases.locked(claimed)
        prompt = prompts.load(graph.value)
        conversations = Conversation.objects.for_org(claimed.org_id)
        conversations.filter(pk=claimed.conversation_id).update(graph=graph)
        turn.prompt = prompts.add_version(turn.prompt, prompt)
        turn.save(update_fields=["prompt"])
    return prompt


async def _advance(running: RunningTurn, state: StateSnapshot, step: Step) -> None:
    """Take this step and the following ones, until the turn is finished or has to wait."""
    while not isinstance(step, Finished):
        if isinstance(step, Submit):
            state = await _settle(running, state)
            await summarising.replace_old_messages(
                running.graph, running.config, running.context, state
            )
            await _stream(running, {"messages": [*step.messages]})
        elif isinstance(step, HandOver):
            running = await _hand_over(running, step.graph)
            await _stream(running, {"messages": []})
        elif isinstance(step, Continue):
            await _stream(running, step.decision)
        elif await _pause(running, step.task_ids):
            return
        state = await running.state()
        step = await _next_step(running, state)


async def _next_step(running: RunningTurn, state: StateSnapshot) -> Step:
    """Return the next step. If the turn is finished, it has ended."""
    running.giving_back.set()
    if steps.is_answered(state, running.claimed.turn_id) and await _end_quickly(running, state):
        return Finished()
    step = await in_thread(partial(_go_on, running.claimed, state, running.context.graph))
    if not isinstance(step, Finished):
        running.giving_back.clear()
    return step


async def _end_quickly(running: RunningTurn, state: StateSnapshot) -> bool:
    connection, warning = running.saver.connection, running.context.spending.warning
    return await quick_ending.end_answered(connection, running.claimed, state, warning)


def _go_on(
    claimed: ClaimedTurn, state: StateSnapshot, graph: Graph, *, is_first: bool = False
) -> Step:
    """Return the next step, and end the turn if it is finished."""
    with org_scope(claimed.org_id):
        turn = leases.locked_unless_stopped(claimed)
        step = steps.next_step(turn, state, graph)
        is_finished = isinstance(step, Finished)
        if is_first or is_finished:
            events = tokens.complete_events(turn, state, discard=is_first)
        if is_finished:
            ending.end(org_id=turn.org_id, turn=turn, status=TurnStatus.DONE, events=events)
        return step


async def _stream(running: RunningTurn, graph_input: Any) -> None:
    """Run the graph until it ends or pauses, and store the tokens of the model's answer."""
    stream = running.graph.astream(
        graph_input,
        running.config,
        context=running.context,
        stream_mode=["messages"],
        version="v2",
        durability="sync",
    )
    try:
        async for part in stream:
            message, metadata = part["data"]
            is_answer = isinstance(metadata, dict) and metadata.get("langgraph_node") == "model"
            if is_answer and isinstance(message, AIMessageChunk) and message.text and message.id:
                running.writer.add(message.id, message.text)
    except BaseException:
        with suppress(Exception):  # the first exception says why the graph has ended
            async with asyncio.timeout(LAST_FLUSH):
                await running.writer.flush()
        raise
    await running.writer.flush()


async def _settle(running: RunningTurn, state: StateSnapshot) -> StateSnapshot:
    """Answer the calls that an earlier turn has left open, before the new message. Returns the new state.

    The state shows the answers of calls that were finished beside a call that waited. The first update drops them, so
    the second one adds them again.
    """
    for _ in range(3):
        if not steps.open_calls(state.values.get("messages", [])):
            break
        messages = await in_thread(partial(steps.answers_to_open_calls, running.claimed, state))
        await running.graph.aupdate_state(running.config, {"messages": messages}, as_node="tools")
        state = await running.state()
    return state


async def _watch(running: RunningTurn) -> None:
    """Renew the lease until the task is cancelled. Raises StopRequested, TurnLeaseLost and AuthenticationFailed."""
    while True:
        await asyncio.sleep(RENEW_INTERVAL)
        try:
            if await in_thread(partial(leases.renew, running.claimed)):
                raise StopRequested
        except TurnLeaseLost:
            # Else the turn has ended, and its task ends in a moment.
            if not running.giving_back.is_set():
                raise
        except OperationalError as error:
            if not is_lock_error(error):  # else a tool of this turn has locked the turn's row
                raise


async def _wait_for_first(work: asyncio.Task[None], watch: asyncio.Task[None]) -> None:
    """Wait for the work, or for the exception of the watch, and cancel the other task."""
    try:
        done, _ = await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (work, watch):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _pause(running: RunningTurn, task_ids: tuple[str, ...]) -> bool:
    """Let the turn wait for its user. Returns False if the user has decided one of these requests meanwhile."""
    running.giving_back.set()
    has_paused = await in_thread(partial(_store_pause, running.claimed, task_ids))
    if not has_paused:
        running.giving_back.clear()
    return has_paused


def _store_pause(claimed: ClaimedTurn, task_ids: tuple[str, ...]) -> bool:
    with org_scope(claimed.org_id):
        turn = leases.locked_unless_stopped(claimed)
        requests = Approval.objects.for_org(claimed.org_id).filter(
            conversation_id=claimed.conversation_id, task_id__in=task_ids
        )
        if requests.exclude(state=ApprovalState.OPEN).exists():
            return False
        turn.status, turn.lease, turn.lease_until = TurnStatus.WAITING, None, None
        turn.attempts = 0
        turn.save()
        return True


def _end(claimed: ClaimedTurn, status: TurnStatus) -> None:
    with org_scope(claimed.org_id):
        turn = leases.locked(claimed)
        ending.end(org_id=claimed.org_id, turn=turn, status=status)


def _fail(claimed: ClaimedTurn, failure: TurnFailure) -> None:
    with org_scope(claimed.org_id):
        turn = leases.locked(claimed)
        ending.end(
            org_id=claimed.org_id,
            turn=turn,
            status=TurnStatus.FAILED,
            code=failure.code,
            message=failure.message,
            next_step=failure.next_step,
        )
