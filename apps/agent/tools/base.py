"""What a tool is.

Each tool has a folder with the same files: `arguments.py` has the pydantic model of its arguments, which is also the
schema that the model sees, and `tool.py` has `TOOL`. `registry` finds all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import transaction
from pydantic import BaseModel, ConfigDict, ValidationError

from apps.agent.models import Graph
from apps.agent.tools import argument_errors
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall


class Level(StrEnum):
    """The level of an API key that may use a tool over MCP."""

    READ = "read"
    RUN = "run"
    BUILD = "build"


class Effect(StrEnum):
    """What a tool changes. Only a tool without an effect may be carried out twice."""

    NONE = "none"
    DATABASE = "database"  # in Drover's database: in one transaction with the record of the call
    EXTERNAL = "external"  # outside of it, for example code that runs or a host that is reached


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom a tool acts. It comes from the server, and is not part of any schema that a model sees."""

    org: Org
    by: Principal
    conversation_id: UUID | None = None  # None for a program that uses a tool over MCP
    turn_id: UUID | None = None
    values_allowed: bool = False  # whether record values may be sent to the model
    checked: Any = None  # the result of the check that an action has asked for with CheckFirst


class Arguments(BaseModel):
    """The base class of a tool's arguments. Unknown arguments are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a tool. `content` is JSON for the model; `summary` is one sentence for the user.

    `links` are pages of the dashboard that the answer is about, as {label, path}. `foreign_fields` are fields of the
    content with texts that other people or systems have chosen, such as names and lines of logs. The model gets each of
    them as JSON in a block of data.
    """

    content: Mapping[str, Any]
    summary: str
    ok: bool = True
    links: tuple[Mapping[str, str], ...] = ()
    foreign_fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SlowAnswer:
    """A slow call that the tool needs, and how its result becomes an answer."""

    call: SlowCall[Any]
    render: Callable[[Any], Answer]


@dataclass(frozen=True, slots=True)
class Card:
    """What the user is shown before an approval. The server makes it, never the model.

    `facts` are (label, value). `changes` are {field, before, after}; a change of code also has
    `diff`, a unified diff, or None if the code is too long to compare. A question has `choices`, or a `form` for a
    connector whose secrets the browser sends directly to the connectors API. `streams` are lists of what each stream
    becomes, one for each pipeline that has several.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    changes: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    streams: tuple[Mapping[str, Any], ...] = ()
    choices: tuple[str, ...] = ()
    form: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "facts": [{"label": label, "value": value} for label, value in self.facts],
            "changes": [dict(change) for change in self.changes],
            "warnings": list(self.warnings),
            "streams": [dict(streams) for streams in self.streams],
            "choices": list(self.choices),
            "form": dict(self.form) if self.form else None,
        }


@dataclass(frozen=True, slots=True)
class Tool(Generic[ArgumentsT]):
    """A tool. `perform` calls one action of a service, with the rights of the context's principal.

    `card` is set for tools that need an approval. It may call the same action as `perform`: everything that it writes
    is rolled back.
    """

    name: str
    description: str
    title: str  # shown to the user, such as "List pipelines"
    level: Level
    effect: Effect
    permission: Permission
    arguments: type[ArgumentsT]
    perform: Callable[[ToolContext, ArgumentsT], Answer | SlowAnswer]
    card: Callable[[ToolContext, ArgumentsT], Card] | None = None
    # Returns whether this call may be carried out without asking. Without it, each call needs an approval.
    needs_no_approval: Callable[[ToolContext, ArgumentsT], bool] | None = None
    is_question: bool = False
    # For a question with a form: returns the answer that is stored, or raises Invalid or NotFound.
    check_answer: Callable[[ToolContext, ArgumentsT, JsonObject], JsonObject] | None = None
    graphs: frozenset[Graph] = frozenset({Graph.MAIN})  # whose models may call it
    hands_over_to: Graph | None = None  # the graph that goes on with the turn after this call

    @property
    def needs_approval(self) -> bool:
        return self.card is not None and not self.is_question

    def asks_before(self, context: ToolContext, arguments: ArgumentsT) -> bool:
        """Whether this call needs an approval."""
        if not self.needs_approval:
            return False
        return self.needs_no_approval is None or not self.needs_no_approval(context, arguments)

    def parse(self, arguments: JsonObject) -> ArgumentsT:
        """Return the checked arguments. Raises Invalid, see `parse_arguments`."""
        return parse_arguments(self.arguments, arguments)

    def make_card(self, context: ToolContext, arguments: ArgumentsT) -> JsonObject:
        """Return the card of an approval, from a dry run that is rolled back. Raises what the action raises."""
        if self.card is None:
            raise LookupError(f"{self.name} has no card")
        with transaction.atomic():
            card = self.card(context, arguments)
            transaction.set_rollback(True)
        return card.as_json()

    def schema(self) -> JsonObject:
        """Return the JSON Schema of the arguments."""
        schema: JsonObject = _without_titles(self.arguments.model_json_schema())
        return schema


def _without_titles(node: Any) -> Any:
    """Return the schema without the titles that pydantic adds. They repeat the names, and cost tokens."""
    if isinstance(node, list):
        return [_without_titles(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _without_titles(inner)
        for name, inner in node.items()
        if not (name == "title" and isinstance(inner, str))
    }


def parse_arguments(model: type[ArgumentsT], arguments: JsonObject) -> ArgumentsT:
    """Return the checked arguments. Raises Invalid, which names each field, what was sent and what is expected."""
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise Invalid([argument_errors.describe(model, problem) for problem in problems]) from None
