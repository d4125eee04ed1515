"""What a browser, a program or a model may send to harm others: each is refused with words, and changes nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from apps.agent.tools.base import Effect, Tool
from apps.agent.tools.registry import all_tools, find
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Role
from tests.agent.conversing import Talk, begin, effects
from tests.agent.scripted_model import Step, use_script
from tests.agent.tools.test_argument_errors import Path, placed
from tests.agent.tools.use import error_code, use
from tests.world import World, make_connector, make_pipeline, make_world

SENTINEL = "only-of-the-stranger"


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


@pytest.fixture
def waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """Return a conversation that waits for an approval to disable a pipeline."""
    pipeline = make_pipeline(world, name="flights")
    call = ("set_pipeline_enabled", {"pipeline_id": str(pipeline.pk), "enabled": False})
    use_script(monkeypatch, Step("I disable it.", [call]), Step("That is all."))
    talk = begin(world, "disable flights")
    talk.work()
    return talk


@pytest.fixture
def asking(world: World, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """Return a conversation that waits for the answer to a question."""
    call = ("ask", {"question": "Which one?", "choices": ["a", "b"]})
    use_script(monkeypatch, Step("", [call]), Step("That is all."))
    talk = begin(world, "run it")
    talk.work()
    return talk


def send_raw(talk: Talk, path: str, body: str) -> Any:
    address = f"/api/v1/agent/conversations/{talk.id}/{path}"
    return talk.client.post(address, body, content_type="application/json")


BODIES = {
    "a NUL character": '"a\\u0000b"',
    "half a character": '"\\ud800"',
    "no number": "NaN",
    "deep nesting": "[" * 5000 + "]" * 5000,
    "3 MB": '"' + "x" * 3_000_000 + '"',
}


@pytest.mark.parametrize("value", BODIES.values(), ids=BODIES)
def test_an_edit_that_cannot_be_stored_is_refused(waiting: Talk, value: str) -> None:
    path = f"approvals/{waiting.open_request()['id']}"

    answer = send_raw(waiting, path, f'{{"decision": "edit", "arguments": {{"note": {value}}}}}')

    assert 400 <= answer.status_code < 500, answer.content[:500]
    assert waiting.turn()["status"] == "waiting"
    assert effects(waiting.world) == []


@pytest.mark.parametrize("value", BODIES.values(), ids=BODIES)
def test_an_answer_that_cannot_be_stored_is_refused(asking: Talk, value: str) -> None:
    path = f"approvals/{asking.open_request()['id']}"

    answer = send_raw(asking, path, f'{{"decision": "answer", "answer": {{"text": {value}}}}}')

    assert 400 <= answer.status_code < 500, answer.content[:500]
    assert asking.turn()["status"] == "waiting"


@pytest.mark.parametrize("value", ['"text"', "[1]", "7", "null"])
def test_an_answer_that_is_no_object_is_refused(asking: Talk, value: str) -> None:
    path = f"approvals/{asking.open_request()['id']}"

    answer = send_raw(asking, path, f'{{"decision": "answer", "answer": {value}}}')

    assert answer.status_code == 422, answer.content[:500]
    assert asking.turn()["status"] == "waiting"


@pytest.mark.parametrize("value", ['{"other": {"a": [1]}}', "{}"])
def test_an_answer_with_other_fields_does_no_harm(asking: Talk, value: str) -> None:
    path = f"approvals/{asking.open_request()['id']}"

    answer = send_raw(asking, path, f'{{"decision": "answer", "answer": {value}}}')
    asking.work()

    assert answer.status_code == 200, answer.content[:500]
    assert asking.turn()["status"] == "done"


@pytest.mark.parametrize("value", ['"text"', "[1]", "null", "7", "{}"])
def test_an_edit_of_another_form_is_refused(waiting: Talk, value: str) -> None:
    path = f"approvals/{waiting.open_request()['id']}"

    answer = send_raw(waiting, path, f'{{"decision": "edit", "arguments": {value}}}')

    assert 400 <= answer.status_code < 500, answer.content[:500]
    assert waiting.turn()["status"] == "waiting"


UNSAFE_TEXTS = {"a line break": "a\nb", "text that runs backwards": "a\u202eb"}


@pytest.mark.parametrize("text", UNSAFE_TEXTS.values(), ids=UNSAFE_TEXTS)
def test_an_edit_with_a_name_that_nobody_may_enter_names_the_field_and_the_character(
    world: World, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = str(make_pipeline(world, name="flights").pk)
    call = ("update_pipeline", {"pipeline_id": pipeline, "name": "arrivals"})
    use_script(monkeypatch, Step("I rename it.", [call]), Step("That is all."))
    talk = begin(world, "rename flights")
    talk.work()

    arguments = {"pipeline_id": pipeline, "name": text}
    refused = talk.decide(talk.open_request()["id"], "edit", arguments=arguments)

    assert refused.status_code == 422, refused.json()
    (error,) = refused.json()["errors"]
    assert error["field"] == "name"
    assert f"U+{ord(text[1]):04X}" in error["message"]
    assert talk.turn()["status"] == "waiting"


TEXTS_OF_TOOLS = [
    ("create_pipelines", ("pipelines", 0, "name"), False),
    ("create_pipelines", ("pipelines", 0, "description"), True),
    ("create_pipelines", ("pipelines", 0, "tags", 0), False),
    ("update_pipeline", ("name",), False),
    ("update_pipeline", ("description",), True),
    ("update_pipeline", ("tags", 0), False),
    ("request_connector", ("name",), False),
    ("create_hook", ("name",), False),
    ("update_hook", ("name",), False),
    ("request_follow_up", ("name",), False),
    ("update_follow_up", ("name",), False),
    ("save_source_version", ("name",), False),
    ("save_source_version", ("note",), False),
]


@pytest.mark.parametrize(("tool", "path", "has_lines"), TEXTS_OF_TOOLS)
def test_texts_of_tools_are_checked_like_those_of_forms(
    tool: str, path: Path, has_lines: bool
) -> None:
    assert messages_about(tool, path, "a\u202eb")[0].count("U+202E")
    assert bool(messages_about(tool, path, "a\nb")) is not has_lines


def messages_about(tool: str, path: Path, value: str) -> list[str]:
    """Return what is wrong with this argument if it has this value."""
    found = find(tool)
    assert found is not None
    with pytest.raises(Invalid) as raised:
        found.parse(placed(path, value))
    place = ".".join(map(str, path))
    return [message for field, message, _ in raised.value.errors if field == place]


def test_an_edit_cannot_point_to_a_pipeline_of_another_org(waiting: Talk) -> None:
    foreign = make_pipeline(make_world("Strangers"))
    arguments = {"pipeline_id": str(foreign.pk), "enabled": False}

    answer = waiting.decide(waiting.open_request()["id"], "edit", arguments=arguments)

    assert answer.status_code in (404, 422), answer.json()
    assert waiting.turn()["status"] == "waiting"


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.VIEWER])
def test_nobody_else_of_the_org_decides_stops_or_reads(waiting: Talk, role: Role) -> None:
    request, client = waiting.open_request()["id"], waiting.world.client(role)
    address = f"/api/v1/agent/conversations/{waiting.id}"
    refused = {403} if role == Role.VIEWER else {404}

    answers = [
        client.post(f"{address}/approvals/{request}", {"decision": "approve"}, format="json"),
        client.post(f"{address}/messages", {"text": "yes"}, format="json"),
        client.post(f"{address}/stop", {}, format="json"),
        client.post(f"{address}/retry", {}, format="json"),
        client.post(f"{address}/documents", {"name": "a", "content": "b"}, format="json"),
        client.put(f"{address}/source-settings", {"config": {}, "hosts": []}, format="json"),
        client.patch(address, {"title": "Mine"}, format="json"),
        client.get(address),
        client.get(f"{address}/events"),
        client.delete(address),
    ]

    assert {answer.status_code for answer in answers} == refused
    assert waiting.turn()["status"] == "waiting"


def test_an_approval_of_another_conversation_is_not_found(waiting: Talk) -> None:
    other = begin(waiting.world)

    answer = other.decide(waiting.open_request()["id"])

    assert answer.status_code == 404
    assert waiting.turn()["status"] == "waiting"


def id_fields(tool: Tool[Any]) -> list[str]:
    return [name for name in tool.arguments.model_fields if name.endswith("_id")]


@pytest.mark.parametrize(
    "tool",
    [t for t in all_tools() if id_fields(t) and not t.is_question],
    ids=lambda tool: str(tool.name),
)
def test_no_tool_answers_about_an_object_of_another_org(world: World, tool: Tool[Any]) -> None:
    stranger = make_world("Strangers")
    pipeline = make_pipeline(stranger, name=SENTINEL)
    connector = make_connector(stranger, name=f"{SENTINEL}-connector")
    foreign: dict[str, UUID] = {"pipeline_id": pipeline.pk, "connector_id": connector.pk}
    arguments = example_arguments(tool)
    for field in id_fields(tool):
        arguments[field] = str(foreign.get(field, stranger.org.pk))

    answer = use(world, tool.name, Role.OWNER, **arguments)

    assert not answer.ok, answer.content
    assert error_code(answer) in ("not_found", "invalid"), answer.content
    assert SENTINEL not in str(answer.content)


def example_arguments(tool: Tool[Any]) -> dict[str, Any]:
    """Return the required arguments of the tool, with usual values."""
    values: dict[str, Any] = {
        "enabled": False,
        "paused": True,
        "stream": "generated",
        "version": 1,
        "role": "source",
        "kind": "dummy",
        "code": "x = 1",
    }
    fields = tool.arguments.model_fields
    return {name: values.get(name) for name, field in fields.items() if field.is_required()}


@pytest.mark.parametrize(
    "tool", [t for t in all_tools() if t.effect is not Effect.NONE], ids=lambda tool: str(tool.name)
)
def test_a_viewer_changes_nothing_with_any_tool(world: World, tool: Tool[Any]) -> None:
    pipeline = make_pipeline(world)
    arguments = example_arguments(tool)
    if "pipeline_id" in tool.arguments.model_fields:
        arguments["pipeline_id"] = str(pipeline.pk)
    if "connector_id" in arguments:
        arguments["connector_id"] = str(make_connector(world).pk)

    answer = use(world, tool.name, Role.VIEWER, **arguments)

    assert not answer.ok, answer.content
    assert error_code(answer) in ("not_allowed", "invalid", "not_found", "no_conversation"), (
        answer.content
    )
    assert effects(world) == []
