"""Describe one kind of connector: the schema of its settings, with the secret settings marked."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.describe_connector_kind.arguments import DescribeConnectorKind
from apps.connectors import services
from apps.orgs.roles import Permission


def perform(context: ToolContext, arguments: DescribeConnectorKind) -> Answer:
    kind = services.known_kind(context.org, arguments.role, arguments.kind)
    content = {
        "role": kind.role,
        "kind": kind.name,
        "name": kind.title,
        "description": kind.entry.description,
        "secret_settings": sorted(".".join(path) for path in kind.secrets),
        "streams": kind.stream_names,
        "sync_modes": list(kind.entry.sync_modes),
        "write_modes": list(kind.write_modes),
        "needs_cursor": kind.needs_cursor,
        "schema": kind.schema,
    }
    return Answer(content, f"Read the settings of {kind.title}.")


TOOL = Tool(
    name="describe_connector_kind",
    title="Describe a kind of connector",
    description=(
        "Describe the settings of a kind of connector as a JSON Schema. Never ask the user for the secret settings:"
        " request_connector shows a form for them."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=DescribeConnectorKind,
    perform=perform,
)
