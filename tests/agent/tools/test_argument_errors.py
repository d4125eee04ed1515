"""Errors of arguments name the field, what was sent, and what would be accepted, for every argument of every tool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from apps.agent.tools.base import Tool
from apps.agent.tools.registry import all_tools, find
from apps.agent.turns import answers
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Role
from tests.agent.tools.use import use
from tests.world import World, make_pipeline

Path = tuple[str | int, ...]
WRONG = {"string": 41.5, "array": "one, two"}  # of other types, an object is never accepted
WRONG_OBJECT = {"surprise": "x"}


def schema_of(tool: Tool[Any]) -> Any:
    return tool.schema()


def argument_paths(tool: Tool[Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the place and the schema of each argument, including those in lists and objects."""
    schema = schema_of(tool)

    def walk(node: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
        for part in parts_of(node):
            for name, inner in part.get("properties", {}).items():
                yield (*path, name), inner
                yield from walk(inner, (*path, name))
            if isinstance(part.get("items"), dict):
                yield from walk(part["items"], (*path, 0))

    def parts_of(node: Any) -> Iterator[Any]:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        yield node
        for inner in node.get("anyOf", ()):
            yield from parts_of(inner)

    yield from walk(schema, ())


CASES = [(tool, path, schema) for tool in all_tools() for path, schema in argument_paths(tool)]


def name_of(value: Any) -> str:
    if isinstance(value, Tool):
        return value.name
    return ".".join(map(str, value)) if isinstance(value, tuple) else "schema"


def wrong_value(schema: dict[str, Any]) -> Any:
    types = {schema.get("type")} | {branch.get("type") for branch in schema.get("anyOf", ())}
    if "object" in types or "$ref" in str(schema):
        return 41.5
    return next((WRONG[kind] for kind in WRONG if kind in types), WRONG_OBJECT)


def placed(path: Path, value: Any) -> Any:
    """Return arguments in which only this place has a value."""
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


@pytest.mark.sample(4)
@pytest.mark.parametrize(("tool", "path", "schema"), CASES, ids=name_of)
def test_a_wrong_value_is_named_with_what_was_sent_and_what_would_do(
    tool: Tool[Any], path: Path, schema: dict[str, Any]
) -> None:
    value = wrong_value(schema)
    with pytest.raises(Invalid) as raised:
        tool.parse(placed(path, value))
    place = ".".join(map(str, path))
    messages = [
        message
        for field, message, _ in raised.value.errors
        if field == place or field.startswith(f"{place}.")
    ]
    assert messages, raised.value.errors
    assert str(value)[:10] in messages[0]
    assert messages[0].endswith(schema["description"])
    answer = answers.from_exception(raised.value, tool=tool.name)
    assert place in str(answer.content["error"]["fields"])


@pytest.mark.parametrize("tool", all_tools(), ids=name_of)
def test_an_argument_that_does_not_exist_is_answered_with_those_that_do(tool: Tool[Any]) -> None:
    with pytest.raises(Invalid) as raised:
        tool.parse({"surprise": 7})
    (message,) = [message for field, message, _ in raised.value.errors if field == "surprise"]
    assert "(sent: 7)" in message
    for name in schema_of(tool).get("properties", {}):
        assert name in message


def test_a_missing_argument_is_described() -> None:
    tool = find("run_pipeline")
    assert tool is not None
    with pytest.raises(Invalid) as raised:
        tool.parse({})
    expected = "This argument is required. The pipeline's id, from list_pipelines."
    assert ("pipeline_id", expected, "missing") in raised.value.errors


WITH_ONE_ID = [
    tool
    for tool in all_tools()
    if [name for name in schema_of(tool).get("required", ()) if name.endswith("_id")]
    and len(schema_of(tool).get("required", ())) == 1
]


@pytest.mark.parametrize("tool", WITH_ONE_ID, ids=name_of)
def test_an_id_that_is_not_found_is_named_with_the_tool_that_lists_such_ids(
    world: World, tool: Tool[Any]
) -> None:
    (name,) = schema_of(tool)["required"]
    missing = str(uuid4())
    extra: Any = {"timeout_seconds": 60} if tool.name == "update_pipeline" else {}
    answer = use(world, tool.name, Role.OWNER, **{name: missing, **extra})
    error: Any = answer.content["error"]
    assert error["code"] == "not_found", error
    (field,) = error["fields"]
    assert field["field"] == name
    assert f"…{missing[-6:]}" in field["message"]
    assert "list_" in field["message"], field


def test_the_id_of_another_org_is_not_repeated(world: World, stranger: World) -> None:
    pipeline = make_pipeline(stranger)
    answer = use(world, "show_pipeline", pipeline_id=str(pipeline.pk))
    assert str(pipeline.pk) not in answers.text_for_model(answer)
