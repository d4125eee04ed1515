"""The same turn in a graph of LangGraph's own: no approvals, no events, no leases, and LangGraph's PostgreSQL saver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from procrastinate.contrib.django.utils import connector_params
from psycopg.rows import dict_row

from bench.agent.accounts import Account
from bench.agent.instant_model import InstantModel


@tool
def list_pipelines() -> str:
    """List pipelines."""
    return "There are no pipelines."


def measure(account: Account, conversations: Sequence[UUID]) -> list[float]:
    """Run one turn in each conversation over one open connection. Returns milliseconds."""
    return asyncio.run(_measure(account, conversations))


async def _measure(account: Account, conversations: Sequence[UUID]) -> list[float]:
    parameters = connector_params("default")
    parameters.pop("pool", None)
    options = f"-c search_path=agent,public -c app.current_org={account.org.pk}"
    connection = await psycopg.AsyncConnection.connect(
        **{**parameters, "options": options, "autocommit": True, "row_factory": dict_row}
    )
    async with connection:
        saver = AsyncPostgresSaver(connection)
        graph = create_agent(InstantModel(), tools=[list_pipelines], checkpointer=saver)
        return [await _run_turn(graph, str(thread)) for thread in conversations]


async def _run_turn(graph: Any, thread: str) -> float:
    started = time.perf_counter()
    stream = graph.astream(
        {"messages": [HumanMessage("pipelines?", id=uuid4().hex)]},
        {"configurable": {"thread_id": thread}},
        stream_mode=["messages"],
        version="v2",
        durability="sync",
    )
    async for _ in stream:
        pass
    return (time.perf_counter() - started) * 1000
