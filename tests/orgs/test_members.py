"""Members of an org: roles, removal, leaving, and at least one owner."""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from rest_framework.test import APIClient

from apps.orgs import credentials
from apps.orgs.exceptions import NotFound, PermissionMissing
from apps.orgs.http import authentication
from apps.orgs.members import services
from apps.orgs.models import AuditEvent, Membership
from apps.orgs.principals import Principal
from apps.orgs.roles import Role
from tests.world import World, claims_for, client_for, make_user, make_world


def member_id(world: World, role: Role) -> Any:
    with world.scope():
        return Membership.objects.for_org(world.org).get(user=world.users[role]).pk


def change(world: World, by: Role, whose: Role, role: str) -> Any:
    return world.client(by).patch(f"/api/v1/org/members/{member_id(world, whose)}", {"role": role})


def remove(world: World, by: Role, whose: Role) -> Any:
    return world.client(by).delete(f"/api/v1/org/members/{member_id(world, whose)}")


def test_everyone_sees_who_belongs(world: World) -> None:
    body = world.client(Role.VIEWER).get("/api/v1/org/members").json()
    assert body["count"] == 4
    assert set(body["results"][0]) == {
        *("id", "user_id", "email", "name", "kind", "role", "created_at")
    }
    assert {row["role"] for row in body["results"]} == {"owner", "admin", "member", "viewer"}
    assert {row["email"] for row in body["results"]} == {u.email for u in world.users.values()}


def principal(world: World, role: Role) -> Principal:
    """Return the principal of the member with this role, as for a new request."""
    claims = claims_for(world.users[role], world.org)
    with world.scope():
        return credentials.load_principal(authentication.credential_from_claims(claims, None))[1]


def test_who_is_demoted_while_waiting_for_the_org_changes_nothing(world: World) -> None:
    by, victim = principal(world, Role.OWNER), member_id(world, Role.ADMIN)
    mine = member_id(world, Role.OWNER)
    with world.scope():
        Membership.objects.for_org(world.org).filter(pk=mine).update(role=Role.VIEWER)
        with pytest.raises(PermissionMissing):
            services.transfer_ownership(org=world.org, by=by, member_id=victim)
        with pytest.raises(PermissionMissing):
            services.change_role(org=world.org, by=by, member_id=victim, role=Role.OWNER)
        roles = dict(Membership.objects.for_org(world.org).values_list("pk", "role"))
    assert (roles[mine], roles[victim]) == (Role.VIEWER, Role.ADMIN)


def test_who_is_removed_while_waiting_for_the_org_changes_nothing(world: World) -> None:
    by, victim = principal(world, Role.ADMIN), member_id(world, Role.VIEWER)
    mine = member_id(world, Role.ADMIN)
    with world.scope():
        Membership.objects.for_org(world.org).filter(pk=mine).delete()
        with pytest.raises(NotFound):
            services.remove_member(org=world.org, by=by, member_id=victim)
        assert Membership.objects.for_org(world.org).filter(pk=victim).exists()


def test_an_admin_changes_a_role_and_the_audit_log_shows_it(world: World) -> None:
    answer = change(world, Role.ADMIN, Role.VIEWER, "member")
    assert answer.status_code == 200
    assert answer.json()["role"] == "member"
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).get(action="member.change_role")
    assert event.changes == {"role": ["viewer", "member"]}
    assert event.actor_label == world.users[Role.ADMIN].email


@pytest.mark.parametrize("by", [Role.MEMBER, Role.VIEWER])
def test_members_and_viewers_cannot_change_roles(world: World, by: Role) -> None:
    answer = change(world, by, Role.VIEWER, "admin")
    assert answer.status_code == 403
    assert answer.json()["permission"] == "members.manage"


def test_only_owners_make_and_unmake_owners(world: World) -> None:
    assert change(world, Role.ADMIN, Role.MEMBER, "owner").status_code == 403
    assert change(world, Role.ADMIN, Role.OWNER, "viewer").status_code == 403
    assert remove(world, Role.ADMIN, Role.OWNER).status_code == 403
    assert change(world, Role.OWNER, Role.MEMBER, "owner").status_code == 200


def test_the_last_owner_cannot_be_demoted_removed_or_leave(world: World) -> None:
    answers = [
        change(world, Role.OWNER, Role.OWNER, "admin"),
        remove(world, Role.OWNER, Role.OWNER),
        world.client(Role.OWNER).post("/api/v1/org/leave"),
    ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(409, "last_owner")] * 3


def test_an_owner_may_leave_if_there_is_another(world: World) -> None:
    change(world, Role.OWNER, Role.ADMIN, "owner")
    assert world.client(Role.OWNER).post("/api/v1/org/leave").status_code == 204
    assert world.client(Role.OWNER).get("/api/v1/org").status_code == 401


def test_removal_ends_access_and_api_keys_even_if_the_member_comes_back(world: World) -> None:
    client = world.client(Role.MEMBER)
    made = client.post("/api/v1/org/api-keys", {"name": "loader", "role": "member"}).json()
    with_key = APIClient()
    with_key.credentials(HTTP_AUTHORIZATION=f"Bearer {made['key']}")
    assert with_key.get("/api/v1/org").status_code == 200
    assert remove(world, Role.ADMIN, Role.MEMBER).status_code == 204
    assert client.get("/api/v1/org").status_code == 401
    assert with_key.get("/api/v1/org").status_code == 401
    with world.scope():
        Membership.unscoped.create(org=world.org, user=world.users[Role.MEMBER], role=Role.MEMBER)
    assert with_key.get("/api/v1/org").status_code == 401


@pytest.mark.parametrize("role", ["king", "", None, 3, ["owner"], "OWNER"])
def test_a_role_that_does_not_exist_is_refused(world: World, role: Any) -> None:
    answer = change(world, Role.OWNER, Role.VIEWER, role)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "role"


def test_a_member_of_another_organization_is_not_there(world: World, stranger: World) -> None:
    theirs = member_id(stranger, Role.VIEWER)
    client = world.client(Role.OWNER)
    foreign = client.patch(f"/api/v1/org/members/{theirs}", {"role": "admin"})
    unknown = client.patch(f"/api/v1/org/members/{uuid4()}", {"role": "admin"})
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content
    assert client.delete(f"/api/v1/org/members/{theirs}").status_code == 404


def test_two_owners_who_demote_each_other_at_the_same_moment_leave_one(committed_db: None) -> None:
    world = make_world()
    second = make_user("second")
    with world.scope():
        Membership.unscoped.create(org=world.org, user=second, role=Role.OWNER)
        ids = dict(
            Membership.objects.for_org(world.org)
            .filter(role=Role.OWNER)
            .values_list("user_id", "id")
        )
    clients = {user.pk: client_for(user, world.org) for user in (world.users[Role.OWNER], second)}
    together = threading.Barrier(2)
    answers: list[int] = []

    def demote_the_other(user_id: Any, other: Any) -> None:
        together.wait()
        path = f"/api/v1/org/members/{other}"
        answers.append(clients[user_id].patch(path, {"role": "viewer"}).status_code)
        connection.close()

    first_id, second_id = ids
    threads = [
        threading.Thread(target=demote_the_other, args=(first_id, ids[second_id])),
        threading.Thread(target=demote_the_other, args=(second_id, ids[first_id])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with world.scope():
        owners = Membership.objects.for_org(world.org).filter(role=Role.OWNER).count()
    assert owners == 1
    assert answers.count(200) == 1


def test_the_organization_is_renamed_by_an_admin_and_only_from_the_version_read(
    world: World,
) -> None:
    client = world.client(Role.ADMIN)
    before = client.get("/api/v1/org")
    answer = client.patch("/api/v1/org", {"name": "New name"}, HTTP_IF_MATCH=before["ETag"])
    assert answer.status_code == 200
    assert answer.json()["name"] == "New name"
    stale = client.patch("/api/v1/org", {"name": "Newer"}, HTTP_IF_MATCH=before["ETag"])
    assert stale.status_code == 412
    assert client.get("/api/v1/org").json()["name"] == "New name"
    assert world.client(Role.MEMBER).patch("/api/v1/org", {"name": "x"}).status_code == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "x" * 121}, "name"),
        ({"name": " "}, "name"),
        ({"max_running": 0}, "max_running"),
        ({"max_running": 12345678901234567890123456}, "max_running"),
        ({"max_running": "many"}, "max_running"),
        ({"slug": "mine"}, "slug"),
        ({"id": str(uuid4())}, "id"),
    ],
)
def test_a_bad_change_of_the_organization_names_the_field(
    world: World, change: dict[str, Any], field: str
) -> None:
    answer = world.client(Role.OWNER).patch("/api/v1/org", change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
