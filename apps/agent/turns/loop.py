"""The event loop of the agent in a worker process: one thread, started at the first turn.

Synchronous database code runs in other threads, which the loop waits for (`in_thread`).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connections

from apps.agent.turns import queue
from apps.connectors import engine

T = TypeVar("T")

# Seconds until a turn is tried again, if too many turns of its org run in this process.
RETRY_WAIT_OF_ORG = 1.0
KEPT_FREE = 2  # turns of a process that are kept for orgs without another turn in it
# The tool calls of a turn that run at once. Each needs a thread, also while it waits for another process.
CALLS_AT_ONCE = 2
OTHER_THREADS = 4  # for whatever else turns do in synchronous code, such as renewing their leases
_turns_of_org: Counter[UUID] = Counter()
_turns_lock = threading.Lock()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    import uvloop

    loop = uvloop.new_event_loop()
    threading.Thread(target=loop.run_forever, name="agent-loop", daemon=True).start()
    return loop


@cache
def _executor() -> ThreadPoolExecutor:
    threads = settings.AGENT_TURNS * CALLS_AT_ONCE + OTHER_THREADS
    return ThreadPoolExecutor(threads, thread_name_prefix="agent")


async def in_thread(action: Callable[[], T]) -> T:
    """Call `action` in a thread. The thread returns its database connection to the pool afterwards.

    A thread cannot be cancelled. If the caller is cancelled, the calls of the engine in the thread end, such as a preview.
    """
    nobody_waits = threading.Event()

    def call() -> T:
        try:
            with engine.end_calls_when(nobody_waits):
                return action()
        finally:
            connections.close_all()

    try:
        return await asyncio.get_running_loop().run_in_executor(_executor(), call)
    except asyncio.CancelledError:
        nobody_waits.set()
        raise


def run_turn(org_id: UUID, turn_id: UUID, worker: str) -> None:
    """Run the turn on the agent's loop, and wait for its end. The packages of the agent are imported here.

    If too many turns of the org run in this process, the turn is given back to the queue, and any worker tries it later.
    """
    with _count_turn(org_id) as may_run:
        if may_run:
            _run_turn(org_id, turn_id, worker)
        else:
            queue.run_turn(org_id=org_id, turn_id=turn_id, seconds=RETRY_WAIT_OF_ORG)


@contextmanager
def _count_turn(org_id: UUID) -> Iterator[bool]:
    """Count a turn while it runs, if the org may have one more in this process. Yields whether it may."""
    with _turns_lock:
        own, of_all = _turns_of_org[org_id], _turns_of_org.total()
        is_busy = of_all >= settings.AGENT_TURNS - KEPT_FREE
        may_run = own < settings.AGENT_ORG_TURNS_PER_WORKER and not (own and is_busy)
        _turns_of_org[org_id] += int(may_run)
    try:
        yield may_run
    finally:
        with _turns_lock:
            _turns_of_org[org_id] -= int(may_run)
            if not _turns_of_org[org_id]:
                del _turns_of_org[org_id]


def _run_turn(org_id: UUID, turn_id: UUID, worker: str) -> None:
    disable_tracing()
    from apps.agent.turns import runner

    asyncio.run_coroutine_threadsafe(runner.run(org_id, turn_id, worker), _loop()).result()


def import_packages() -> None:
    """Import what a turn needs, and compile the graph. This takes seconds at the first time in a process."""
    disable_tracing()
    from apps.agent.graphs import main
    from apps.agent.turns import runner  # noqa: F401

    main.compiled()


def disable_tracing() -> None:
    """Keep LangChain from sending conversations to LangSmith, whatever the environment of the worker says.

    Call it before LangChain is imported, because it reads these variables once. LangSmith would still change to another
    thread before and after each hook of a graph, although it has nothing to send, which takes longer than the hook.
    """
    for name in (
        "LANGSMITH_TRACING",
        "LANGSMITH_TRACING_V2",
        "LANGCHAIN_TRACING",
        "LANGCHAIN_TRACING_V2",
    ):
        os.environ[name] = "false"
    import langsmith

    langsmith.set_runtime_overrides(aio_to_thread=_call_directly)


async def _call_directly(
    _: Any, context: Context, function: Callable[..., T], /, *args: Any, **kwargs: Any
) -> T:
    return context.run(function, *args, **kwargs)
