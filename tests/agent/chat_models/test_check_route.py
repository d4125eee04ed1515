"""The route that checks a language model. The check itself runs in a real child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from apps.agent.chat_models import budgets
from apps.agent.chat_models.checks import services
from apps.connectors import engine
from apps.engine import EngineSupervisor
from apps.engine.failures import Crashed
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from tests.agent.wire.formats import USAGE
from tests.agent.wire.good_model import Fault, GoodModel
from tests.agent.wire.server import KEY, WireServer, wire_server
from tests.world import World

DRAFT = {
    "provider": "openai_compatible",
    "model": "local-test",
    "base_url": "http://127.0.0.1:9/v1",
}
CLIENTS = ("langchain_openai", "langchain_anthropic", "langchain_google_genai")


@pytest.fixture(scope="module")
def _warm_supervisor() -> Iterator[EngineSupervisor]:
    """Return a supervisor whose children need not import the clients of providers: its fork server has them."""
    with closing(EngineSupervisor(preload=(services.MODULE, *CLIENTS))) as supervisor:
        yield supervisor


@pytest.fixture
def quick_checks(_warm_supervisor: EngineSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save the time of an import in each check. One test is without this, as the web process is."""
    monkeypatch.setattr(engine, "supervisor", lambda: _warm_supervisor)


def draft_of(server: WireServer, **fields: Any) -> dict[str, Any]:
    return {"draft": {**DRAFT, "base_url": f"{server.url}/v1", "key": KEY, **fields}}


def post(world: World, body: Any, role: Role = Role.ADMIN) -> Any:
    return world.client(role).post("/api/v1/org/model/check", body, format="json")


def save(world: World, server: WireServer, **fields: Any) -> None:
    body = {**draft_of(server)["draft"], **fields}
    response = world.client(Role.ADMIN).put("/api/v1/org/model", body, format="json")
    assert response.status_code == 200, response.json()


def events(world: World) -> list[AuditEvent]:
    with world.scope():
        return list(AuditEvent.objects.for_org(world.org).filter(action=services.ACTION))


def used(world: World) -> int:
    with world.scope():
        return budgets.current(world.org.pk).used


def codes(response: Any) -> list[str]:
    return [error["field"] for error in response.json()["errors"]]


def test_an_admin_checks_settings_that_are_not_saved(world: World) -> None:
    with wire_server(GoodModel()) as server:
        response = post(world, draft_of(server))
    assert response.status_code == 200, response.json()
    answer = response.json()
    assert answer["ok"], answer
    assert answer["model"] == "openai_compatible:local-test"
    assert KEY not in response.content.decode()
    assert len(server.requests) == 7
    assert used(world) == 7 * sum(USAGE) == answer["input_tokens"] + answer["output_tokens"]
    (event,) = events(world)
    assert event.object_label == f"openai_compatible:local-test at {server.url}/v1"
    assert world.client(Role.ADMIN).get("/api/v1/org/model").status_code == 204, "nothing is saved"


@pytest.mark.long
@pytest.mark.usefixtures("quick_checks")
def test_the_saved_model_is_checked_with_its_key(world: World) -> None:
    with wire_server(GoodModel(Fault.CALL_AS_TEXT)) as server:
        save(world, server)
        response = post(world, {})
    answer = response.json()
    assert not answer["ok"]
    (failed,) = [row for row in answer["checks"] if row["state"] == "failed"]
    assert (failed["name"], failed["title"]) == ("tool_calls", "Tool calls")
    assert KEY not in response.content.decode()


@pytest.mark.usefixtures("quick_checks")
def test_a_member_may_not_check_and_a_stranger_checks_only_the_own_model(
    world: World, stranger: World
) -> None:
    with wire_server(GoodModel()) as server:
        save(world, server)
        for role in (Role.MEMBER, Role.VIEWER):
            assert post(world, {}, role).status_code == 403
        response = post(stranger, {})
    assert (response.status_code, response.json()["code"]) == (409, "no_language_model")
    assert (server.requests, server.get_headers) == ([], [])


def test_the_stored_key_is_not_sent_to_another_address(world: World) -> None:
    with wire_server(GoodModel()) as server, wire_server(GoodModel()) as other:
        save(world, server)
        moved = draft_of(other)
        del moved["draft"]["key"]
        response = post(world, moved)
        assert (response.status_code, codes(response)) == (422, ["draft.key"])
        moved["draft"].update(provider="anthropic", base_url=f"{server.url}/v1")
        assert post(world, moved).status_code == 422
    assert (other.requests, server.requests) == ([], [])


@pytest.mark.usefixtures("quick_checks")
def test_the_stored_key_is_used_for_its_own_address(world: World) -> None:
    with wire_server(GoodModel()) as server:
        save(world, server)
        draft = draft_of(server, model="another")
        del draft["draft"]["key"]
        answer = post(world, draft).json()
    assert answer["ok"], answer
    assert answer["model"] == "openai_compatible:another"


@pytest.mark.usefixtures("quick_checks")
def test_a_private_address_needs_the_operators_permission(world: World, settings: Any) -> None:
    with wire_server(GoodModel()) as server:
        save(world, server)
        settings.ALLOW_PRIVATE_NETWORKS = False
        answer = post(world, {}).json()
    assert answer["checks"][0]["state"] == "failed"
    assert "are not allowed" in answer["checks"][0]["message"]
    assert (server.requests, server.get_headers) == ([], [])


def test_a_check_stops_when_the_tokens_of_the_month_are_used_up(world: World) -> None:
    with wire_server(GoodModel()) as server:
        save(world, server, monthly_tokens=100)
        with world.scope():
            budgets.record(world.org.pk, input_tokens=99, output_tokens=1)
        response = post(world, draft_of(server))
    assert (response.status_code, response.json()["code"]) == (409, "budget_used_up")
    assert server.requests == []


def test_checks_are_limited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def call_function(name: str, **others: Any) -> Any:
        calls.append(name)
        return {"ok": True, "model": "m", "checks": [], "input_tokens": 1, "output_tokens": 1}

    monkeypatch.setattr(engine, "call_function", call_function)
    responses = [post(world, {"draft": DRAFT}) for _ in range(services.CHECKS_PER_MINUTE + 1)]
    assert [r.status_code for r in responses] == [200] * services.CHECKS_PER_MINUTE + [429]
    assert 0 < int(responses[-1]["Retry-After"]) <= 60
    assert len(calls) == services.CHECKS_PER_MINUTE


def test_a_check_that_is_interrupted_says_so_and_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(name: str, **others: Any) -> Any:
        raise Crashed("The process was killed.")

    monkeypatch.setattr(engine, "call_function", crash)
    answer = post(world, {"draft": DRAFT}).json()
    assert "interrupted" in answer["checks"][0]["message"]
    assert not answer["ok"]
    assert used(world) == services.TOKENS_OF_CHECK


def test_a_check_needs_a_model_and_valid_settings(world: World) -> None:
    assert post(world, {}).json()["code"] == "no_language_model"
    response = post(world, {"draft": {**DRAFT, "base_url": "ftp://models.test"}})
    assert (response.status_code, codes(response)) == (422, ["draft.base_url"])
    response = post(world, {"draft": {"provider": "openai", "model": "gpt-test"}})
    assert (response.status_code, codes(response)) == (422, ["draft.key"])


@pytest.mark.usefixtures("quick_checks")
def test_the_operators_model_is_checked_if_the_organization_has_none(
    world: World, settings: Any
) -> None:
    with wire_server(GoodModel()) as server:
        settings.AGENT_MODEL, settings.AGENT_MODEL_KEY = "anthropic:claude-test", KEY
        settings.AGENT_MODEL_URL = server.url
        answer = post(world, {}).json()
    assert answer["ok"], answer
    assert answer["model"] == "anthropic:claude-test"
    (event,) = events(world)
    assert event.object_label == "anthropic:claude-test of this installation"


@pytest.mark.usefixtures("quick_checks")
@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://models.internal.invalid/v1"])
def test_an_org_does_not_see_the_address_of_the_operators_model(
    world: World, settings: Any, url: str
) -> None:
    settings.AGENT_MODEL, settings.AGENT_MODEL_URL = "openai_compatible:qwen", url
    response = post(world, {})
    assert response.json()["checks"][0]["state"] == "failed"
    shown = response.content.decode() + str([event.object_label for event in events(world)])
    assert "models.internal" not in shown
    assert "127.0.0.1" not in shown


@pytest.mark.usefixtures("quick_checks")
@pytest.mark.parametrize("is_of_operator", [True, False])
def test_after_a_refused_key_the_next_step_is_for_somebody_who_can_change_it(
    world: World, settings: Any, is_of_operator: bool
) -> None:
    with wire_server(GoodModel(Fault.WRONG_KEY)) as server:
        if is_of_operator:
            settings.AGENT_MODEL, settings.AGENT_MODEL_KEY = "openai_compatible:qwen", "wrong"
            settings.AGENT_MODEL_URL = f"{server.url}/v1"
        else:
            save(world, server)
        answer = post(world, {}).json()
    (failed,) = [row for row in answer["checks"] if row["state"] == "failed"]
    assert failed["name"] == "key"
    assert failed["next_step"].startswith("Tell an operator" if is_of_operator else "Enter a valid")


@pytest.mark.usefixtures("quick_checks")
def test_an_address_that_is_refused_to_the_operators_model_is_for_the_operator(
    world: World, settings: Any
) -> None:
    settings.AGENT_MODEL, settings.AGENT_MODEL_URL = (
        "openai_compatible:qwen",
        "http://169.254.169.254/v1",
    )
    answer = post(world, {}).json()
    assert "are not allowed" in answer["checks"][0]["message"]
    assert "Correct the URL" not in str(answer)


def test_the_web_process_does_not_import_the_clients_of_providers() -> None:
    code = (
        "import django, json, sys; django.setup(); import config.urls;"
        "from apps.agent.chat_models.checks import services;"
        "print(json.dumps([n for n in sys.modules if n.split('.')[0] in"
        " ('langchain', 'langchain_core', 'langgraph', 'openai', 'anthropic', 'google')]))"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(process.stdout) == []
