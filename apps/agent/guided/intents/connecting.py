"""Connect a system: save the settings of a source or destination."""

from __future__ import annotations

from typing import Any

from apps.agent.guided.requests import ConnectSystem
from apps.agent.guided.turns import Turn


def connect_system(turn: Turn, request: ConnectSystem) -> str:
    kind = request.kind or _choose_kind(turn, request.role)
    arguments: dict[str, Any] = {"kind": kind, "role": request.role}
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


def _choose_kind(turn: Turn, role: str) -> str:
    rows = turn.read("list_connector_kinds", {"role": role}).rows("kinds")
    kinds = [str(row["kind"]) for row in rows]
    return kinds[turn.choose(f"Which kind of {role}?", kinds)]
