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


def create_domain(world: World, name: str = "Marketing", by: Role = Role.ADMIN) -> Any:
    return world.client(by).post("/api/v1/org/domains", {"name": name})


def member_id(world: World, role: Role) -> Any:
    with world.scope():
        return Membership.objects.for_org(world.org).get(user=world.users[role]).pk


def test_a_domain_can_be_created_renamed_and_deleted(world: World) -> None:
    answer = create_domain(world)
    assert answer.status_code == 201
    path = f"/api/v1/org/domains/{answer.json()['id']}"
    client = world.client(Role.ADMIN)
    assert client.patch(path, {"name": "Growth"}).json()["name"] == "Growth"
    assert client.get(path).json()["name"] == "Growth"
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(object_kind="domain").order_by("id")
        assert list(events.values_list("action", flat=True)) == [
            "domain.create",
            "domain.rename",
            "domain.delete",
        ]


def test_members_may_read_domains_but_not_change_them(world: World) -> None:
    path = f"/api/v1/org/domains/{create_domain(world).json()['id']}"
    client = world.client(Role.MEMBER)
    assert client.get("/api/v1/org/domains").json()["count"] == 1
    assert client.patch(path, {"name": "Mine"}).status_code == 403
    assert client.delete(path).status_code == 403
    assert create_domain(world, "Mine", by=Role.MEMBER).status_code == 403


def test_domain_names_are_unique_regardless_of_case(world: World) -> None:
    create_domain(world, "Marketing")
    other_id = create_domain(world, "Sales").json()["id"]
    assert create_domain(world, "MARKETING").status_code == 409
    answer = world.client(Role.ADMIN).patch(
        f"/api/v1/org/domains/{other_id}", {"name": "marketing"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_a_rename_or_delete_with_a_stale_etag_is_rejected(world: World) -> None:
    path = f"/api/v1/org/domains/{create_domain(world).json()['id']}"
    client = world.client(Role.ADMIN)
    old_etag = client.get(path)["ETag"]
    client.patch(path, {"name": "Growth"})
    assert client.patch(path, {"name": "Other"}, HTTP_IF_MATCH=old_etag).status_code == 412
    assert client.delete(path, HTTP_IF_MATCH=old_etag).status_code == 412
    assert client.delete(path, HTTP_IF_MATCH=client.get(path)["ETag"]).status_code == 204


def test_a_domain_role_applies_to_one_domain_only(world: World) -> None:
    domain_id, other_domain_id = (
        create_domain(world, "Here").json()["id"],
        create_domain(world, "Elsewhere").json()["id"],
    )
    viewer_id = member_id(world, Role.VIEWER)
    client = world.client(Role.ADMIN)
    path = f"/api/v1/org/domains/{domain_id}/members/{viewer_id}"
    assert client.put(path, {"role": "member"}).status_code == 200
    assert client.put(path, {"role": "admin"}).json()["role"] == "admin"
    assert len(client.get(f"/api/v1/org/domains/{domain_id}").json()["members"]) == 1

    token = token_for(world.users[Role.VIEWER], world.org)
    credential = authentication.read_token(token, None)

    def viewer_may(permission: Permission, domain: str | None) -> bool:
        with world.scope():
            _, principal = credentials.load_principal(credential)
        return principal.may(permission, domain_id=UUID(domain) if domain else None)

    assert viewer_may(Permission.PIPELINES_EDIT, domain_id)
    assert not viewer_may(Permission.PIPELINES_EDIT, other_domain_id)
    assert not viewer_may(Permission.PIPELINES_EDIT, None)
    assert not viewer_may(Permission.MEMBERS_MANAGE, domain_id)
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    assert not viewer_may(Permission.PIPELINES_EDIT, domain_id)


def test_a_domain_role_must_be_higher_than_the_members_role_in_the_org_and_not_owner(
    world: World,
) -> None:
    domain = create_domain(world).json()["id"]
    path = f"/api/v1/org/domains/{domain}/members/{member_id(world, Role.MEMBER)}"
    client = world.client(Role.ADMIN)
    assert client.put(path, {"role": "member"}).status_code == 422
    assert client.put(path, {"role": "viewer"}).status_code == 422
    assert client.put(path, {"role": "owner"}).status_code == 422


@pytest.mark.parametrize("foreign_part", ["domain", "member"])
def test_a_domain_or_member_of_another_org_gets_the_same_404_as_an_unknown_id(
    world: World, stranger: World, foreign_part: str
) -> None:
    with stranger.scope():
        domain_of_stranger = Domain.unscoped.create(org=stranger.org, name="theirs").pk
    own_domain = create_domain(world).json()["id"]
    viewer_id = member_id(world, Role.VIEWER)
    client = world.client(Role.OWNER)

    def set_role(replaced_id: Any) -> Any:
        domain, member = (
            (replaced_id, viewer_id) if foreign_part == "domain" else (own_domain, replaced_id)
        )
        return client.put(f"/api/v1/org/domains/{domain}/members/{member}", {"role": "admin"})

    foreign = set_role(
        domain_of_stranger if foreign_part == "domain" else member_id(stranger, Role.VIEWER)
    )
    unknown = set_role(uuid4())
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


def test_the_profile_lists_the_permissions_in_each_domain(world: World) -> None:
    domain = create_domain(world).json()["id"]
    path = f"/api/v1/org/domains/{domain}/members/{member_id(world, Role.VIEWER)}"
    assert world.client(Role.ADMIN).put(path, {"role": "member"}).status_code == 200

    organization = world.client(Role.VIEWER).get("/api/v1/auth/me").json()["organization"]
    assert organization["permissions"] == ["read"]
    [domain_entry] = organization["domains"]
    assert domain_entry["id"] == domain
    assert {"pipelines.run", "pipelines.edit", "read"} <= set(domain_entry["permissions"])
    assert "api_keys.own" not in domain_entry["permissions"], (
        "a domain role is only for objects of the domain"
    )
