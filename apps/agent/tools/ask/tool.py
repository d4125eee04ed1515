"""Ask the user a question. The turn pauses, and the user's answer is the tool's answer."""

from __future__ import annotations

from apps.agent.models import Graph
from apps.agent.tools.ask.arguments import Ask
from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.orgs.roles import Permission


def show(context: ToolContext, arguments: Ask) -> Card:
    return Card(arguments.question, choices=tuple(arguments.choices))


def perform(context: ToolContext, arguments: Ask) -> Answer:
    """Only reached if the pause is missing: the question was not shown to anybody."""
    return Answer({"error": "The question was not shown."}, "The question was not shown.", ok=False)


TOOL = Tool(
    name="ask",
    title="Ask a question",
    description="Ask the user one question, if something is missing that no tool can find out.",
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.AGENT_USE,
    arguments=Ask,
    perform=perform,
    card=show,
    is_question=True,
    graphs=frozenset(Graph),
)
