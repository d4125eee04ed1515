"""Ask the user for a new connector with a form. The browser sends the secrets directly to the connectors API.

The answer names the connector that the user has created. The secrets are in no event, and the model never sees them.
"""

from __future__ import annotations

from uuid import UUID

from apps.agent.models import Graph
from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.request_connector.arguments import RequestConnector
from apps.connectors import secrets, services
from apps.connectors.models import Connector
from apps.connectors.schemas import Pattern
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid, NotFound
from apps.orgs.roles import Permission

WRONG_ANSWER = 'Send {"connector_id": …} with the new connector, or {"text": …}. Send nothing else.'
UNKNOWN_CONNECTOR = "There is no such connector in this organization."


def show(context: ToolContext, arguments: RequestConnector) -> Card:
    kind = services.known_kind(context.org, arguments.role, arguments.kind)
    context.by.require(Permission.CONNECTORS_EDIT, domain_id=arguments.domain_id)
    _require_no_secrets(kind.secrets, arguments.config)
    form = {
        "role": arguments.role,
        "kind": kind.name,
        "kind_name": kind.title,
        "name": arguments.name or kind.title,
        "domain_id": str(arguments.domain_id) if arguments.domain_id else None,
        "config": arguments.config,
        "schema": kind.schema,
        "secret_settings": sorted(kind.entry.secret_paths),
    }
    facts = (("Role", arguments.role), ("Kind", kind.title))
    return Card(f"Create a connector for {kind.title}", facts, form=form)


def _require_no_secrets(patterns: frozenset[Pattern], config: JsonObject) -> None:
    """Raise Invalid if the settings contain a secret. The message does not repeat the secret."""
    _, found = secrets.split(config, patterns)
    if found:
        message = "Leave secrets out: the user enters them in the form."
        raise Invalid([(f"config.{path}", message, "secret") for path in sorted(found)])


def check_answer(
    context: ToolContext, arguments: RequestConnector, answer: JsonObject
) -> JsonObject:
    """Return the facts about the created connector, read on the server. Raises Invalid."""
    if answer.keys() == {"text"} and isinstance(answer["text"], str):
        return {"text": answer["text"][:2000]}
    if answer.keys() != {"connector_id"}:
        raise Invalid([("answer", WRONG_ANSWER, "invalid")])
    connector = _find_connector(context, answer["connector_id"])
    if (connector.role, connector.kind) != (arguments.role, arguments.kind):
        message = f"This is not a {arguments.role} of the kind {arguments.kind}."
        raise Invalid([("answer.connector_id", message, "invalid")])
    return {
        "connector_id": str(connector.pk),
        "name": connector.name,
        "role": connector.role,
        "kind": connector.kind,
    }


def _find_connector(context: ToolContext, connector_id: object) -> Connector:
    try:
        return services.find_connector(
            org=context.org, by=context.by, connector_id=UUID(str(connector_id))
        )
    except (ValueError, NotFound):
        raise Invalid([("answer.connector_id", UNKNOWN_CONNECTOR, "unknown")]) from None


def perform(context: ToolContext, arguments: RequestConnector) -> Answer:
    """Only reached if the pause is missing: the form was not shown to anybody."""
    return Answer({"error": "The form was not shown."}, "The form was not shown.", ok=False)


TOOL = Tool(
    name="request_connector",
    title="Ask for a new connector",
    description=(
        "Ask the user to create a connector. The user sees a form with the settings that you know, and enters the"
        " secrets there; you never see them. The answer has the id of the new connector."
    ),
    level=Level.BUILD,
    effect=Effect.NONE,
    permission=Permission.CONNECTORS_EDIT,
    arguments=RequestConnector,
    perform=perform,
    card=show,
    is_question=True,
    check_answer=check_answer,
    graphs=frozenset(Graph),
)
