"""A directory provisions users and groups (SCIM 2.0): invited, removed at once, with roles set by an admin."""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from rest_framework.test import APIClient

from apps.orgs.exceptions import PermissionMissing
from apps.orgs.keys import service_accounts
from apps.orgs.models import Invitation, Membership, ScimGroup, ScimUser
from apps.orgs.roles import Permission, Role
from apps.orgs.scim import group_roles, provisioning
from tests import mailbox
from tests.isolation.planted import principal
from tests.world import World, client_for, make_world

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BASE = "/api/v1/scim/v2"


@pytest.fixture
def directory(world: World) -> APIClient:
    return directory_of(world)


def directory_of(world: World) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key_of(world)}")
    return client


def key_of(world: World) -> str:
    """A service account's key that may only manage members, as Okta or Entra ID would have."""
    with world.scope():
        by = principal(world, Role.OWNER)
        account = service_accounts.create(org=world.org, by=by, name="Okta", role=Role.ADMIN)
        key = service_accounts.create_key(
            org=world.org,
            by=by,
            member_id=account.pk,
            name="scim",
            scopes=[Permission.MEMBERS_MANAGE],
        )
    return key.text


def add(client: APIClient, email: str, **more: Any) -> Any:
    """As Okta sends it, with attributes that Drover does not use."""
    body = {
        "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "userName": email,
        "name": {"givenName": "Grace", "familyName": "Hopper"},
        "emails": [{"primary": True, "value": email, "type": "work"}],
        "displayName": "Grace Hopper",
        "locale": "en-US",
        "externalId": "00u1",
        "groups": [],
        "password": "not kept",
        "active": True,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Navy"},
        **more,
    }
    return client.post(f"{BASE}/Users", body)


def patch(client: APIClient, path: str, *operations: dict[str, Any]) -> Any:
    body = {"schemas": [PATCH], "Operations": list(operations)}
    return client.patch(f"{BASE}/{path}", body)


def role_of(world: World, email: str) -> str | None:
    with world.scope():
        member = Membership.objects.for_org(world.org).filter(user__email=email).first()
    return member.role if member else None


def join(world: World, stranger: World) -> str:
    """The last invited user accepts with an existing account."""
    grace = stranger.users[Role.OWNER]
    message = next(m for m in mailbox.deliver() if m.to == [grace.email])
    body = {"token": mailbox.link(message)[1]}
    answer = client_for(grace, stranger.org).post("/api/v1/invitations/accept", body)
    assert answer.status_code == 200, answer.content
    return grace.email


def test_someone_added_is_invited_and_joins_as_viewer(
    world: World, stranger: World, directory: APIClient
) -> None:
    grace = stranger.users[Role.OWNER]
    answer = add(directory, grace.email)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["userName"], body["externalId"], body["active"]) == (grace.email, "00u1", True)
    assert "not kept" not in answer.content.decode()
    assert role_of(world, grace.email) is None
    join(world, stranger)
    assert role_of(world, grace.email) == "viewer"


def test_an_account_elsewhere_and_an_unknown_address_answer_the_same(
    world: World, stranger: World, directory: APIClient
) -> None:
    grace = stranger.users[Role.OWNER]
    grace.name = "A name of her own"
    grace.save()
    known = add(directory, grace.email).json()
    unknown = add(directory, f"{uuid4().hex}@example.com").json()
    for answer in (known, unknown):
        for name in ("id", "userName", "emails", "meta"):
            del answer[name]
    assert known == unknown


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "active", "value": False},
        {"op": "Replace", "path": "active", "value": "False"},  # Entra ID's format
        {"op": "replace", "value": {"active": False}},  # Okta's format
    ],
)
def test_someone_deactivated_is_out_at_once_and_can_come_back(
    world: World, stranger: World, directory: APIClient, operation: dict[str, Any]
) -> None:
    pk = add(directory, stranger.users[Role.OWNER].email).json()["id"]
    email = join(world, stranger)
    inside = client_for(stranger.users[Role.OWNER], world.org)
    assert inside.get("/api/v1/org").status_code == 200
    answer = patch(directory, f"Users/{pk}", operation)
    assert answer.status_code == 200, answer.content
    assert answer.json()["active"] is False
    assert inside.get("/api/v1/org").status_code == 401
    patch(directory, f"Users/{pk}", {"op": "replace", "path": "active", "value": True})
    join(world, stranger)
    assert role_of(world, email) == "viewer"


def test_deleting_withdraws_an_invitation_that_is_open(world: World, directory: APIClient) -> None:
    pk = add(directory, "grace@example.com").json()["id"]
    assert directory.delete(f"{BASE}/Users/{pk}").status_code == 204
    with world.scope():
        assert not Invitation.objects.for_org(world.org).exists()
        assert not ScimUser.objects.for_org(world.org).exists()
    assert directory.get(f"{BASE}/Users/{pk}").status_code == 404


def test_a_group_grants_the_role_set_by_an_admin_and_removes_it_again(
    world: World, stranger: World, directory: APIClient
) -> None:
    pk = add(directory, stranger.users[Role.OWNER].email).json()["id"]
    email = join(world, stranger)
    group = directory.post(
        f"{BASE}/Groups",
        {"schemas": [GROUP], "displayName": "Data engineers", "members": [{"value": pk}]},
    ).json()
    assert role_of(world, email) == "viewer"
    path = f"/api/v1/org/scim/groups/{group['id']}"
    assert directory.put(path, {"role": "admin"}).status_code == 403
    assert world.client("admin").put(path, {"role": "member"}).json()["people"] == 1
    assert role_of(world, email) == "member"
    removed = {"op": "remove", "path": f'members[value eq "{pk}"]'}
    assert patch(directory, f"Groups/{group['id']}", removed).status_code == 200
    assert role_of(world, email) == "viewer"
    again = {"op": "add", "path": "members", "value": [{"value": pk}]}
    patch(directory, f"Groups/{group['id']}", again)
    assert role_of(world, email) == "member"
    assert directory.delete(f"{BASE}/Groups/{group['id']}").status_code == 204
    assert role_of(world, email) == "viewer"


def test_an_invitation_follows_the_groups(world: World, directory: APIClient) -> None:
    pk = add(directory, "grace@example.com").json()["id"]
    group = directory.post(
        f"{BASE}/Groups", {"schemas": [GROUP], "displayName": "Admins", "members": [{"value": pk}]}
    ).json()
    world.client("owner").put(f"/api/v1/org/scim/groups/{group['id']}", {"role": "admin"})
    with world.scope():
        assert Invitation.objects.for_org(world.org).get().role == "admin"


def test_a_member_keeps_their_role_until_a_group_gives_another(
    world: World, directory: APIClient
) -> None:
    """Connecting a directory lowers nobody's role."""
    admin = world.users[Role.ADMIN].email
    pk = add(directory, admin).json()["id"]
    assert role_of(world, admin) == "admin"
    group = directory.post(
        f"{BASE}/Groups", {"schemas": [GROUP], "displayName": "Team", "members": [{"value": pk}]}
    ).json()
    assert role_of(world, admin) == "admin"
    path = f"/api/v1/org/scim/groups/{group['id']}"
    world.client("owner").put(path, {"role": "member"})
    assert role_of(world, admin) == "member"
    world.client("owner").put(path, {"role": None})
    assert role_of(world, admin) == "viewer"


def test_a_directory_cannot_touch_owners(world: World, directory: APIClient) -> None:
    owner = world.users[Role.OWNER].email
    made = add(directory, owner)
    assert made.status_code == 201
    out = {"op": "replace", "path": "active", "value": False}
    refused = patch(directory, f"Users/{made.json()['id']}", out)
    assert refused.status_code == 403
    assert role_of(world, owner) == "owner"


def test_another_address_is_another_person(
    world: World, stranger: World, directory: APIClient
) -> None:
    pk = add(directory, stranger.users[Role.OWNER].email).json()["id"]
    email = join(world, stranger)
    change = {"op": "replace", "path": "userName", "value": "other@example.com"}
    assert patch(directory, f"Users/{pk}", change).json()["userName"] == "other@example.com"
    assert role_of(world, email) is None
    with world.scope():
        assert Invitation.objects.for_org(world.org).open().get().email == "other@example.com"


def test_lists_are_filtered_and_paged(world: World, directory: APIClient) -> None:
    for number in range(3):
        add(directory, f"p{number}@example.com", externalId=f"e{number}")
    found = directory.get(f"{BASE}/Users", {"filter": 'userName eq "P1@example.com"'}).json()
    assert (found["totalResults"], found["Resources"][0]["userName"]) == (1, "p1@example.com")
    by_id = directory.get(f"{BASE}/Users", {"filter": 'externalId eq "e2"'}).json()
    assert by_id["Resources"][0]["userName"] == "p2@example.com"
    page = directory.get(f"{BASE}/Users", {"startIndex": 2, "count": 1}).json()
    assert (page["totalResults"], page["itemsPerPage"], page["startIndex"]) == (3, 1, 2)
    assert page["Resources"][0]["userName"] == "p1@example.com"


def test_a_directory_may_speak_scims_own_media_type(directory: APIClient) -> None:
    body = (
        b'{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "x@example.com"}'
    )
    answer = directory.post(
        f"{BASE}/Users",
        body,
        content_type="application/scim+json",
        HTTP_ACCEPT="application/scim+json",
    )
    assert answer.status_code == 201, answer.content
    assert answer["Content-Type"] == "application/scim+json"


def test_what_a_directory_leaves_empty_is_empty(directory: APIClient) -> None:
    shown = add(directory, "grace@example.com", displayName=None, externalId=None).json()
    assert not {"displayName", "externalId"} & shown.keys()


def test_the_same_person_twice_is_a_conflict(directory: APIClient) -> None:
    add(directory, "grace@example.com")
    assert add(directory, "Grace@example.com").status_code == 409


@pytest.mark.parametrize(
    ("operation", "keyword"),
    [
        ({"op": "move", "path": "active"}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": "perhaps"}, "invalidValue"),
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "replace", "value": [1]}, "invalidValue"),
        ({"op": "replace", "path": "emails[", "value": 1}, "invalidPath"),
        ({"op": "replace", "path": "id", "value": "another"}, "mutability"),
        ({"op": "replace", "path": "userName", "value": ""}, "invalidValue"),
        ({"op": "replace", "path": "userName", "value": "a\u202eb"}, "invalidValue"),
        ({"op": "replace", "path": "externalId", "value": "a\x1b[2J"}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": "x" * 201}, "invalidValue"),
        ({"op": "replace", "path": "title", "value": "x" * 70_000}, "invalidValue"),
    ],
)
def test_a_bad_operation_is_named_and_changes_nothing(
    directory: APIClient, operation: dict[str, Any], keyword: str
) -> None:
    made = add(directory, "grace@example.com").json()
    first = {"op": "replace", "path": "active", "value": False}
    answer = patch(directory, f"Users/{made['id']}", first, operation)
    assert answer.status_code == 400, answer.content
    assert answer.json()["scimType"] == keyword, answer.content
    assert directory.get(f"{BASE}/Users/{made['id']}").json() == made


def test_texts_about_a_person_are_kept_without_what_cannot_be_seen(directory: APIClient) -> None:
    kept = {
        "title": "Chief  Engineer",
        "addresses": [{"formatted": "1 Main St\nTown", "type": "work"}],
    }
    hidden = {
        "nickName": "ada\u202e",
        "name": {"familyName": "Love\u200blace\x1b[2J"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Na\x9bvy"},
        "emails": [{"value": "ada@example.com", "display": "\u2066ada\u2069", "type": "work"}],
    }
    made = add(directory, "ada@example.com", **kept, **hidden)
    assert made.status_code == 201, made.content
    shown = made.json()
    assert {name: shown[name] for name in kept} == kept
    assert shown["nickName"] == "ada"
    assert shown["name"] == {"familyName": "Lovelace [2J"}
    assert shown["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] == {
        "department": "Na vy"
    }
    assert shown["emails"][0]["display"] == "ada"
    changed = patch(
        directory,
        f"Users/{shown['id']}",
        {"op": "replace", "path": "title", "value": "\u202eBoss"},
        {"op": "replace", "path": "active", "value": False},
    )
    assert changed.status_code == 200, changed.content
    assert (changed.json()["title"], changed.json()["active"]) == ("Boss", False)


def test_the_key_of_a_group_holds_nothing_that_cannot_be_seen(directory: APIClient) -> None:
    body = {"schemas": [GROUP], "displayName": "G", "externalId": "g\u2066"}
    refused = directory.post(f"{BASE}/Groups", body)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("externalId: The character U+2066 is not allowed")


@pytest.mark.parametrize("value", [5, "x", [{"value": "x"}], [None], {"value": None}])
def test_bad_members_of_a_group_are_refused(directory: APIClient, value: Any) -> None:
    group = directory.post(f"{BASE}/Groups", {"schemas": [GROUP], "displayName": "G"}).json()
    answer = patch(
        directory, f"Groups/{group['id']}", {"op": "add", "path": "members", "value": value}
    )
    assert answer.status_code == 400, answer.content
    assert answer.json()["scimType"] == "invalidValue"
    assert "members" in answer.json()["detail"]


def test_a_key_without_permission_and_a_stranger_cannot_provision_users(
    world: World, stranger: World, directory: APIClient
) -> None:
    pk = add(directory, "grace@example.com").json()["id"]
    assert world.client("viewer").get(f"{BASE}/Users").status_code == 403
    theirs = stranger.client("owner")
    assert theirs.get(f"{BASE}/Users/{pk}").status_code == 404
    assert theirs.get(f"{BASE}/Users").json()["totalResults"] == 0


def test_two_groups_that_change_at_once_give_what_both_say(committed_db: None) -> None:
    """Leaving one group while joining another: the second change sees the first."""
    world = make_world()
    directory, person = directory_of(world), world.users[Role.VIEWER].email
    pk = add(directory, person).json()["id"]
    groups = {}
    for role, members in (("admin", [{"value": pk}]), ("member", [])):
        body = {"schemas": [GROUP], "displayName": role, "members": members}
        groups[role] = directory.post(f"{BASE}/Groups", body).json()["id"]
        path = f"/api/v1/org/scim/groups/{groups[role]}"
        assert world.client("owner").put(path, {"role": role}).status_code == 200
    assert role_of(world, person) == "admin"
    answers = []

    def join_the_other() -> None:
        operation = {"op": "add", "path": "members", "value": [{"value": pk}]}
        answers.append(patch(directory, f"Groups/{groups['member']}", operation))
        connection.close()

    other = threading.Thread(target=join_the_other)
    with world.scope():
        by = principal(world, Role.OWNER)
        leaving = ScimGroup.objects.for_org(world.org).get(pk=groups["admin"])
        provisioning.set_members(org=world.org, by=by, group=leaving, user_ids=[])
        other.start()
        other.join(1)
        assert other.is_alive(), "it waits for this transaction"
    other.join()
    assert answers[0].status_code == 200, answers[0].content
    assert role_of(world, person) == "member"


def test_a_member_gives_no_group_a_role_whoever_calls(world: World) -> None:
    """The verb asks itself: callers need not be views."""
    with world.scope(), pytest.raises(PermissionMissing):
        group_roles.set_group_role(
            org=world.org, by=principal(world, Role.MEMBER), group_id=uuid4(), role="admin"
        )
