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
    columns = found.order_by("role", "name", "id").values(*COLUMNS, "updated_at")
    rows = list(columns[: arguments.limit])
    usage = services.usage_of(context.org, context.by, [row["id"] for row in rows])
    listed = [
        {
            **{name: row[name] for name in COLUMNS},
            "worked_at": usage[row["id"]].worked_at(row["updated_at"]),
        }
        for row in rows
    ]
    count = found.count()
    content = {"count": count, "connectors": listed}
    summary = f"Found {counted(count, 'connector')}."
    return Answer(content, summary, foreign_fields=frozenset({"connectors"}))


TOOL = Tool(
    name="list_connectors",
    title="List connectors",
    description="List saved connectors: sources and destinations that pipelines can use. `check_ok` is whether the"
    " last test of the connection passed, `worked_at` when a run last succeeded with these settings.",
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ListConnectors,
    perform=perform,
    graphs=frozenset(Graph),
)
