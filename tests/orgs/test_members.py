"""Members of an org: their roles, removal and leaving. An org always has at least one owner."""

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


def change_role(world: World, by: Role, target: Role, role: str) -> Any:
    return world.client(by).patch(f"/api/v1/org/members/{member_id(world, target)}", {"role": role})


def remove_member(world: World, by: Role, target: Role) -> Any:
    return world.client(by).delete(f"/api/v1/org/members/{member_id(world, target)}")


def test_every_member_may_list_the_members(world: World) -> None:
    body = world.client(Role.VIEWER).get("/api/v1/org/members").json()
    assert body["count"] == 4
    assert set(body["results"][0]) == {
        *("id", "user_id", "email", "name", "kind", "role", "created_at")
    }
    assert {row["role"] for row in body["results"]} == {"owner", "admin", "member", "viewer"}
    assert {row["email"] for row in body["results"]} == {u.email for u in world.users.values()}


def load_principal(world: World, role: Role) -> Principal:
    """Return the principal of the member with this role, as for a new request."""
    claims = claims_for(world.users[role], world.org)
    with world.scope():
        return credentials.load_principal(authentication.credential_from_claims(claims, None))[1]


def test_a_request_that_waited_for_a_lock_is_rejected_if_its_sender_was_demoted(
    world: World,
) -> None:
    by, target_id = load_principal(world, Role.OWNER), member_id(world, Role.ADMIN)
    sender_id = member_id(world, Role.OWNER)
    with world.scope():
        Membership.objects.for_org(world.org).filter(pk=sender_id).update(role=Role.VIEWER)
        with pytest.raises(PermissionMissing):
            services.transfer_ownership(org=world.org, by=by, member_id=target_id)
        with pytest.raises(PermissionMissing):
            services.change_role(org=world.org, by=by, member_id=target_id, role=Role.OWNER)
        roles = dict(Membership.objects.for_org(world.org).values_list("pk", "role"))
    assert (roles[sender_id], roles[target_id]) == (Role.VIEWER, Role.ADMIN)


def test_a_request_that_waited_for_a_lock_is_rejected_if_its_sender_was_removed(
    world: World,
) -> None:
    by, target_id = load_principal(world, Role.ADMIN), member_id(world, Role.VIEWER)
    sender_id = member_id(world, Role.ADMIN)
    with world.scope():
        Membership.objects.for_org(world.org).filter(pk=sender_id).delete()
        with pytest.raises(NotFound):
            services.remove_member(org=world.org, by=by, member_id=target_id)
        assert Membership.objects.for_org(world.org).filter(pk=target_id).exists()


def test_an_admin_may_change_a_role_and_the_change_is_audited(world: World) -> None:
    answer = change_role(world, Role.ADMIN, Role.VIEWER, "member")
    assert answer.status_code == 200
    assert answer.json()["role"] == "member"
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).get(action="member.change_role")
    assert event.changes == {"role": ["viewer", "member"]}
    assert event.actor_label == world.users[Role.ADMIN].email


@pytest.mark.parametrize("by", [Role.MEMBER, Role.VIEWER])
def test_members_and_viewers_cannot_change_roles(world: World, by: Role) -> None:
    answer = change_role(world, by, Role.VIEWER, "admin")
    assert answer.status_code == 403
    assert answer.json()["permission"] == "members.manage"


def test_only_an_owner_may_add_change_or_remove_an_owner(world: World) -> None:
    assert change_role(world, Role.ADMIN, Role.MEMBER, "owner").status_code == 403
    assert change_role(world, Role.ADMIN, Role.OWNER, "viewer").status_code == 403
    assert remove_member(world, Role.ADMIN, Role.OWNER).status_code == 403
    assert change_role(world, Role.OWNER, Role.MEMBER, "owner").status_code == 200


def test_the_last_owner_cannot_be_demoted_or_removed_and_cannot_leave(world: World) -> None:
    answers = [
        change_role(world, Role.OWNER, Role.OWNER, "admin"),
        remove_member(world, Role.OWNER, Role.OWNER),
        world.client(Role.OWNER).post("/api/v1/org/leave"),
    ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(409, "last_owner")] * 3


def test_an_owner_may_leave_if_the_org_has_another_owner(world: World) -> None:
    change_role(world, Role.OWNER, Role.ADMIN, "owner")
    assert world.client(Role.OWNER).post("/api/v1/org/leave").status_code == 204
    assert world.client(Role.OWNER).get("/api/v1/org").status_code == 401


def test_removing_a_member_revokes_their_keys_even_if_the_member_returns(world: World) -> None:
    client = world.client(Role.MEMBER)
    key = client.post("/api/v1/org/api-keys", {"name": "loader", "role": "member"}).json()
    key_client = APIClient()
    key_client.credentials(HTTP_AUTHORIZATION=f"Bearer {key['key']}")
    assert key_client.get("/api/v1/org").status_code == 200
    assert remove_member(world, Role.ADMIN, Role.MEMBER).status_code == 204
    assert client.get("/api/v1/org").status_code == 401
    assert key_client.get("/api/v1/org").status_code == 401
    with world.scope():
        Membership.unscoped.create(org=world.org, user=world.users[Role.MEMBER], role=Role.MEMBER)
    assert key_client.get("/api/v1/org").status_code == 401


@pytest.mark.parametrize("role", ["king", "", None, 3, ["owner"], "OWNER"])
def test_an_unknown_role_is_rejected(world: World, role: Any) -> None:
    answer = change_role(world, Role.OWNER, Role.VIEWER, role)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "role"


def test_a_member_of_another_org_gets_the_same_404_as_an_unknown_member(
    world: World, stranger: World
) -> None:
    member_of_stranger = member_id(stranger, Role.VIEWER)
    client = world.client(Role.OWNER)
    foreign = client.patch(f"/api/v1/org/members/{member_of_stranger}", {"role": "admin"})
    unknown = client.patch(f"/api/v1/org/members/{uuid4()}", {"role": "admin"})
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content
    assert client.delete(f"/api/v1/org/members/{member_of_stranger}").status_code == 404


def test_two_owners_who_demote_each_other_at_the_same_time_leave_one_owner(
    committed_db: None,
) -> None:
    world = make_world()
    second_owner = make_user("second")
    with world.scope():
        Membership.unscoped.create(org=world.org, user=second_owner, role=Role.OWNER)
        member_ids = dict(
            Membership.objects.for_org(world.org)
            .filter(role=Role.OWNER)
            .values_list("user_id", "id")
        )
    clients = {
        user.pk: client_for(user, world.org) for user in (world.users[Role.OWNER], second_owner)
    }
    barrier = threading.Barrier(2)
    statuses: list[int] = []

    def demote(user_id: Any, member_id: Any) -> None:
        barrier.wait()
        path = f"/api/v1/org/members/{member_id}"
        statuses.append(clients[user_id].patch(path, {"role": "viewer"}).status_code)
        connection.close()

    first_id, second_id = member_ids
    threads = [
        threading.Thread(target=demote, args=(first_id, member_ids[second_id])),
        threading.Thread(target=demote, args=(second_id, member_ids[first_id])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with world.scope():
        owners = Membership.objects.for_org(world.org).filter(role=Role.OWNER).count()
    assert owners == 1
    assert statuses.count(200) == 1


def test_an_admin_may_rename_the_org_unless_their_etag_is_stale(
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
def test_an_invalid_change_of_the_org_is_rejected_with_the_name_of_the_field(
    world: World, change: dict[str, Any], field: str
) -> None:
    answer = world.client(Role.OWNER).patch("/api/v1/org", change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
