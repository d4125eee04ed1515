"""Domains: an API key limited to one sees only that; a viewer with a domain role edits only there."""

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
class Split:
    """An org with two domains, with a connector and a pipeline in each, and one of each without domain."""

    world: World
    ours: Domain
    theirs: Domain
    connectors: dict[str, Any]
    pipelines: dict[str, Any]


@pytest.fixture
def split(world: World) -> Split:
    with world.scope():
        ours = Domain.unscoped.create(org=world.org, name="Ours")
        theirs = Domain.unscoped.create(org=world.org, name="Theirs")
    places = {"ours": ours.pk, "theirs": theirs.pk, "none": None}
    return Split(
        world,
        ours,
        theirs,
        {name: make_connector(world, name=name, domain_id=pk) for name, pk in places.items()},
        {name: make_pipeline(world, name=name, domain_id=pk) for name, pk in places.items()},
    )


def key_client(split: Split, role: str = "member") -> APIClient:
    """A client with an API key limited to our domain."""
    body = {"name": "k", "role": role, "domain_id": str(split.ours.pk)}
    answer = split.world.client(Role.ADMIN).post("/api/v1/org/api-keys", body)
    assert answer.status_code == 201, answer.content
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['key']}")
    return client


def raised_viewer(split: Split) -> APIClient:
    """A viewer of the org who is a member in our domain."""
    with split.world.scope():
        membership = Membership.objects.for_org(split.world.org).get(
            user=split.world.users[Role.VIEWER]
        )
        DomainRole.unscoped.create(
            org=split.world.org, domain=split.ours, membership=membership, role=Role.MEMBER
        )
    return split.world.client(Role.VIEWER)


@pytest.mark.parametrize("room", ["connectors", "pipelines"])
def test_a_key_of_a_domain_sees_and_changes_only_that(split: Split, room: str) -> None:
    client = key_client(split)
    objects = getattr(split, room)
    rows = client.get(f"/api/v1/{room}").json()
    assert [row["name"] for row in rows["results"]] == ["ours"]
    assert rows["count"] == 1
    unknown = client.get(f"/api/v1/{room}/{UNKNOWN}")
    for name in ("theirs", "none"):
        path = f"/api/v1/{room}/{objects[name].pk}"
        assert client.get(path).content == unknown.content
        assert client.patch(path, {"name": "Mine"}).status_code == 404
        assert client.delete(path).status_code == 404
    path = f"/api/v1/{room}/{objects['ours'].pk}"
    assert client.patch(path, {"name": "Mine"}).status_code == 200
    moved = client.patch(path, {"domain_id": str(split.theirs.pk)})
    assert moved.json()["errors"][0] == {
        "field": "domain_id",
        "message": "There is no such domain in this organization.",
        "code": "unknown",
    }
    assert client.patch(path, {"domain_id": None}).status_code == 403


def test_a_key_of_a_domain_makes_things_only_there(split: Split) -> None:
    client = key_client(split)
    body = {"name": "new", "config": config()}
    assert client.post("/api/v1/pipelines", body).status_code == 403
    assert (
        client.post("/api/v1/pipelines", {**body, "domain_id": str(split.theirs.pk)}).status_code
        == 422
    )
    made = client.post("/api/v1/pipelines", {**body, "domain_id": str(split.ours.pk)})
    assert made.status_code == 201, made.content


@pytest.mark.parametrize(("name", "status"), [("ours", 201), ("theirs", 422), ("none", 422)])
def test_a_key_of_a_domain_uses_only_its_connectors(split: Split, name: str, status: int) -> None:
    client = key_client(split)
    source = {"connector_id": str(split.connectors[name].pk), "config": None, "kind": None}
    body = {"name": "new", "config": config(**source), "domain_id": str(split.ours.pk)}
    assert client.post("/api/v1/pipelines", body).status_code == status


def test_a_key_cannot_see_pipelines_of_other_domains_that_use_its_connector(split: Split) -> None:
    ours = split.connectors["ours"]
    source = {"connector_id": str(ours.pk), "config": None, "kind": None}
    for name, domain_id in [("Seen", split.ours.pk), ("Secret", split.theirs.pk), ("Alone", None)]:
        make_pipeline(split.world, name=name, domain_id=domain_id, config=config(**source))
    path = f"/api/v1/connectors/{ours.pk}"
    refused = key_client(split).delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert [row["name"] for row in refused.json()["pipelines"]] == ["Seen"]
    assert "Seen and 2 more that you cannot see." in refused.json()["detail"]
    assert b"Secret" not in refused.content
    told = split.world.client(Role.MEMBER).delete(path).json()
    assert [row["name"] for row in told["pipelines"]] == ["Alone", "Secret", "Seen"]


@pytest.mark.parametrize("room", ["connectors", "pipelines"])
def test_a_viewer_raised_in_a_domain_reads_all_and_edits_there(split: Split, room: str) -> None:
    client = raised_viewer(split)
    objects = getattr(split, room)
    assert client.get(f"/api/v1/{room}").json()["count"] == 3
    path = f"/api/v1/{room}/{objects['ours'].pk}"
    assert client.patch(path, {"name": "Mine"}).status_code == 200
    assert client.patch(path, {"domain_id": str(split.theirs.pk)}).status_code == 403
    for name in ("theirs", "none"):
        path = f"/api/v1/{room}/{objects[name].pk}"
        assert client.patch(path, {"name": "Mine"}).status_code == 403
        assert client.delete(path).status_code == 403


@pytest.mark.parametrize(("name", "status"), [("ours", 201), ("theirs", 422), ("none", 201)])
def test_a_raised_viewer_uses_connectors_of_the_domain_or_of_none(
    split: Split, name: str, status: int
) -> None:
    client = raised_viewer(split)
    source = {"connector_id": str(split.connectors[name].pk), "config": None, "kind": None}
    body = {"name": "new", "config": config(**source), "domain_id": str(split.ours.pk)}
    assert client.post("/api/v1/pipelines", body).status_code == status


def test_a_copy_stays_in_its_domain(split: Split) -> None:
    client = raised_viewer(split)
    copied = client.post(f"/api/v1/pipelines/{split.pipelines['ours'].pk}/duplicate", {})
    assert copied.status_code == 201
    assert copied.json()["domain"]["name"] == "Ours"
    foreign = client.post(f"/api/v1/pipelines/{split.pipelines['none'].pk}/duplicate", {})
    assert foreign.status_code == 403
