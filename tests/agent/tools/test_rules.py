"""Rules that every tool follows, and the page that lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from apps.agent import tools
from apps.agent.tools import slow_work
from apps.agent.tools.base import Answer, Effect, Level, SlowAnswer, Tool
from apps.agent.tools.counted_words import counted
from apps.agent.tools.registry import all_tools
from apps.agent.turns import calls
from apps.orgs.exceptions import CheckFirst
from apps.orgs.slow_calls import SlowCall
from tests.guards.source import ROOT

FOLDER = Path(str(tools.__file__)).parent
PAGE = ROOT / "docs" / "reference" / "agent-tools.md"
FILES = {"__init__.py", "arguments.py", "tool.py"}
# The server knows these. A model must not be able to choose them.
SERVER_FIELDS = re.compile(
    r"(org|org_id|organization\w*|user|user_id|principal|actor|by|tenant\w*)"
)
FULL_SENTENCE = re.compile(r"[A-Z].*[.?]", re.DOTALL)

each_tool = pytest.mark.parametrize("tool", all_tools(), ids=lambda tool: tool.name)


def properties(schema: Any) -> Iterator[tuple[str, Any]]:
    """Return (name, schema) of each property, including those of nested objects."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for inner in schema.values():
            yield from properties(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from properties(inner)


@each_tool
def test_each_folder_has_the_same_files_and_the_name_of_its_tool(tool: Tool[Any]) -> None:
    folder = FOLDER / tool.name

    assert {path.name for path in folder.iterdir() if path.suffix == ".py"} == FILES


@each_tool
def test_a_tool_has_a_card_if_it_has_an_effect_or_asks_a_question(tool: Tool[Any]) -> None:
    has_effect = tool.effect is not Effect.NONE

    assert (tool.card is not None) == (has_effect or tool.is_question)
    assert tool.needs_approval == has_effect
    assert not has_effect or tool.level is not Level.READ


@each_tool
def test_no_schema_has_a_field_that_only_the_server_may_set(tool: Tool[Any]) -> None:
    names = {name for name, _ in properties(tool.schema())}

    assert not {name for name in names if SERVER_FIELDS.fullmatch(name)}


@each_tool
def test_the_tool_and_its_arguments_are_described_in_full_sentences(tool: Tool[Any]) -> None:
    assert FULL_SENTENCE.fullmatch(tool.description)
    for name, schema in properties(tool.schema()):
        assert FULL_SENTENCE.fullmatch(schema.get("description", "")), name


@each_tool
def test_unknown_arguments_are_refused_at_every_level(tool: Tool[Any]) -> None:
    schema: Any = tool.schema()
    objects = [schema, *schema.get("$defs", {}).values()]

    assert all(item["additionalProperties"] is False for item in objects if "properties" in item)


def test_the_page_of_the_documentation_is_what_print_tools_prints() -> None:
    printed = StringIO()
    call_command("print_tools", stdout=printed)

    assert PAGE.read_text() == printed.getvalue(), (
        "run manage.py print_tools > docs/reference/agent-tools.md"
    )


class CheckNeeded(CheckFirst):
    def check(self) -> bool:
        return is_connected()


def is_connected() -> bool:
    return connection.connection is not None


def test_slow_work_holds_no_database_connection(committed_db: None) -> None:
    connection.ensure_connection()
    outcome = SlowAnswer(SlowCall(is_connected, lambda _: None), lambda _: Answer({}, ""))
    assert calls.make_slow_call(outcome).value is False

    def act(checked: bool | None) -> bool:
        connection.ensure_connection()
        if checked is None:
            raise CheckNeeded
        return checked

    assert slow_work.with_checks(act) is False


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 streams"), (1, "1 stream"), (2, "2 streams"), (1200, "1,200 streams")],
)
def test_summaries_count_things_in_words(count: int, text: str) -> None:
    assert counted(count, "stream") == text
