"""An API key of one domain accesses only that domain. A viewer with a domain role can edit only in that domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.orgs.models import Domain, DomainRole, Membership
from apps.orgs.roles import Role
from tests.pipelines.test_pipelines import config
from tests.world import World, make_connector, make_pipeline

UNKNOWN = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f20"


@dataclass
class DomainObjects:
    """An org with three connectors and three pipelines: one in each of two domains, and one without a domain."""

    world: World
    own_domain: Domain
    other_domain: Domain
    connectors: dict[str, Any]
    pipelines: dict[str, Any]


@pytest.fixture
def objects(world: World) -> DomainObjects:
    with world.scope():
        own_domain = Domain.unscoped.create(org=world.org, name="Own")
        other_domain = Domain.unscoped.create(org=world.org, name="Other")
    domain_ids = {"own": own_domain.pk, "other": other_domain.pk, "none": None}
    return DomainObjects(
        world,
        own_domain,
        other_domain,
        {name: make_connector(world, name=name, domain_id=pk) for name, pk in domain_ids.items()},
        {name: make_pipeline(world, name=name, domain_id=pk) for name, pk in domain_ids.items()},
    )


def key_client(objects: DomainObjects, role: str = "member") -> APIClient:
    """Return a client with an API key that is limited to the own domain."""
    body = {"name": "k", "role": role, "domain_id": str(objects.own_domain.pk)}
    answer = objects.world.client(Role.ADMIN).post("/api/v1/org/api-keys", body)
    assert answer.status_code == 201, answer.content
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['key']}")
    return client


def client_with_domain_role(objects: DomainObjects) -> APIClient:
    """Return a client of a viewer who has the role of a member in the own domain."""
    with objects.world.scope():
        membership = Membership.objects.for_org(objects.world.org).get(
            user=objects.world.users[Role.VIEWER]
        )
        DomainRole.unscoped.create(
            org=objects.world.org,
            domain=objects.own_domain,
            membership=membership,
            role=Role.MEMBER,
        )
    return objects.world.client(Role.VIEWER)


@pytest.mark.parametrize("resource", ["connectors", "pipelines"])
def test_a_key_of_a_domain_can_read_and_change_only_objects_of_the_domain(
    objects: DomainObjects, resource: str
) -> None:
    client = key_client(objects)
    objects_by_name = getattr(objects, resource)
    rows = client.get(f"/api/v1/{resource}").json()
    assert [row["name"] for row in rows["results"]] == ["own"]
    assert rows["count"] == 1
    unknown = client.get(f"/api/v1/{resource}/{UNKNOWN}")
    for name in ("other", "none"):
        path = f"/api/v1/{resource}/{objects_by_name[name].pk}"
        assert client.get(path).content == unknown.content
        assert client.patch(path, {"name": "Mine"}).status_code == 404
        assert client.delete(path).status_code == 404
    path = f"/api/v1/{resource}/{objects_by_name['own'].pk}"
    assert client.patch(path, {"name": "Mine"}).status_code == 200
    answer = client.patch(path, {"domain_id": str(objects.other_domain.pk)})
    assert answer.json()["errors"][0] == {
        "field": "domain_id",
        "message": "There is no such domain in this organization.",
        "code": "unknown",
    }
    assert client.patch(path, {"domain_id": None}).status_code == 403


def test_a_key_of_a_domain_can_create_pipelines_only_in_the_domain(objects: DomainObjects) -> None:
    client = key_client(objects)
    body = {"name": "new", "config": config()}
    assert client.post("/api/v1/pipelines", body).status_code == 403
    assert (
        client.post(
            "/api/v1/pipelines", {**body, "domain_id": str(objects.other_domain.pk)}
        ).status_code
        == 422
    )
    created = client.post("/api/v1/pipelines", {**body, "domain_id": str(objects.own_domain.pk)})
    assert created.status_code == 201, created.content


@pytest.mark.parametrize(("name", "status"), [("own", 201), ("other", 422), ("none", 422)])
def test_a_key_of_a_domain_can_use_only_connectors_of_the_domain(
    objects: DomainObjects, name: str, status: int
) -> None:
    client = key_client(objects)
    source = {"connector_id": str(objects.connectors[name].pk), "config": None, "kind": None}
    body = {"name": "new", "config": config(**source), "domain_id": str(objects.own_domain.pk)}
    assert client.post("/api/v1/pipelines", body).status_code == status


def test_a_key_cannot_see_pipelines_of_other_domains_that_use_its_connector(
    objects: DomainObjects,
) -> None:
    connector = objects.connectors["own"]
    source = {"connector_id": str(connector.pk), "config": None, "kind": None}
    for name, domain_id in [
        ("Seen", objects.own_domain.pk),
        ("Secret", objects.other_domain.pk),
        ("Alone", None),
    ]:
        make_pipeline(objects.world, name=name, domain_id=domain_id, config=config(**source))
    path = f"/api/v1/connectors/{connector.pk}"
    refused = key_client(objects).delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert [row["name"] for row in refused.json()["pipelines"]] == ["Seen"]
    assert "Seen and 2 more that you cannot see." in refused.json()["detail"]
    assert b"Secret" not in refused.content
    assert key_client(objects).get(path).json()["pipeline_count"] == 1
    assert objects.world.client(Role.VIEWER).get(path).json()["pipeline_count"] == 3
    answer_to_member = objects.world.client(Role.MEMBER).delete(path).json()
    assert [row["name"] for row in answer_to_member["pipelines"]] == ["Alone", "Secret", "Seen"]


@pytest.mark.parametrize("resource", ["connectors", "pipelines"])
def test_a_viewer_with_a_domain_role_can_read_all_objects_and_edit_those_of_the_domain(
    objects: DomainObjects, resource: str
) -> None:
    client = client_with_domain_role(objects)
    objects_by_name = getattr(objects, resource)
    assert client.get(f"/api/v1/{resource}").json()["count"] == 3
    path = f"/api/v1/{resource}/{objects_by_name['own'].pk}"
    assert client.patch(path, {"name": "Mine"}).status_code == 200
    assert client.patch(path, {"domain_id": str(objects.other_domain.pk)}).status_code == 403
    for name in ("other", "none"):
        path = f"/api/v1/{resource}/{objects_by_name[name].pk}"
        assert client.patch(path, {"name": "Mine"}).status_code == 403
        assert client.delete(path).status_code == 403


@pytest.mark.parametrize(("name", "status"), [("own", 201), ("other", 422), ("none", 201)])
def test_a_viewer_with_a_domain_role_can_use_connectors_of_the_domain_or_without_a_domain(
    objects: DomainObjects, name: str, status: int
) -> None:
    client = client_with_domain_role(objects)
    source = {"connector_id": str(objects.connectors[name].pk), "config": None, "kind": None}
    body = {"name": "new", "config": config(**source), "domain_id": str(objects.own_domain.pk)}
    assert client.post("/api/v1/pipelines", body).status_code == status


def test_a_copy_of_a_pipeline_stays_in_its_domain(objects: DomainObjects) -> None:
    client = client_with_domain_role(objects)
    copied = client.post(f"/api/v1/pipelines/{objects.pipelines['own'].pk}/duplicate", {})
    assert copied.status_code == 201
    assert copied.json()["domain"]["name"] == "Own"
    refused = client.post(f"/api/v1/pipelines/{objects.pipelines['none'].pk}/duplicate", {})
    assert refused.status_code == 403
