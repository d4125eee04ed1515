"""List the kinds of sources and destinations of which connectors can be made."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.list_connector_kinds.arguments import ListConnectorKinds
from apps.connectors import catalogue
from apps.connectors.catalogue import Kind
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.models import ConnectorRole
from apps.orgs.roles import Permission


def perform(context: ToolContext, arguments: ListConnectorKinds) -> Answer:
    roles = [arguments.role] if arguments.role else list(ConnectorRole.values)
    found = [kind for role in roles for kind in _kinds(context, str(role))]
    rows = [_render(kind) for kind in found if _matches(kind, arguments.search)]
    count = len(rows)
    content = {"count": count, "kinds": rows}
    return Answer(content, f"Found {counted(count, 'kind')}.")


def _kinds(context: ToolContext, role: str) -> list[Kind]:
    own: list[Kind] = []
    if role == ConnectorRole.SOURCE and not context.by.only_domain:
        own = custom_kinds.unarchived_custom_kinds(context.org)
    return [*catalogue.kinds(role).values(), *own]


def _matches(kind: Kind, search: str) -> bool:
    text = f"{kind.name} {kind.title} {kind.entry.description}"
    return search.lower() in text.lower()


def _render(kind: Kind) -> dict[str, object]:
    return {
        "role": kind.role,
        "kind": kind.name,
        "name": kind.title,
        "description": kind.entry.description[:200],
    }


TOOL = Tool(
    name="list_connector_kinds",
    title="List kinds of connectors",
    description=(
        "List the kinds of sources and destinations, such as postgres or csv. For the connectors that the organization"
        " has saved, use list_connectors."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ListConnectorKinds,
    perform=perform,
)
