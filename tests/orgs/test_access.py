"""The API explains correctly why a member has a permission or lacks it."""

from __future__ import annotations

from typing import Any

import pytest

from apps.orgs.members import domains
from apps.orgs.models import Membership
from apps.orgs.roles import Permission, Role
from tests.isolation.planted import principal
from tests.world import World, client_for


def membership_of(world: World, role: Role) -> Membership:
    with world.scope():
        membership: Membership = (
            Membership.objects.for_org(world.org).select_related("user").get(user=world.users[role])
        )
    return membership


def read_access(world: World, membership: Membership, **query: str) -> Any:
    answer = world.client("viewer").get(f"/api/v1/org/members/{membership.pk}/access", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_domain_role_explains_a_permission_only_in_its_domain(world: World) -> None:
    viewer = membership_of(world, Role.VIEWER)
    with world.scope():
        owner = principal(world, Role.OWNER)
        domain = domains.create(org=world.org, by=owner, name="Marketing")
        domains.set_role(
            org=world.org, by=owner, domain_id=domain.pk, member_id=viewer.pk, role=Role.ADMIN
        )
    access = read_access(world, viewer, domain=str(domain.pk))
    rows_in_domain = {row["permission"]: row for row in access["permissions"]}
    assert (
        rows_in_domain["pipelines.run"]["because"]
        == "The domain role in Marketing raises viewer to admin."
    )
    assert rows_in_domain["members.manage"]["allowed"] is False
    assert (access["role"], access["role_here"]) == ("viewer", "admin")
    rows_in_org = {row["permission"]: row for row in read_access(world, viewer)["permissions"]}
    assert (
        rows_in_org["pipelines.run"]["because"]
        == "Needs the role member; this member's role here is viewer."
    )


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("domain_role", [None, Role.MEMBER, Role.ADMIN])
def test_the_explained_permissions_are_the_permissions_of_the_member(
    world: World, role: Role, domain_role: Role | None
) -> None:
    membership = membership_of(world, role)
    domain_id = None
    with world.scope():
        owner = principal(world, Role.OWNER)
        domain = domains.create(org=world.org, by=owner, name="Marketing")
        if domain_role is not None and role in (Role.VIEWER, Role.MEMBER) and domain_role != role:
            domains.set_role(
                org=world.org,
                by=owner,
                domain_id=domain.pk,
                member_id=membership.pk,
                role=domain_role,
            )
        domain_id = str(domain.pk)
    organization = (
        client_for(world.users[role], world.org).get("/api/v1/auth/me").json()["organization"]
    )
    permissions_by_domain = {
        domain_entry["id"]: domain_entry["permissions"] for domain_entry in organization["domains"]
    }
    for query, expected in (
        ({}, organization["permissions"]),
        ({"domain": domain_id}, permissions_by_domain.get(domain_id, organization["permissions"])),
    ):
        rows = read_access(world, membership, **query)["permissions"]
        assert [row["permission"] for row in rows if row["allowed"]] == expected
        assert len(rows) == len(Permission)
