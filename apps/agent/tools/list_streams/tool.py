"""List the streams that a saved source offers, with their columns. It connects to the source."""

from __future__ import annotations

from functools import partial

from apps.agent.tools.base import Answer, Effect, Level, SlowAnswer, Tool, ToolContext
from apps.agent.tools.causes import failure_answer
from apps.agent.tools.counted_words import counted
from apps.agent.tools.list_streams.arguments import ListStreams
from apps.agent.tools.slow_work import wait_while_busy
from apps.connectors.checks import services
from apps.connectors.engine import Streams
from apps.orgs.roles import Permission


def perform(context: ToolContext, arguments: ListStreams) -> SlowAnswer:
    call = services.list_streams(
        org=context.org, by=context.by, connector_id=arguments.connector_id
    )
    return SlowAnswer(wait_while_busy(context, call), partial(_render, context, arguments))


def _render(context: ToolContext, arguments: ListStreams, found: Streams) -> Answer:
    if found["failure"] is not None:
        return failure_answer(context, found["failure"], what="The source")
    streams = [
        stream
        for stream in found["streams"]
        if arguments.search.lower() in str(stream["name"]).lower()
    ]
    content = {"count": len(streams), "streams": streams[: arguments.limit]}
    count = len(streams)
    summary = f"Found {counted(count, 'stream')}."
    return Answer(content, summary, foreign_fields=frozenset({"streams"}))


TOOL = Tool(
    name="list_streams",
    title="List streams",
    description="List the streams (tables, endpoints) of a saved source, with their columns.",
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ListStreams,
    perform=perform,
)
