"""Hand the conversation back to the main agent."""

from __future__ import annotations

from apps.agent.models import Graph
from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.leave_source_builder.arguments import LeaveSourceBuilder
from apps.orgs.roles import Permission


def perform(context: ToolContext, arguments: LeaveSourceBuilder) -> Answer:
    context.by.require(Permission.AGENT_USE)
    return Answer({"graph": Graph.MAIN.value}, "The work on the custom source has ended.")


TOOL = Tool(
    name="leave_source_builder",
    title="End the work on the custom source",
    description=(
        "Hand this conversation back to the main agent. Call it when the user wants something else than a custom"
        " source, such as pipelines, runs or schedules. It goes on with the user's message."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.AGENT_USE,
    arguments=LeaveSourceBuilder,
    perform=perform,
    graphs=frozenset({Graph.SOURCE_BUILDER}),
    hands_over_to=Graph.MAIN,
)
