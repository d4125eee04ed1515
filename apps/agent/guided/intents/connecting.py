"""Connect a system: save the settings of a source or destination, and delete them."""

from __future__ import annotations

from typing import Any

from apps.agent.guided import vocabulary
from apps.agent.guided.intents import finding
from apps.agent.guided.matching import matching, matching_connectors
from apps.agent.guided.requests import ConnectSystem, DeleteConnector
from apps.agent.guided.turns import Turn
from apps.connectors.models import CUSTOM_PREFIX


def connect_system(turn: Turn, request: ConnectSystem) -> str:
    arguments: dict[str, Any] = {"kind": _find_kind(turn, request), "role": request.role}
    answer = turn.call(
        "request_connector", arguments, "Fill in this form. I do not see the secrets."
    )
    if not answer.ok:
        return answer.failure
    if not answer.content:
        return f"No {request.role} was saved."
    name = answer.content.get("name")
    if request.role == "destination":
        return f"The destination {name} is saved. Tell me what to copy to it."
    return f'The source {name} is saved. Say, for example, "list streams of {name}".'


def delete_connector(turn: Turn, request: DeleteConnector) -> str:
    arguments = {"role": request.role} if request.role else {}
    rows = finding.read_rows(turn, "list_connectors", arguments, "connectors", limit=200)
    if not rows:
        return f"There is no {request.role or 'connector'} yet."
    found = matching_connectors(request.name, rows)
    question = "Which connector do you mean?"
    connector = found[0] if len(found) == 1 else finding.choose_row(turn, question, found or rows)
    text = f"I propose to delete the {connector['role']} {connector['name']}."
    turn.propose("delete_connector", {"connector_id": str(connector["id"])}, text)
    return f"The {connector['role']} {connector['name']} is deleted."


def _find_kind(turn: Turn, request: ConnectSystem) -> str:
    """Return the kind: a custom source of this name before one of the catalogue. Asks if there is none."""
    if request.kind and not request.name:
        return request.kind
    kinds = turn.read("list_connector_kinds", {"role": request.role}).rows("kinds")
    own = [kind for kind in kinds if str(kind["kind"]).startswith(CUSTOM_PREFIX)]
    found = _of_name(own, request.name)
    if len(found) == 1:
        return str(found[0]["kind"])
    if request.kind:
        return request.kind
    return str(finding.choose_row(turn, f"Which kind of {request.role}?", found or kinds)["kind"])


def _of_name(kinds: finding.Rows, name: str) -> finding.Rows:
    """Return the kinds of this name, which may begin with a word such as "the"."""
    useful = " ".join(word for word in name.split() if word.lower() not in vocabulary.FILLERS)
    names = (name, useful)
    matches = (matching(wanted, kinds, lambda kind: str(kind["name"])) for wanted in names)
    return next(filter(None, matches), [])
