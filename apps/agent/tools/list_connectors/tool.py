"""List the connectors that the user can see, without their settings."""

from __future__ import annotations

from django.db.models import Q

from apps.agent.models import Graph
from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.list_connectors.arguments import ListConnectors
from apps.connectors import services
from apps.orgs.roles import Permission

COLUMNS = ("id", "name", "role", "kind", "description", "check_ok", "checked_at")


def perform(context: ToolContext, arguments: ListConnectors) -> Answer:
    found = services.connectors(context.org, context.by)
    if arguments.role:
        found = found.filter(role=arguments.role)
    if arguments.search:
        text = arguments.search
        found = found.filter(Q(name__icontains=text) | Q(kind__icontains=text))
    rows = list(found.order_by("role", "name", "id").values(*COLUMNS)[: arguments.limit])
    count = found.count()
    content = {"count": count, "connectors": rows}
    summary = f"Found {counted(count, 'connector')}."
    return Answer(content, summary, foreign_fields=frozenset({"connectors"}))


TOOL = Tool(
    name="list_connectors",
    title="List connectors",
    description="List saved connectors: sources and destinations that pipelines can use.",
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ListConnectors,
    perform=perform,
    graphs=frozenset(Graph),
)
