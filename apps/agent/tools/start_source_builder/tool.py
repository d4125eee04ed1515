"""Hand the conversation over to the source builder."""

from __future__ import annotations

from apps.agent.models import Graph
from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.start_source_builder.arguments import StartSourceBuilder
from apps.orgs.roles import Permission


def perform(context: ToolContext, arguments: StartSourceBuilder) -> Answer:
    context.by.require(Permission.CUSTOM_SOURCES_EDIT)
    return Answer(
        {"graph": Graph.SOURCE_BUILDER.value}, "From now on, a custom source is built step by step."
    )


TOOL = Tool(
    name="start_source_builder",
    title="Begin to build a custom source",
    description=(
        "Hand this conversation over to the source builder. Call it when the user wants to make or change a custom"
        " source: from the URL of documentation, an OpenAPI or Swagger document, a Postman collection, or pasted text."
        " It goes on with the user's message."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.CUSTOM_SOURCES_EDIT,
    arguments=StartSourceBuilder,
    perform=perform,
    graphs=frozenset({Graph.MAIN}),
    hands_over_to=Graph.SOURCE_BUILDER,
)
