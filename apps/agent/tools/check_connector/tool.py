"""Check a connector: connect to its server with the stored credentials."""

from __future__ import annotations

from functools import partial

from apps.agent.tools.base import Answer, Card, Effect, Level, SlowAnswer, Tool, ToolContext
from apps.agent.tools.check_connector.arguments import CheckConnector
from apps.agent.tools.links import connector_label
from apps.agent.tools.record_values import hide_values
from apps.agent.tools.slow_work import wait_while_busy
from apps.connectors import services
from apps.connectors.checks import services as checks
from apps.engine.answers import CheckAnswer
from apps.orgs.roles import Permission

NOTE = "Drover connects to the connector's server now, with the stored credentials."


def perform(context: ToolContext, arguments: CheckConnector) -> SlowAnswer:
    call = checks.check_saved(org=context.org, by=context.by, connector_id=arguments.connector_id)
    return SlowAnswer(wait_while_busy(context, call), partial(_render, context))


def show(context: ToolContext, arguments: CheckConnector) -> Card:
    perform(context, arguments)  # checks the permission; the call itself is not made
    connector = services.find_connector(
        org=context.org, by=context.by, connector_id=arguments.connector_id
    )
    facts = (
        ("Connector", connector_label(connector)),
        ("Role", connector.role),
        ("Note", NOTE),
    )
    return Card(f"Check the connector {connector.name}", facts)


def _render(context: ToolContext, result: CheckAnswer) -> Answer:
    steps = [
        {
            "step": step["step"],
            "ok": step["ok"],
            "message": hide_values(context, step["message"]),
        }
        for step in result["steps"]
    ]
    failed = [step for step in steps if not step["ok"]]
    summary = f"The check failed: {failed[0]['message']}" if failed else "The connector works."
    content = {"ok": result["ok"], "steps": steps}
    return Answer(content, summary, ok=result["ok"], foreign_fields=frozenset({"steps"}))


TOOL = Tool(
    name="check_connector",
    title="Check a connector",
    description=(
        "Connect to a connector's server with its stored credentials, and tell which step works. The user approves it"
        " first."
    ),
    level=Level.BUILD,
    effect=Effect.EXTERNAL,
    permission=Permission.CONNECTORS_EDIT,
    arguments=CheckConnector,
    perform=perform,
    card=show,
)
