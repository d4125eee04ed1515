"""List the organization's custom sources, which are written in Python."""

from __future__ import annotations

from apps.agent.models import Graph
from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.list_custom_sources.arguments import ListCustomSources
from apps.connectors.custom_sources import services
from apps.connectors.models import CUSTOM_PREFIX, CustomSourceColumns
from apps.orgs.roles import Permission


def perform(context: ToolContext, arguments: ListCustomSources) -> Answer:
    found = services.sources(context.org, context.by).filter(archived_at=None)
    if arguments.search:
        found = found.filter(name__icontains=arguments.search)
    rows = found.rows().order_by("name", "id")[: arguments.limit]
    count = found.count()
    content = {"count": count, "custom_sources": [_render(row) for row in rows]}
    summary = f"Found {counted(count, 'custom source')}."
    return Answer(content, summary, foreign_fields=frozenset({"custom_sources"}))


def _render(row: CustomSourceColumns) -> dict[str, object]:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "kind": f"{CUSTOM_PREFIX}{row['id']}",
        "latest_version": row["latest"],
        "approved_version": row["approved"],
    }


TOOL = Tool(
    name="list_custom_sources",
    title="List custom sources",
    description=(
        "List the organization's own sources, which are written in Python. A source without an approved version"
        " cannot be used yet."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ListCustomSources,
    perform=perform,
    graphs=frozenset(Graph),
)
