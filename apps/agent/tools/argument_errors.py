"""Errors of a tool's arguments that teach: the field, what was sent, and what would be accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.pipelines.definition.document import parse_uuid

SHOWN_OF_ID = 6  # characters at the end
MAX_SENT = 80  # characters of a value in a message
NOT_FOUND = "There is no such object in this organization, or the user may not see it"

Error = tuple[str, str, str]  # the field, the message and the code
Step = int | str


def describe(model: type[BaseModel], problem: ErrorDetails) -> Error:
    """Return a problem that pydantic has found, with the description of the argument."""
    path = [step for step in problem["loc"] if not _is_branch(step)]
    schema = model.model_json_schema()
    field = ".".join(map(str, path))
    if problem["type"] == "missing":
        return field, f"This argument is required. {_description(schema, path)}".strip(), "missing"
    sent = f"(sent: {repr(problem.get('input'))[:MAX_SENT]})"
    if problem["type"] == "extra_forbidden":
        names = ", ".join(_properties(schema, path[:-1]))
        return field, f"There is no such argument {sent}. The arguments are: {names}.", "unknown"
    message = f"{reason(problem)} {sent}. {_description(schema, path)}"
    return field, message.strip(), problem["type"]


def reason(problem: ErrorDetails) -> str:
    """Return the words of a problem, without what pydantic puts before our own words."""
    return problem["msg"].removeprefix("Value error, ")


@contextmanager
def errors_name_arguments(prefix: str) -> Iterator[None]:
    """Let the errors of a service name the arguments of the tool. Their names begin with the prefix.

    The errors of a service begin with `config.`, which is not in the arguments, and rules for fields are nested deeper.
    """
    try:
        yield
    except Invalid as error:
        names = [_argument_of(field) for field, _, _ in error.errors]
        raise Invalid(
            [
                (f"{prefix}{name}", message, code)
                for name, (_, message, code) in zip(names, error.errors, strict=True)
            ]
        ) from None


def _argument_of(field: str) -> str:
    name = field.removeprefix("config.").replace(".fields.rules", ".fields")
    return name.replace(".fields.others", ".other_fields")


def not_found(schema: JsonObject, arguments: JsonObject) -> list[Error]:
    """Return an error for each id in the arguments, because one of them was not found."""
    return [
        (
            ".".join(map(str, path)),
            f"{NOT_FOUND} (sent: …{value[-SHOWN_OF_ID:]}). {_description(schema, path)}".strip(),
            "not_found",
        )
        for path, value in _ids(arguments, ())
    ]


def _is_branch(step: Step) -> bool:
    """Return whether this step of a place names a branch of a union, which is no argument."""
    return isinstance(step, str) and not step.isidentifier()


def _description(schema: JsonObject, path: Sequence[Step]) -> str:
    node: Any = _find(schema, path)
    return str(node.get("description", "")) if path else ""


def _properties(schema: JsonObject, path: Sequence[Step]) -> list[str]:
    node = _branch(schema, _find(schema, path), "properties")
    return sorted(node.get("properties", {}))


def _find(schema: JsonObject, path: Sequence[Step]) -> Any:
    """Return the schema of the argument at this place, or an empty schema."""
    node: Any = schema
    for step in path:
        keyword = "items" if isinstance(step, int) else "properties"
        inner = _branch(schema, node, keyword).get(keyword, {})
        node = inner if isinstance(step, int) else inner.get(step, {})
    return node


def _branch(schema: JsonObject, node: Any, keyword: str) -> Any:
    """Return the part of a schema that has the keyword: itself, what it refers to, or a branch of its union."""
    if "$ref" in node:
        definitions: Any = schema.get("$defs", {})
        node = definitions[node["$ref"].rpartition("/")[2]]
    branches = [_branch(schema, inner, keyword) for inner in node.get("anyOf", ())]
    return next((branch for branch in branches if keyword in branch), node)


def _ids(value: Any, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _ids(inner, (*path, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _ids(inner, (*path, position))
    elif isinstance(value, str) and parse_uuid(value) is not None:
        yield path, value


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
