"""List the domains of the organization, in which pipelines and connectors can be placed."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.list_domains.arguments import ListDomains
from apps.orgs.members import visibility
from apps.orgs.roles import Permission


def perform(context: ToolContext, arguments: ListDomains) -> Answer:
    found = visibility.domains(context.org)
    rows = list(found.order_by("name", "id").values("id", "name")[: arguments.limit])
    count = found.count()
    content = {"count": count, "domains": rows}
    summary = f"Found {counted(count, 'domain')}."
    return Answer(content, summary, foreign_fields=frozenset({"domains"}))


TOOL = Tool(
    name="list_domains",
    title="List domains",
    description="List the domains of the organization: the groups in which pipelines and connectors are placed.",
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ListDomains,
    perform=perform,
)
