"""A slow request gets its response only if the caller still has the permission when it is ready."""

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
from tests.runs.test_domains import ended_run
from tests.world import World, make_connector, new_client

OF_A_DOMAIN = [
    ("post", "connectors/{connector}/check"),
    ("get", "connectors/{connector}/streams"),
    ("post", "pipelines/{pipeline}/preview"),
    ("get", "runs/{run}/logs"),
    ("get", "runs/{run}/outputs/rows.parquet"),
]
CODE = "from drover import Source\n"
FOR_EDITORS: list[tuple[str, Any]] = [
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
def places(world: World) -> dict[str, Any]:
    """Return a connector, a pipeline and a run of one domain, by name, and the domain."""
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Ours")
    run = ended_run(world, "ours", domain.pk)
    connector = make_connector(world, domain_id=domain.pk)
    return {
        "domain": domain.pk,
        "connector": connector.pk,
        "pipeline": run.pipeline_id,
        "run": run.pk,
    }


def meanwhile(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Any]) -> list[bool]:
    """Make the change when the slow part of a request is done. Returns a list that is filled then."""
    finish, done = slow.finish, list[bool]()

    def changed(answer: Any, scope: Any) -> Any:
        def work() -> Any:
            found = answer.work()
            change()
            done.append(True)
            return found

        return finish(replace(answer, work=work), scope)

    monkeypatch.setattr(slow, "finish", changed)
    return done


@pytest.mark.parametrize(("method", "path"), OF_A_DOMAIN)
def test_what_left_the_keys_domain_meanwhile_is_not_there(
    world: World,
    places: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
) -> None:
    def move() -> None:
        with world.scope():
            Connector.objects.for_org(world.org).update(domain=None)
            Pipeline.objects.for_org(world.org).update(domain=None)

    client = key_of(world, places["domain"])
    address = f"/api/v1/{path.format(**places)}"
    assert getattr(client, method)(address).status_code == 200
    moved = meanwhile(monkeypatch, move)
    answer = getattr(client, method)(address)
    assert moved
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(("path", "body"), FOR_EDITORS)
def test_a_user_demoted_meanwhile_gets_no_result(
    world: World, places: dict[str, Any], monkeypatch: pytest.MonkeyPatch, path: str, body: Any
) -> None:
    def demote() -> None:
        with world.scope():
            Membership.unscoped.filter(user=world.users[Role.MEMBER]).update(role=Role.VIEWER)

    client, address = world.client(Role.MEMBER), f"/api/v1/{path.format(**places)}"
    assert client.post(address, body).status_code == 200
    demoted = meanwhile(monkeypatch, demote)
    answer = client.post(address, body)
    assert demoted
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


@pytest.mark.parametrize("by_key", [True, False], ids=["connector moved", "role taken"])
def test_a_connector_that_may_no_longer_be_used_tells_no_preview(
    world: World, places: dict[str, Any], monkeypatch: pytest.MonkeyPatch, by_key: bool
) -> None:
    def move() -> None:
        with world.scope():
            Connector.objects.for_org(world.org).update(domain=None)

    def lower() -> None:
        with world.scope():
            DomainRole.objects.for_org(world.org).filter(domain=places["domain"]).delete()

    if by_key:
        client = key_of(world, places["domain"])
    else:
        raise_viewer(world, places["domain"], "still raised here")
        client = world.client(Role.VIEWER)
    source = {"connector_id": str(places["connector"])}
    body = {"config": {"source": source, "streams": [{"stream": "generated"}]}}
    assert client.post("/api/v1/pipelines/preview", body).status_code == 200
    ended = meanwhile(monkeypatch, move if by_key else lower)
    answer = client.post("/api/v1/pipelines/preview", body)
    assert ended
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["source.connector_id"]


def raise_viewer(world: World, domain: Any, other: str) -> None:
    """Let the viewer work in this domain, and in another one of that name."""
    with world.scope():
        viewer = Membership.objects.for_org(world.org).get(user=world.users[Role.VIEWER])
        second = Domain.unscoped.create(org=world.org, name=other)
        for place in (domain, second.pk):
            DomainRole.unscoped.create(
                org=world.org, membership=viewer, domain_id=place, role=Role.MEMBER
            )


def key_of(world: World, domain: Any) -> APIClient:
    """A client with an API key limited to this domain."""
    body = {"name": "k", "role": "member", "domain_id": str(domain)}
    made = world.client(Role.ADMIN).post("/api/v1/org/api-keys", body).json()
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made['key']}")
    return client
