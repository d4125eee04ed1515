"""List the streams that a saved source offers, with their columns. It connects to the source."""

from __future__ import annotations

from functools import partial

from apps.agent.sources import marking
from apps.agent.tools.base import Answer, Effect, Level, SlowAnswer, Tool, ToolContext
from apps.agent.tools.causes import without_repetition
from apps.agent.tools.list_streams.arguments import ListStreams
from apps.agent.tools.record_values import hide_values
from apps.connectors.checks import services
from apps.connectors.engine import Streams
from apps.orgs.roles import Permission


def perform(context: ToolContext, arguments: ListStreams) -> SlowAnswer:
    call = services.list_streams(
        org=context.org, by=context.by, connector_id=arguments.connector_id
    )
    return SlowAnswer(call, partial(_render, context, arguments))


def _render(context: ToolContext, arguments: ListStreams, found: Streams) -> Answer:
    if found["failure"] is not None:
        failure = found["failure"]
        message = hide_values(context, failure["message"])
        lines = [hide_values(context, line) for line in failure["evidence"]]
        evidence = without_repetition(message, lines)
        error = {
            "class": failure["failure_class"],
            "message": marking.mark(message),
            "evidence": marking.mark("\n".join(evidence)),
        }
        return Answer({"error": error}, f"The source failed: {message}", ok=False)
    streams = [
        stream
        for stream in found["streams"]
        if arguments.search.lower() in str(stream["name"]).lower()
    ]
    content = {"count": len(streams), "streams": streams[: arguments.limit]}
    count = len(streams)
    summary = "Found 1 stream." if count == 1 else f"Found {count} streams."
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
