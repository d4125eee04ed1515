"""A slow request gets its response only if the caller still has the permission when the response is ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.connectors.models import Connector
from apps.orgs.models import Domain, DomainRole, Membership
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from apps.web import slow
from tests.runs.test_domains import create_ended_run
from tests.world import World, make_connector, new_client

DOMAIN_REQUESTS = [
    ("post", "connectors/{connector}/check"),
    ("get", "connectors/{connector}/streams"),
    ("post", "pipelines/{pipeline}/preview"),
    ("get", "runs/{run}/logs"),
    ("get", "runs/{run}/logs/matches"),
    ("get", "runs/{run}/compare/{run}"),
    ("get", "runs/{run}/rejected"),
    ("get", "runs/{run}/rows"),
    ("get", "pipelines/{pipeline}/rows"),
    ("get", "runs/{run}/outputs/rows.parquet"),
]
CODE = "from drover import Source\n"
# Requests that need the role member. A viewer may not make them.
MEMBER_REQUESTS: list[tuple[str, Any]] = [
    ("connectors/{connector}/check", {}),
    ("connectors/check", {"role": "source", "kind": "dummy", "config": {}}),
    ("pipelines/{pipeline}/preview", {}),
    (
        "pipelines/preview",
        {
            "config": {
                "source": {"kind": "dummy", "config": {}},
                "streams": [{"stream": "generated"}],
            }
        },
    ),
    ("custom-sources/validate", {"code": CODE}),
]


@pytest.fixture
def ids(world: World) -> dict[str, Any]:
    """Create a domain with a connector, a pipeline and a run, and return their ids by kind."""
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Ours")
    run = create_ended_run(world, "ours", domain.pk)
    connector = make_connector(world, domain_id=domain.pk)
    return {
        "domain": domain.pk,
        "connector": connector.pk,
        "pipeline": run.pipeline_id,
        "run": run.pk,
    }


def change_during_request(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Any]) -> list[bool]:
    """Make the change when the slow part of the next request has ended. The returned list is empty until then."""
    finish = slow.finish
    made_changes: list[bool] = []

    def finish_after_change(answer: Any, scope: Any) -> Any:
        def work() -> Any:
            result = answer.work()
            change()
            made_changes.append(True)
            return result

        return finish(replace(answer, work=work), scope)

    monkeypatch.setattr(slow, "finish", finish_after_change)
    return made_changes


@pytest.mark.sample(3)
@pytest.mark.parametrize(("method", "path"), DOMAIN_REQUESTS)
def test_an_object_that_leaves_the_domain_of_the_key_meanwhile_gets_404(
    world: World,
    ids: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
) -> None:
    def move_to_no_domain() -> None:
        with world.scope():
            Connector.objects.for_org(world.org).update(domain=None)
            Pipeline.objects.for_org(world.org).update(domain=None)

    client = client_with_key(world, ids["domain"])
    path_with_ids = f"/api/v1/{path.format(**ids)}"
    assert getattr(client, method)(path_with_ids).status_code == 200
    moved = change_during_request(monkeypatch, move_to_no_domain)
    answer = getattr(client, method)(path_with_ids)
    assert moved
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.sample(3)
@pytest.mark.parametrize(("path", "body"), MEMBER_REQUESTS)
def test_a_user_demoted_meanwhile_gets_no_result(
    world: World, ids: dict[str, Any], monkeypatch: pytest.MonkeyPatch, path: str, body: Any
) -> None:
    def demote() -> None:
        with world.scope():
            Membership.unscoped.filter(user=world.users[Role.MEMBER]).update(role=Role.VIEWER)

    client, path_with_ids = world.client(Role.MEMBER), f"/api/v1/{path.format(**ids)}"
    assert client.post(path_with_ids, body).status_code == 200
    demoted = change_during_request(monkeypatch, demote)
    answer = client.post(path_with_ids, body)
    assert demoted
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


def test_a_user_demoted_meanwhile_does_not_get_values_of_rejected_records(
    world: World, ids: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def demote() -> None:
        with world.scope():
            Membership.unscoped.filter(user=world.users[Role.MEMBER]).update(role=Role.VIEWER)

    client, path = world.client(Role.MEMBER), f"/api/v1/runs/{ids['run']}/rejected"
    assert client.get(path).status_code == 200
    demoted = change_during_request(monkeypatch, demote)
    assert client.get(path).status_code == 403
    assert demoted


@pytest.mark.parametrize("by_key", [True, False], ids=["connector moved", "role removed"])
def test_a_caller_who_may_no_longer_use_the_connector_gets_no_preview(
    world: World, ids: dict[str, Any], monkeypatch: pytest.MonkeyPatch, by_key: bool
) -> None:
    def move_to_no_domain() -> None:
        with world.scope():
            Connector.objects.for_org(world.org).update(domain=None)

    def remove_role() -> None:
        with world.scope():
            DomainRole.objects.for_org(world.org).filter(domain=ids["domain"]).delete()

    if by_key:
        client = client_with_key(world, ids["domain"])
    else:
        grant_roles_in_two_domains(world, ids["domain"], "Other domain")
        client = world.client(Role.VIEWER)
    source = {"connector_id": str(ids["connector"])}
    body = {"config": {"source": source, "streams": [{"stream": "generated"}]}}
    assert client.post("/api/v1/pipelines/preview", body).status_code == 200
    made_changes = change_during_request(monkeypatch, move_to_no_domain if by_key else remove_role)
    answer = client.post("/api/v1/pipelines/preview", body)
    assert made_changes
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["source.connector_id"]


def grant_roles_in_two_domains(world: World, domain: Any, other_name: str) -> None:
    """Give the viewer the role member in this domain, and in a new domain with the name `other_name`.

    Because of the second domain, the viewer may still preview pipelines after losing the role in the first.
    """
    with world.scope():
        viewer = Membership.objects.for_org(world.org).get(user=world.users[Role.VIEWER])
        other_domain = Domain.unscoped.create(org=world.org, name=other_name)
        for domain_id in (domain, other_domain.pk):
            DomainRole.unscoped.create(
                org=world.org, membership=viewer, domain_id=domain_id, role=Role.MEMBER
            )


def client_with_key(world: World, domain: Any) -> APIClient:
    """Return a client with an API key that is limited to this domain."""
    body = {"name": "k", "role": "member", "domain_id": str(domain)}
    created = world.client(Role.ADMIN).post("/api/v1/org/api-keys", body).json()
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {created['key']}")
    return client
