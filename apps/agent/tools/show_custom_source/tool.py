"""Show the newest code of a custom source, with its streams and hosts."""

from __future__ import annotations

from apps.agent.models import Graph
from apps.agent.sources import marking
from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import source_link
from apps.agent.tools.show_custom_source.arguments import ShowCustomSource
from apps.connectors.custom_sources import edits, services
from apps.orgs.roles import Permission


def perform(context: ToolContext, arguments: ShowCustomSource) -> Answer:
    source = services.find_source(
        org=context.org, by=context.by, source_id=arguments.custom_source_id
    )
    version = edits.find_version(context.org, source, source.latest)
    count = marking.count_parts(version.code)
    part = min(arguments.part, count)
    content = {
        "id": str(source.pk),
        "name": marking.neutralise(source.name),
        "version": version.number,
        "approved_version": source.approved,
        "streams": marking.mark_json([stream["name"] for stream in version.report["streams"]]),
        "hosts": version.report["hosts"],
        "part": part,
        "parts": count,
        "code": marking.mark(marking.part_of(version.code, part)),
    }
    return Answer(
        content, f"Read version {version.number} of {source.name}.", links=(source_link(source),)
    )


TOOL = Tool(
    name="show_custom_source",
    title="Show a custom source",
    description=(
        "Show the newest code of one of the organization's own sources, with its streams and hosts. Change this code to"
        " save a new version."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ShowCustomSource,
    perform=perform,
    graphs=frozenset({Graph.SOURCE_BUILDER}),
)
