"""Turn what a tool returns or raises into an answer that is limited in size and contains no secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import structlog

from apps.agent.models import Graph
from apps.agent.sources import marking
from apps.agent.tools import argument_errors, registry
from apps.agent.tools.base import Answer
from apps.json import JsonObject
from apps.live.events import dumps
from apps.orgs.exceptions import Invalid, NotFound, PermissionMissing
from apps.web.problems import as_problem

logger = structlog.get_logger(__name__)

MAX_MODEL_TEXT = 12_000  # characters of an answer that the model gets
MAX_EVENT_JSON = 20_000  # characters of an answer in an event
OUTCOME_UNKNOWN = "The call was begun and interrupted, so it is not known whether it had an effect."


class NotApproved(Exception):
    """Nobody has approved this exact call. Explain what you want to do; the user then sees a request for approval."""


def failed(code: str, message: str, **details: Any) -> Answer:
    """Return the answer of a call that had no effect, or whose effect is unknown."""
    content = {"error": {"code": code, "message": message, **details}}
    return Answer(content, message, ok=False)


def unknown_tool(name: str, graph: Graph | None) -> Answer:
    tools = registry.all_tools() if graph is None else registry.tools_of(graph)
    names = ", ".join(tool.name for tool in tools)
    return failed("unknown_tool", f"There is no tool {name[:64]!r}. The tools are: {names}.")


def from_exception(error: Exception, *, tool: str, arguments: JsonObject | None = None) -> Answer:
    """Return the answer for an exception: with its message if it was meant for users, else without.

    If an object was not found, the answer names the ids in the arguments.
    """
    if isinstance(error, NotApproved):
        return failed("not_approved", str(NotApproved.__doc__))
    if isinstance(error, Invalid):
        return failed("invalid", str(error), fields=_fields(error.errors))
    if isinstance(error, NotFound):
        return _not_found(tool, arguments or {})
    if isinstance(error, PermissionMissing):
        return failed("not_allowed", f"{error} An owner or an admin can change the role.")
    problem = as_problem(error)
    if problem is not None and problem.status < 500:
        return failed(problem.code or "error", problem.detail)
    logger.error("a tool failed", tool=tool, exc_info=error)
    return failed(
        "internal",
        "The tool failed because of an error in Drover. An operator finds it in the log.",
    )


def _not_found(tool: str, arguments: JsonObject) -> Answer:
    message = "There is no such object in this organization: list the objects first."
    known_tool = registry.find(tool)
    errors = argument_errors.not_found(known_tool.schema(), arguments) if known_tool else []
    return failed("not_found", message, **({"fields": _fields(errors)} if errors else {}))


def _fields(errors: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [{"field": field, "message": message, "code": code} for field, message, code in errors]


def text_for_model(answer: Answer) -> str:
    """Return the JSON of an answer, cut to a limit. A block of data that is cut ends before the note about the cut."""
    marked = {name: marking.mark_json(answer.content[name]) for name in _foreign_fields(answer)}
    text = dumps({**answer.content, **marked})
    if len(text) <= MAX_MODEL_TEXT:
        return text
    cut = text[:MAX_MODEL_TEXT]
    end = "</data>" if cut.count("<data>") > cut.count("</data>") else ""
    return f"{cut}…{end} (cut: {len(text):,} characters in all; ask for less)"


def _foreign_fields(answer: Answer) -> list[str]:
    return [name for name in answer.content if name in answer.foreign_fields]


def bounded_json(value: JsonObject) -> Any:
    """Return the value as JSON for an event, or a note if it is too large."""
    text = dumps(value)
    if len(text) <= MAX_EVENT_JSON:
        return orjson.loads(text)
    return {"note": f"{len(text):,} characters are too many to show here."}
