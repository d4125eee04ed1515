"""The explanation of each of a member's permissions is correct."""

from __future__ import annotations

from typing import Any

import pytest

from apps.orgs.members import domains
from apps.orgs.models import Membership
from apps.orgs.roles import Permission, Role
from tests.isolation.planted import principal
from tests.world import World, client_for


def member(world: World, role: Role) -> Membership:
    with world.scope():
        found: Membership = (
            Membership.objects.for_org(world.org).select_related("user").get(user=world.users[role])
        )
    return found


def ask(world: World, whose: Membership, **query: str) -> Any:
    answer = world.client("viewer").get(f"/api/v1/org/members/{whose.pk}/access", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_raised_role_is_the_reason_in_its_domain_only(world: World) -> None:
    viewer = member(world, Role.VIEWER)
    with world.scope():
        owner = principal(world, Role.OWNER)
        domain = domains.create(org=world.org, by=owner, name="Marketing")
        domains.set_role(
            org=world.org, by=owner, domain_id=domain.pk, member_id=viewer.pk, role=Role.ADMIN
        )
    there = ask(world, viewer, domain=str(domain.pk))
    reasons = {row["permission"]: row for row in there["permissions"]}
    assert (
        reasons["pipelines.run"]["because"]
        == "The domain role in Marketing raises viewer to admin."
    )
    assert reasons["members.manage"]["allowed"] is False
    assert (there["role"], there["role_here"]) == ("viewer", "admin")
    elsewhere = {row["permission"]: row for row in ask(world, viewer)["permissions"]}
    assert (
        elsewhere["pipelines.run"]["because"] == "Needs member; this member's role here is viewer."
    )


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("raised", [None, Role.MEMBER, Role.ADMIN])
def test_the_answer_is_what_the_server_decides(
    world: World, role: Role, raised: Role | None
) -> None:
    whose = member(world, role)
    domain_id = None
    with world.scope():
        owner = principal(world, Role.OWNER)
        domain = domains.create(org=world.org, by=owner, name="Marketing")
        if raised is not None and role in (Role.VIEWER, Role.MEMBER) and raised != role:
            domains.set_role(
                org=world.org, by=owner, domain_id=domain.pk, member_id=whose.pk, role=raised
            )
        domain_id = str(domain.pk)
    me = client_for(world.users[role], world.org).get("/api/v1/auth/me").json()["organization"]
    mine = {each["id"]: each["permissions"] for each in me["domains"]}
    for query, held in (
        ({}, me["permissions"]),
        ({"domain": domain_id}, mine.get(domain_id, me["permissions"])),
    ):
        rows = ask(world, whose, **query)["permissions"]
        assert [row["permission"] for row in rows if row["allowed"]] == held
        assert len(rows) == len(Permission)
