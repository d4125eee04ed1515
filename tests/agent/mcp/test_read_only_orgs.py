"""An org becomes read-only while programs use its tools: they may read, and nothing is changed or run."""

from __future__ import annotations

from tests.agent.mcp.programs import call, make_key
from tests.agent.mcp.test_approvals import (
    actors_of_changes,
    collect,
    decide,
    disable,
    is_enabled,
)
from tests.agent.test_read_only_orgs import REASON, resume, suspend
from tests.world import World, make_pipeline

CODE = "from drover.sources import RestSource\n"


def test_a_program_of_a_suspended_org_reads_and_runs_no_code(server: str, world: World) -> None:
    key = make_key(world)
    suspend(world)
    assert call(server, key, "list_pipelines")[0]
    ok, answer = call(server, key, "validate_source_code", code=CODE)
    assert (ok, answer["error"]["code"]) == (False, "org_suspended")
    assert REASON in answer["error"]["message"]
    resume(world)
    assert "org_suspended" not in str(call(server, key, "validate_source_code", code=CODE))


def test_an_approved_call_is_carried_out_once_when_the_org_is_no_longer_suspended(
    server: str, world: World
) -> None:
    pipeline, key = make_pipeline(world), make_key(world)
    request = disable(server, key, pipeline)
    suspend(world)
    refused = decide(world, request, "approve")
    assert (refused.status_code, refused.json()["code"]) == (423, "org_suspended")
    resume(world)
    assert decide(world, request, "approve").status_code == 200
    suspend(world)
    ok, answer = collect(server, key, request)
    assert (ok, answer["error"]["code"]) == (False, "org_suspended")
    assert is_enabled(world, pipeline)
    resume(world)
    assert collect(server, key, request) == collect(server, key, request)
    assert not is_enabled(world, pipeline)
    assert actors_of_changes(world) == ["Program"]
