"""Domains and domain roles."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.orgs import credentials
from apps.orgs.http import authentication
from apps.orgs.models import AuditEvent, Domain, Membership
from apps.orgs.roles import Permission, Role
from tests.world import World, token_for


def create(world: World, name: str = "Marketing", by: Role = Role.ADMIN) -> Any:
    return world.client(by).post("/api/v1/org/domains", {"name": name})


def member_id(world: World, role: Role) -> Any:
    with world.scope():
        return Membership.objects.for_org(world.org).get(user=world.users[role]).pk


def test_a_domain_is_made_renamed_and_deleted(world: World) -> None:
    made = create(world)
    assert made.status_code == 201
    path = f"/api/v1/org/domains/{made.json()['id']}"
    client = world.client(Role.ADMIN)
    assert client.patch(path, {"name": "Growth"}).json()["name"] == "Growth"
    assert client.get(path).json()["name"] == "Growth"
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    with world.scope():
        trail = AuditEvent.objects.for_org(world.org).filter(object_kind="domain").order_by("id")
        assert list(trail.values_list("action", flat=True)) == [
            "domain.create",
            "domain.rename",
            "domain.delete",
        ]


def test_members_see_domains_and_cannot_change_them(world: World) -> None:
    path = f"/api/v1/org/domains/{create(world).json()['id']}"
    client = world.client(Role.MEMBER)
    assert client.get("/api/v1/org/domains").json()["count"] == 1
    assert client.patch(path, {"name": "Mine"}).status_code == 403
    assert client.delete(path).status_code == 403
    assert create(world, "Mine", by=Role.MEMBER).status_code == 403


def test_names_are_unique_regardless_of_case(world: World) -> None:
    create(world, "Marketing")
    other = create(world, "Sales").json()["id"]
    assert create(world, "MARKETING").status_code == 409
    answer = world.client(Role.ADMIN).patch(f"/api/v1/org/domains/{other}", {"name": "marketing"})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_a_stale_rename_or_delete_is_refused(world: World) -> None:
    path = f"/api/v1/org/domains/{create(world).json()['id']}"
    client = world.client(Role.ADMIN)
    old = client.get(path)["ETag"]
    client.patch(path, {"name": "Growth"})
    assert client.patch(path, {"name": "Other"}, HTTP_IF_MATCH=old).status_code == 412
    assert client.delete(path, HTTP_IF_MATCH=old).status_code == 412
    assert client.delete(path, HTTP_IF_MATCH=client.get(path)["ETag"]).status_code == 204


def test_a_role_is_raised_for_one_domain_only(world: World) -> None:
    here, elsewhere = create(world, "Here").json()["id"], create(world, "Elsewhere").json()["id"]
    viewer = member_id(world, Role.VIEWER)
    client = world.client(Role.ADMIN)
    path = f"/api/v1/org/domains/{here}/members/{viewer}"
    assert client.put(path, {"role": "member"}).status_code == 200
    assert client.put(path, {"role": "admin"}).json()["role"] == "admin"
    assert len(client.get(f"/api/v1/org/domains/{here}").json()["members"]) == 1

    token = token_for(world.users[Role.VIEWER], world.org)
    credential = authentication.read_token(token, None)

    def may(permission: Permission, domain: str | None) -> bool:
        with world.scope():
            _, principal = credentials.load_principal(credential)
        return principal.may(permission, domain_id=UUID(domain) if domain else None)

    assert may(Permission.PIPELINES_EDIT, here)
    assert not may(Permission.PIPELINES_EDIT, elsewhere)
    assert not may(Permission.PIPELINES_EDIT, None)
    assert not may(Permission.MEMBERS_MANAGE, here)
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    assert not may(Permission.PIPELINES_EDIT, here)


def test_an_override_that_would_not_raise_is_refused(world: World) -> None:
    domain = create(world).json()["id"]
    path = f"/api/v1/org/domains/{domain}/members/{member_id(world, Role.MEMBER)}"
    client = world.client(Role.ADMIN)
    assert client.put(path, {"role": "member"}).status_code == 422
    assert client.put(path, {"role": "viewer"}).status_code == 422
    assert client.put(path, {"role": "owner"}).status_code == 422


@pytest.mark.parametrize("part", ["domain", "member"])
def test_a_foreign_domain_or_member_is_not_there(world: World, stranger: World, part: str) -> None:
    with stranger.scope():
        theirs = Domain.unscoped.create(org=stranger.org, name="theirs").pk
    ours = create(world).json()["id"]
    viewer = member_id(world, Role.VIEWER)
    client = world.client(Role.OWNER)

    def put(stranger_id: Any) -> Any:
        domain, member = (stranger_id, viewer) if part == "domain" else (ours, stranger_id)
        return client.put(f"/api/v1/org/domains/{domain}/members/{member}", {"role": "admin"})

    foreign = put(theirs if part == "domain" else member_id(stranger, Role.VIEWER))
    unknown = put(uuid4())
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


def test_the_profile_tells_where_a_member_may_do_more(world: World) -> None:
    domain = create(world).json()["id"]
    path = f"/api/v1/org/domains/{domain}/members/{member_id(world, Role.VIEWER)}"
    assert world.client(Role.ADMIN).put(path, {"role": "member"}).status_code == 200

    organization = world.client(Role.VIEWER).get("/api/v1/auth/me").json()["organization"]
    assert organization["permissions"] == ["read"]
    [there] = organization["domains"]
    assert there["id"] == domain
    assert {"pipelines.run", "pipelines.edit", "read"} <= set(there["permissions"])
    assert "api_keys.own" not in there["permissions"], (
        "an override is for the objects of the domain"
    )
