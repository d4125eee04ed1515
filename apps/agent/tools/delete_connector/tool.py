"""Delete a connector that no pipeline uses."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.delete_connector.arguments import DeleteConnector
from apps.agent.tools.links import connector_label
from apps.connectors import services
from apps.orgs.roles import Permission

WARNING = "The deletion cannot be undone. The stored credentials are deleted too."


def perform(context: ToolContext, arguments: DeleteConnector) -> Answer:
    connector = services.find_connector(
        org=context.org, by=context.by, connector_id=arguments.connector_id
    )
    services.delete(org=context.org, by=context.by, connector_id=arguments.connector_id)
    content = {"id": str(arguments.connector_id), "name": connector.name, "deleted": True}
    return Answer(content, f"Deleted the connector {connector.name}.")


def show(context: ToolContext, arguments: DeleteConnector) -> Card:
    connector = services.find_connector(
        org=context.org, by=context.by, connector_id=arguments.connector_id
    )
    perform(context, arguments)
    facts = (("Connector", connector_label(connector)), ("Role", connector.role))
    return Card(f"Delete the connector {connector.name}", facts, warnings=(WARNING,))


TOOL = Tool(
    name="delete_connector",
    title="Delete a connector",
    description="Delete a connector that no pipeline uses. The user approves it first.",
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.CONNECTORS_EDIT,
    arguments=DeleteConnector,
    perform=perform,
    card=show,
)
