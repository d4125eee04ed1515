"""Programs list and call tools over MCP, with the permissions of their API key."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from apps.agent.mcp import application
from apps.agent.tools import registry
from apps.agent.tools.base import Effect, Level
from apps.orgs.roles import Permission, Role
from apps.web.problems import BODY_TOO_LARGE, Problem
from tests.agent.mcp.programs import ERAS, call, list_tools, make_key
from tests.world import World, make_connector, make_pipeline, token_for

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.mark.parametrize("era", ERAS)
def test_a_program_lists_pipelines_in_both_versions_of_the_protocol(
    server: str, world: World, era: str
) -> None:
    make_pipeline(world, name="flights")
    ok, answer = call(server, make_key(world), "list_pipelines", era)
    assert ok
    assert [row["name"] for row in answer["pipelines"]] == ["flights"]


def test_ids_of_another_org_are_not_found(server: str, world: World, stranger: World) -> None:
    theirs = make_connector(stranger)
    ok, answer = call(server, make_key(world), "list_streams", connector_id=str(theirs.pk))
    assert not ok
    assert answer["error"]["code"] == "not_found"
    assert call(server, make_key(world), "list_connectors")[1]["count"] == 0


def test_a_viewers_key_has_only_the_tools_that_read(server: str, world: World) -> None:
    names = list_tools(server, make_key(world, Role.VIEWER))
    assert "list_pipelines" in names
    assert {registry.find(name).level for name in names if registry.find(name)} == {Level.READ}  # type: ignore[union-attr]
    ok, answer = call(server, make_key(world, Role.VIEWER), "create_pipelines", pipelines=[])
    assert not ok
    assert answer["error"]["code"] == "unknown_tool"


def test_the_scopes_of_a_key_decide_its_level(server: str, world: World) -> None:
    scopes = [Permission.READ, Permission.PIPELINES_RUN, Permission.PIPELINES_DELETE]
    names = list_tools(server, make_key(world, scopes=scopes))
    assert {"list_pipelines", "run_pipeline", "collect_result"} <= set(names)
    assert "delete_pipeline" not in names  # of the level build
    assert "delete_pipeline" in list_tools(server, make_key(world))


def test_every_tool_that_changes_something_needs_an_approval() -> None:
    for tool in registry.all_tools():
        assert tool.effect == Effect.NONE or tool.needs_approval, tool.name


def test_wrong_arguments_are_named(server: str, world: World) -> None:
    ok, answer = call(server, make_key(world), "list_streams", connector_id="x", other=1)
    assert not ok
    assert {field["field"] for field in answer["error"]["fields"]} == {"connector_id", "other"}


def test_a_slow_tool_is_called_outside_of_transactions(server: str, world: World) -> None:
    connector = make_connector(world)
    ok, answer = call(server, make_key(world), "list_streams", connector_id=str(connector.pk))
    assert ok, answer
    assert "generated" in [stream["name"] for stream in answer["streams"]]


def post(address: str, key: str = "", path: str = "/mcp", **more: str) -> httpx.Response:
    headers = {"Accept": "application/json, text/event-stream", **more}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return httpx.post(f"{address}{path}", json=PING, headers=headers)


def test_a_request_without_a_valid_key_is_refused(server: str, world: World) -> None:
    answer = post(server)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert post(server, "drv_wrong").status_code == 401
    token = token_for(world.users[Role.OWNER], world.org)
    assert post(server, token).status_code == 401  # a person's session is not an API key


def test_a_revoked_key_is_refused_at_once(server: str, world: World) -> None:
    key = make_key(world)
    assert post(server, key.text).status_code == 200
    assert world.client(Role.OWNER).delete(f"/api/v1/org/api-keys/{key.row.pk}").status_code == 204
    assert post(server, key.text).status_code == 401


def test_only_requests_for_this_installation_and_from_its_pages_are_accepted(
    server: str, world: World
) -> None:
    key = make_key(world).text
    assert post(server, key, Host="evil.example").status_code == 421
    assert post(server, key, Origin="https://evil.example").status_code == 403
    assert post(server, key, Origin="http://localhost:9000").status_code == 403  # another port
    assert post(server, key, Origin="https://localhost:8000").status_code == 403
    assert post(server, key, Origin="http://localhost:8000").status_code == 200  # the public URL
    assert post(server, key, path="/mcp/").status_code == 404


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD", "OPTIONS"])
def test_only_post_is_accepted(server: str, method: str) -> None:
    answer = httpx.request(method, f"{server}/mcp", timeout=5)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


def test_a_large_body_is_refused_also_in_chunks(server: str, world: World) -> None:
    headers = {"Authorization": f"Bearer {make_key(world).text}"}
    chunks = (b" " * 2**16 for _ in range(40))
    assert httpx.post(f"{server}/mcp", content=chunks, headers=headers).status_code == 413
    assert (
        httpx.post(f"{server}/mcp", content=b" " * (3 * 2**20), headers=headers).status_code == 413
    )


def test_a_refused_body_leaves_no_traceback_in_memory(settings: Any) -> None:
    """An exception that is raised again keeps the tracebacks of all its raises."""

    async def receive() -> dict[str, Any]:
        return {"body": b" " * (settings.API_BODY_LIMIT + 1)}

    with pytest.raises(Problem) as refused:
        asyncio.run(application._read_body(receive))
    assert refused.value.status == 413
    assert BODY_TOO_LARGE.__traceback__ is None
