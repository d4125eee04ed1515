"""The language model that an org chooses."""

from __future__ import annotations

from typing import Any

import pytest

from apps.agent import chat_models
from apps.agent.chat_models import budgets, own_model
from apps.agent.models import ModelSettings
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from tests.world import World

KEY = "sk-ant-0123456789abcdef"
ANTHROPIC = {"provider": "anthropic", "model": "claude-test", "key": KEY}
OLLAMA = {"provider": "openai_compatible", "model": "qwen", "base_url": "http://127.0.0.1:11434/v1"}


def put(world: World, body: Any, role: Role = Role.ADMIN) -> Any:
    return world.client(role).put("/api/v1/org/model", body, format="json")


def status(world: World, role: Role = Role.MEMBER) -> Any:
    return world.client(role).get("/api/v1/agent/status")


def label(world: World) -> str:
    with world.scope():
        return chat_models.choose(world.org, own_model.find_model(world.org)).label


def test_an_admin_chooses_a_model_and_the_key_is_never_shown(world: World) -> None:
    response = put(world, ANTHROPIC)
    assert response.status_code == 200, response.json()
    assert response.json()["key"] == {"set": True, "last4": "cdef"}
    shown = world.client(Role.ADMIN).get("/api/v1/org/model")
    assert KEY not in shown.content.decode()
    assert label(world) == "anthropic:claude-test"
    with world.scope():
        row = ModelSettings.objects.for_org(world.org).get()
        events = list(AuditEvent.objects.for_org(world.org).filter(action="agent_model.save"))
    assert KEY not in row.sealed
    assert len(events) == 1
    assert events[0].changes["key"] == [None, "set"]


def test_a_model_of_another_org_is_not_shown(world: World, stranger: World) -> None:
    put(world, ANTHROPIC)
    assert stranger.client(Role.OWNER).get("/api/v1/org/model").status_code == 204
    assert stranger.client(Role.OWNER).delete("/api/v1/org/model").status_code == 404
    assert label(stranger) == "guided"


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_only_admins_see_and_choose_the_model(world: World, role: Role) -> None:
    client = world.client(role)
    assert put(world, ANTHROPIC, role).status_code == 403
    assert client.get("/api/v1/org/model").status_code == 403
    assert client.delete("/api/v1/org/model").status_code == 403


def test_the_stored_key_stays_if_none_is_sent(world: World) -> None:
    put(world, ANTHROPIC)
    response = put(world, {"provider": "anthropic", "model": "claude-other"})
    assert response.status_code == 200
    assert response.json()["key"]["set"]
    assert label(world) == "anthropic:claude-other"


def test_a_model_that_was_changed_meanwhile_is_not_replaced(world: World) -> None:
    client, path = world.client(Role.ADMIN), "/api/v1/org/model"
    other = {**ANTHROPIC, "model": "claude-other"}
    nothing = client.get(path).headers["ETag"]
    saved = client.put(path, ANTHROPIC, format="json", HTTP_IF_MATCH=nothing).headers["ETag"]
    assert client.get(path).headers["ETag"] == saved
    for old in (nothing, '"1"'):
        change = client.put(path, other, format="json", HTTP_IF_MATCH=old)
        assert (change.status_code, change.json()["code"]) == (412, "precondition_failed")
        assert client.delete(path, HTTP_IF_MATCH=old).status_code == 412
    assert label(world) == "anthropic:claude-test"
    assert client.put(path, other, format="json", HTTP_IF_MATCH=saved).status_code == 200
    client.delete(path)
    assert client.put(path, other, format="json", HTTP_IF_MATCH=saved).status_code == 412


def test_the_version_of_another_orgs_model_is_not_accepted(world: World, stranger: World) -> None:
    put(world, ANTHROPIC)
    version = world.client(Role.ADMIN).get("/api/v1/org/model").headers["ETag"]
    client = stranger.client(Role.ADMIN)
    change = client.put("/api/v1/org/model", OLLAMA, format="json", HTTP_IF_MATCH=version)
    assert change.status_code == 412
    assert client.delete("/api/v1/org/model", HTTP_IF_MATCH=version).status_code == 404


def test_a_viewer_with_the_current_version_may_not_change_the_model(world: World) -> None:
    put(world, ANTHROPIC)
    version = world.client(Role.ADMIN).get("/api/v1/org/model").headers["ETag"]
    client = world.client(Role.VIEWER)
    change = client.put("/api/v1/org/model", OLLAMA, format="json", HTTP_IF_MATCH=version)
    assert change.status_code == 403
    assert client.delete("/api/v1/org/model", HTTP_IF_MATCH=version).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"provider": "openai", "model": "gpt"},
        {"provider": "anthropic", "model": "claude", "base_url": "https://elsewhere.example.com"},
    ],
)
def test_a_stored_key_is_never_sent_to_another_address(world: World, change: Any) -> None:
    put(world, ANTHROPIC)
    response = put(world, change)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["key"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"provider": "anthropic", "model": "claude"}, "key"),
        ({"provider": "openai_compatible", "model": "qwen"}, "base_url"),
        ({**OLLAMA, "base_url": "ftp://example.com"}, "base_url"),
        ({**OLLAMA, "base_url": "https://user:password@example.com"}, "base_url"),
        ({**ANTHROPIC, "temperature": 3}, "temperature"),
        ({**ANTHROPIC, "monthly_tokens": 0}, "monthly_tokens"),
        ({**ANTHROPIC, "key": "line\nbreak"}, "key"),
        ({"provider": "other", "model": "x"}, "provider"),
    ],
)
def test_a_wrong_field_is_named(world: World, body: Any, field: str) -> None:
    response = put(world, body)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_server_without_keys_needs_none(world: World) -> None:
    assert put(world, OLLAMA).status_code == 200
    assert label(world) == "openai_compatible:qwen"


def test_plain_http_needs_the_operators_permission(world: World, settings: Any) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = False
    assert put(world, OLLAMA).status_code == 422


def test_a_removed_model_leaves_guided_mode(world: World) -> None:
    put(world, ANTHROPIC)
    assert world.client(Role.ADMIN).delete("/api/v1/org/model").status_code == 204
    assert status(world).json()["mode"] == "guided"


def test_the_platforms_model_is_the_default(world: World, settings: Any) -> None:
    settings.AGENT_MODEL, settings.AGENT_MODEL_KEY = "openai:gpt-test", "sk-of-the-platform"
    assert label(world) == "openai:gpt-test"
    shown = status(world).json()
    assert (shown["mode"], shown["is_own"]) == ("model", False)
    put(world, ANTHROPIC)
    assert label(world) == "anthropic:claude-test"


def test_the_status_warns_from_80_percent_of_the_tokens_on(world: World) -> None:
    put(world, {**ANTHROPIC, "monthly_tokens": 1000})
    with world.scope():
        budgets.record(world.org.pk, input_tokens=700, output_tokens=99)
    assert status(world).json()["warning"] == ""
    with world.scope():
        budgets.record(world.org.pk, input_tokens=1, output_tokens=0)
    shown = status(world).json()
    assert (shown["used_tokens"], shown["limit_tokens"]) == (800, 1000)
    assert "80%" in shown["warning"]


def test_a_viewer_does_not_see_the_status(world: World) -> None:
    assert status(world, Role.VIEWER).status_code == 403
