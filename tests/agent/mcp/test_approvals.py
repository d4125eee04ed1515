"""What changes something waits for a person, over MCP too, and happens at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.agent.mcp import requesting
from apps.agent.models import ToolRequest, ToolRequestState
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Permission, Role
from apps.pipelines.models import Pipeline
from tests.agent.mcp.programs import ERAS, call, call_with, connect, list_tools, make_key
from tests.web_server import find_free_port, web_server
from tests.world import World, make_connector, make_pipeline, new_client


def disable(server: str, key: Any, pipeline: Pipeline) -> Any:
    ok, answer = call(
        server, key, "set_pipeline_enabled", pipeline_id=str(pipeline.pk), enabled=False
    )
    assert ok, answer
    assert answer["status"] == "waiting_for_approval"
    return answer


def decide(
    world: World, request: Any, decision: str, role: Role = Role.MEMBER, **fields: Any
) -> Any:
    address = f"/api/v1/agent/tool-requests/{request['request_id']}/decision"
    return world.client(role).post(address, {"decision": decision, **fields}, format="json")


def collect(server: str, key: Any, request: Any, era: str = ERAS[1]) -> tuple[bool, Any]:
    return call(server, key, "collect_result", era, request_id=request["request_id"])


def is_enabled(world: World, pipeline: Pipeline) -> bool:
    with world.scope():
        pipeline.refresh_from_db()
    return bool(pipeline.enabled)


def actors_of_changes(world: World) -> list[str]:
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(action="pipeline.update")
        return list(events.values_list("actor_label", flat=True))


@pytest.mark.sample(2)
@pytest.mark.parametrize("era", ERAS)
def test_an_approved_call_is_carried_out_once(server: str, world: World, era: str) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    assert disable(server, key, pipeline)["request_id"] == request["request_id"]
    assert collect(server, key, request, era)[1]["status"] == "waiting_for_approval"
    shown = world.client().get(f"/api/v1/agent/tool-requests/{request['request_id']}").json()
    assert shown["card"]["changes"] == [{"field": "enabled", "before": True, "after": False}]
    assert request["approve_at"].endswith(f"/approvals/{shown['id']}")
    assert decide(world, request, "approve").status_code == 200
    assert decide(world, request, "approve").status_code == 409
    assert is_enabled(world, pipeline)
    assert collect(server, key, request, era) == collect(server, key, request, era)
    assert not is_enabled(world, pipeline)
    assert actors_of_changes(world) == ["Program"]


@pytest.mark.long
def test_two_processes_and_a_restart_carry_calls_of_both_eras_out_once(
    world: World, server: str
) -> None:
    key, port, proposal = make_key(world), find_free_port(), make_proposal(world)
    with ExitStack() as servers:
        other = servers.enter_context(web_server(port=port))
        requests = [propose(other, key, era, {**proposal, "name": era}) for era in ERAS]
        for request in requests:
            assert decide(world, request, "approve").status_code == 200

        def restart() -> None:
            servers.close()
            servers.enter_context(web_server(port=port))

        results = asyncio.run(collect_over_a_restart((server, other), key, requests, restart))
    for answers in results:
        assert [ok for ok, _ in answers] == [True] * 4
        assert len({answer["pipelines"][0]["id"] for _, answer in answers}) == 1
    pipelines = world.client().get("/api/v1/pipelines").json()["results"]
    assert sorted(pipeline["name"] for pipeline in pipelines) == sorted(ERAS)


def propose(server: str, key: Any, era: str, proposal: dict[str, Any]) -> Any:
    ok, request = call(server, key, "create_pipelines", era, pipelines=[proposal])
    assert ok, request
    return request


async def collect_over_a_restart(
    addresses: Sequence[str], key: Any, requests: Sequence[Any], restart: Callable[[], None]
) -> list[list[tuple[bool, Any]]]:
    """Connect a client of each era to each process, restart, and collect each result with all clients at once."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connect(address, key, era))
            for address in addresses
            for era in ERAS
        ]
        for client in clients:
            assert (await client.list_tools()).tools
        await asyncio.to_thread(restart)
        return [
            await asyncio.gather(
                *(
                    call_with(client, "collect_result", request_id=request["request_id"])
                    for client in clients
                )
            )
            for request in requests
        ]


def test_a_rejected_call_is_not_carried_out(server: str, world: World) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    assert decide(world, request, "reject", reason="Not today").status_code == 200
    ok, answer = collect(server, key, request)
    assert not ok
    assert (answer["error"]["code"], answer["error"]["reason"]) == ("rejected", "Not today")
    assert is_enabled(world, pipeline)


def make_proposal(world: World) -> dict[str, Any]:
    source = make_connector(world, name="numbers")
    destination = make_connector(world, role="destination", kind="logger", name="log")
    return {
        "name": "generated",
        "source_connector_id": str(source.pk),
        "destination_connector_id": str(destination.pk),
        "streams": [{"stream": "generated"}],
    }


def test_a_program_proposes_a_whole_source_and_the_person_sees_its_streams(
    server: str, world: World
) -> None:
    key = make_key(world)
    proposal = {**make_proposal(world), "streams": [], "patterns": {"match": ["*"]}}
    ok, request = call(server, key, "create_pipelines", pipelines=[proposal])
    assert ok, request
    shown = world.client().get(f"/api/v1/agent/tool-requests/{request['request_id']}").json()
    (listed,) = shown["card"]["streams"]
    assert "generated" in [row["stream"] for row in listed["rows"]]
    assert decide(world, request, "approve").status_code == 200
    assert collect(server, key, request)[0]
    (pipeline,) = world.client().get("/api/v1/pipelines").json()["results"]
    ok, pattern = call(server, key, "show_pipeline", pipeline_id=pipeline["id"])
    assert ok
    assert pattern["config"]["patterns"]["match"] == ["*"]


def test_a_proposal_creates_disabled_pipelines(server: str, world: World) -> None:
    key = make_key(world)
    ok, request = call(server, key, "create_pipelines", pipelines=[make_proposal(world)])
    assert ok, request
    assert world.client().get("/api/v1/pipelines").json()["count"] == 0
    assert decide(world, request, "approve").status_code == 200
    assert collect(server, key, request)[0]
    (pipeline,) = world.client().get("/api/v1/pipelines").json()["results"]
    assert (pipeline["name"], pipeline["enabled"]) == ("generated", False)


def test_nobody_else_may_see_or_decide_a_request(
    server: str, world: World, stranger: World
) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    address = f"/api/v1/agent/tool-requests/{request['request_id']}"
    assert stranger.client(Role.OWNER).get(address).status_code == 404
    assert world.client(Role.VIEWER).get(address).status_code == 403
    assert world.client(Role.ADMIN).get(address).status_code == 200  # may manage all keys
    assert decide(stranger, request, "approve").status_code == 404
    assert decide(world, request, "approve", Role.VIEWER).status_code == 403
    assert collect(server, make_key(stranger), request)[1]["error"]["code"] == "not_found"
    assert collect(server, make_key(world), request)[1]["error"]["code"] == "not_found"


def open_titles(world: World, role: Role = Role.MEMBER) -> list[str]:
    answer = world.client(role).get("/api/v1/agent/tool-requests").json()
    return [row["title"] for row in answer["results"]]


def test_open_requests_are_listed_for_the_owner_of_the_key_and_admins(
    server: str, world: World, stranger: World
) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    title = f"Disable the pipeline {pipeline.name}"
    assert open_titles(world) == open_titles(world, Role.ADMIN) == [title]
    assert open_titles(stranger, Role.OWNER) == []
    assert world.client(Role.VIEWER).get("/api/v1/agent/tool-requests").status_code == 403
    assert decide(world, request, "reject").status_code == 200
    assert open_titles(world) == []


def test_open_requests_are_searched_by_title_and_key(
    server: str, world: World, stranger: World
) -> None:
    pipeline, key = make_pipeline(world, name="Orders"), make_key(world)
    disable(server, key, pipeline)
    with world.scope():
        key_name = ToolRequest.objects.for_org(world.org).get().key.name

    def found(text: str, by: World = world) -> int:
        answer = by.client().get("/api/v1/agent/tool-requests", {"q": text}).json()
        assert answer["count"] == len(answer["results"])
        return len(answer["results"])

    assert found("pipeline ORD") == found(key_name[:4].upper()) == found("") == 1
    assert found("cities") == found("order", stranger) == 0


def test_an_expired_request_is_not_listed(server: str, world: World) -> None:
    disable(server, make_key(world), make_pipeline(world))
    with world.scope():
        rows = ToolRequest.objects.for_org(world.org)
        rows.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert open_titles(world) == []


def test_a_program_cannot_approve_its_own_request(server: str, world: World) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key.text}")
    address = f"/api/v1/agent/tool-requests/{request['request_id']}/decision"
    response = client.post(address, {"decision": "approve"}, format="json")
    assert response.status_code == 403
    assert collect(server, key, request)[1]["status"] == "waiting_for_approval"


def test_an_approval_of_other_arguments_is_not_valid(server: str, world: World) -> None:
    pipeline, other, key = make_pipeline(world), make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    assert decide(world, request, "approve").status_code == 200
    with world.scope():
        rows = ToolRequest.objects.for_org(world.org)
        rows.update(arguments={"pipeline_id": str(other.pk), "enabled": False})
    ok, answer = collect(server, key, request)
    assert not ok
    assert answer["error"]["code"] == "not_approved"
    assert is_enabled(world, other)


def test_an_expired_approval_is_not_valid(server: str, world: World) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    assert decide(world, request, "approve").status_code == 200
    with world.scope():
        rows = ToolRequest.objects.for_org(world.org)
        rows.update(expires_at=timezone.now() - timedelta(seconds=1))
    ok, answer = collect(server, key, request)
    assert not ok
    assert answer["error"]["code"] == "expired"
    assert is_enabled(world, pipeline)
    assert disable(server, key, pipeline)["request_id"] != request["request_id"]


def test_a_key_that_lost_its_rights_after_the_approval_changes_nothing(
    server: str, world: World
) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    assert decide(world, request, "approve").status_code == 200
    with world.scope():
        key.row.scopes = [Permission.READ]
        key.row.save()
    ok, answer = collect(server, key, request)
    assert not ok
    assert answer["error"]["code"] == "unknown_tool"
    assert is_enabled(world, pipeline)


def test_a_pipeline_deleted_before_the_approval_cannot_be_approved(
    server: str, world: World
) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    assert world.client().delete(f"/api/v1/pipelines/{pipeline.pk}").status_code == 204
    response = decide(world, request, "approve")
    assert (response.status_code, response.json()["code"]) == (409, "request_outdated")


def test_collect_result_is_offered_with_tools_that_need_an_approval(
    server: str, world: World
) -> None:
    assert "collect_result" in list_tools(server, make_key(world))
    assert "collect_result" not in list_tools(server, make_key(world, Role.VIEWER))


def approved_preview(server: str, world: World, key: Any) -> Any:
    pipeline = make_pipeline(world)
    ok, request = call(server, key, "preview_pipeline", pipeline_id=str(pipeline.pk))
    assert ok, request
    assert decide(world, request, "approve").status_code == 200
    return request


def test_an_approved_slow_call_is_made_once_and_its_answer_is_stored(
    server: str, world: World
) -> None:
    key = make_key(world)
    request = approved_preview(server, world, key)
    ok, answer = collect(server, key, request)
    assert ok, answer
    assert answer["records_read"] == 10
    assert "records" not in answer  # no record values
    assert collect(server, key, request) == (ok, answer)


def test_a_slow_call_whose_process_died_is_not_repeated(server: str, world: World) -> None:
    key = make_key(world)
    request = approved_preview(server, world, key)
    begin(world, ago=timedelta(seconds=5))
    assert collect(server, key, request) == (True, {"status": "in_progress"})
    begin(world, ago=timedelta(minutes=11))
    for _ in range(2):
        ok, answer = collect(server, key, request)
        assert not ok
        assert answer["error"]["code"] == "outcome_unknown"


def begin(world: World, *, ago: timedelta) -> None:
    with world.scope():
        rows = ToolRequest.objects.for_org(world.org)
        rows.update(state=ToolRequestState.BEGUN, began_at=timezone.now() - ago)


def test_a_key_has_at_most_fifty_open_requests(server: str, world: World) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    with world.scope():
        for number in range(requesting.MAX_OPEN - 1):
            ToolRequest.unscoped.create(
                org=world.org,
                key=key.row,
                tool="set_pipeline_enabled",
                arguments={},
                digest=str(number),
                card={"title": "Another"},
                expires_at=timezone.now() + timedelta(hours=1),
            )
    other = make_pipeline(world, name="other")
    ok, answer = call(server, key, "set_pipeline_enabled", pipeline_id=str(other.pk), enabled=False)
    assert not ok
    assert answer["error"]["code"] == "too_many_requests"
    assert disable(server, key, pipeline)["request_id"] == request["request_id"]
