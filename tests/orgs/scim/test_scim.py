"""A directory provisions users and groups with SCIM 2.0. An admin chooses the role of each group."""

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
    return directory_client(world)


def directory_client(world: World) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {directory_key(world)}")
    return client


def directory_key(world: World) -> str:
    """Return a service account's key that may only manage members, like a key for Okta or Entra ID."""
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


def add_user(client: APIClient, email: str, **attributes: Any) -> Any:
    """Add a user in the format of Okta, including attributes that Drover does not use."""
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
        **attributes,
    }
    return client.post(f"{BASE}/Users", body)


def send_patch(client: APIClient, path: str, *operations: dict[str, Any]) -> Any:
    body = {"schemas": [PATCH], "Operations": list(operations)}
    return client.patch(f"{BASE}/{path}", body)


def role_of(world: World, email: str) -> str | None:
    with world.scope():
        member = Membership.objects.for_org(world.org).filter(user__email=email).first()
    return member.role if member else None


def accept_invitation(world: World, stranger: World) -> str:
    """Accept the invitation of the stranger's owner, who has an account. Return the owner's address."""
    grace = stranger.users[Role.OWNER]
    message = next(m for m in mailbox.deliver() if m.to == [grace.email])
    body = {"token": mailbox.read_link(message)[1]}
    answer = client_for(grace, stranger.org).post("/api/v1/invitations/accept", body)
    assert answer.status_code == 200, answer.content
    return grace.email


def test_an_added_user_is_invited_and_joins_as_a_viewer(
    world: World, stranger: World, directory: APIClient
) -> None:
    grace = stranger.users[Role.OWNER]
    answer = add_user(directory, grace.email)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["userName"], body["externalId"], body["active"]) == (grace.email, "00u1", True)
    assert "not kept" not in answer.content.decode()
    assert role_of(world, grace.email) is None
    accept_invitation(world, stranger)
    assert role_of(world, grace.email) == "viewer"


def test_adding_an_existing_account_and_an_unknown_address_return_equal_responses(
    world: World, stranger: World, directory: APIClient
) -> None:
    grace = stranger.users[Role.OWNER]
    grace.name = "A name of her own"
    grace.save()
    known = add_user(directory, grace.email).json()
    unknown = add_user(directory, f"{uuid4().hex}@example.com").json()
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
def test_a_deactivated_user_loses_access_at_once_and_can_be_reactivated(
    world: World, stranger: World, directory: APIClient, operation: dict[str, Any]
) -> None:
    pk = add_user(directory, stranger.users[Role.OWNER].email).json()["id"]
    email = accept_invitation(world, stranger)
    client = client_for(stranger.users[Role.OWNER], world.org)
    assert client.get("/api/v1/org").status_code == 200
    answer = send_patch(directory, f"Users/{pk}", operation)
    assert answer.status_code == 200, answer.content
    assert answer.json()["active"] is False
    assert client.get("/api/v1/org").status_code == 401
    send_patch(directory, f"Users/{pk}", {"op": "replace", "path": "active", "value": True})
    accept_invitation(world, stranger)
    assert role_of(world, email) == "viewer"


def test_deleting_a_user_withdraws_their_open_invitation(
    world: World, directory: APIClient
) -> None:
    pk = add_user(directory, "grace@example.com").json()["id"]
    assert directory.delete(f"{BASE}/Users/{pk}").status_code == 204
    with world.scope():
        assert not Invitation.objects.for_org(world.org).exists()
        assert not ScimUser.objects.for_org(world.org).exists()
    assert directory.get(f"{BASE}/Users/{pk}").status_code == 404


def test_a_group_grants_its_role_to_its_members_until_they_leave_or_it_is_deleted(
    world: World, stranger: World, directory: APIClient
) -> None:
    pk = add_user(directory, stranger.users[Role.OWNER].email).json()["id"]
    email = accept_invitation(world, stranger)
    group = directory.post(
        f"{BASE}/Groups",
        {"schemas": [GROUP], "displayName": "Data engineers", "members": [{"value": pk}]},
    ).json()
    assert role_of(world, email) == "viewer"
    path = f"/api/v1/org/scim/groups/{group['id']}"
    assert directory.put(path, {"role": "admin"}).status_code == 403
    assert world.client("admin").put(path, {"role": "member"}).json()["people"] == 1
    assert role_of(world, email) == "member"
    removal = {"op": "remove", "path": f'members[value eq "{pk}"]'}
    assert send_patch(directory, f"Groups/{group['id']}", removal).status_code == 200
    assert role_of(world, email) == "viewer"
    addition = {"op": "add", "path": "members", "value": [{"value": pk}]}
    send_patch(directory, f"Groups/{group['id']}", addition)
    assert role_of(world, email) == "member"
    assert directory.delete(f"{BASE}/Groups/{group['id']}").status_code == 204
    assert role_of(world, email) == "viewer"


def test_an_invitation_gets_the_role_of_the_users_group(world: World, directory: APIClient) -> None:
    pk = add_user(directory, "grace@example.com").json()["id"]
    group = directory.post(
        f"{BASE}/Groups", {"schemas": [GROUP], "displayName": "Admins", "members": [{"value": pk}]}
    ).json()
    world.client("owner").put(f"/api/v1/org/scim/groups/{group['id']}", {"role": "admin"})
    with world.scope():
        assert Invitation.objects.for_org(world.org).get().role == "admin"


def test_a_members_role_changes_only_when_an_admin_gives_their_group_a_role(
    world: World, directory: APIClient
) -> None:
    admin = world.users[Role.ADMIN].email
    pk = add_user(directory, admin).json()["id"]
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


def test_a_directory_cannot_deactivate_an_owner(world: World, directory: APIClient) -> None:
    owner = world.users[Role.OWNER].email
    added = add_user(directory, owner)
    assert added.status_code == 201
    deactivation = {"op": "replace", "path": "active", "value": False}
    refused = send_patch(directory, f"Users/{added.json()['id']}", deactivation)
    assert refused.status_code == 403
    assert role_of(world, owner) == "owner"


def test_a_changed_address_removes_the_member_and_invites_the_new_address(
    world: World, stranger: World, directory: APIClient
) -> None:
    pk = add_user(directory, stranger.users[Role.OWNER].email).json()["id"]
    email = accept_invitation(world, stranger)
    change = {"op": "replace", "path": "userName", "value": "other@example.com"}
    assert send_patch(directory, f"Users/{pk}", change).json()["userName"] == "other@example.com"
    assert role_of(world, email) is None
    with world.scope():
        assert Invitation.objects.for_org(world.org).unaccepted().get().email == "other@example.com"


def test_lists_are_filtered_and_paged(world: World, directory: APIClient) -> None:
    for number in range(3):
        add_user(directory, f"p{number}@example.com", externalId=f"e{number}")
    found = directory.get(f"{BASE}/Users", {"filter": 'userName eq "P1@example.com"'}).json()
    assert (found["totalResults"], found["Resources"][0]["userName"]) == (1, "p1@example.com")
    by_id = directory.get(f"{BASE}/Users", {"filter": 'externalId eq "e2"'}).json()
    assert by_id["Resources"][0]["userName"] == "p2@example.com"
    page = directory.get(f"{BASE}/Users", {"startIndex": 2, "count": 1}).json()
    assert (page["totalResults"], page["itemsPerPage"], page["startIndex"]) == (3, 1, 2)
    assert page["Resources"][0]["userName"] == "p1@example.com"


def test_requests_may_use_the_media_type_of_scim(directory: APIClient) -> None:
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


def test_attributes_with_null_are_not_returned(directory: APIClient) -> None:
    user = add_user(directory, "grace@example.com", displayName=None, externalId=None).json()
    assert not {"displayName", "externalId"} & user.keys()


def test_adding_a_user_with_the_same_address_again_is_a_conflict(directory: APIClient) -> None:
    add_user(directory, "grace@example.com")
    assert add_user(directory, "Grace@example.com").status_code == 409


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
def test_an_invalid_operation_is_rejected_and_changes_nothing(
    directory: APIClient, operation: dict[str, Any], keyword: str
) -> None:
    user = add_user(directory, "grace@example.com").json()
    valid_operation = {"op": "replace", "path": "active", "value": False}
    answer = send_patch(directory, f"Users/{user['id']}", valid_operation, operation)
    assert answer.status_code == 400, answer.content
    assert answer.json()["scimType"] == keyword, answer.content
    assert directory.get(f"{BASE}/Users/{user['id']}").json() == user


def test_invisible_characters_are_removed_from_attributes_of_a_user(directory: APIClient) -> None:
    clean_attributes = {
        "title": "Chief  Engineer",
        "addresses": [{"formatted": "1 Main St\nTown", "type": "work"}],
    }
    attributes_with_invisible_characters = {
        "nickName": "ada\u202e",
        "name": {"familyName": "Love\u200blace\x1b[2J"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Na\x9bvy"},
        "emails": [{"value": "ada@example.com", "display": "\u2066ada\u2069", "type": "work"}],
    }
    answer = add_user(
        directory, "ada@example.com", **clean_attributes, **attributes_with_invisible_characters
    )
    assert answer.status_code == 201, answer.content
    user = answer.json()
    assert {name: user[name] for name in clean_attributes} == clean_attributes
    assert user["nickName"] == "ada"
    assert user["name"] == {"familyName": "Lovelace [2J"}
    assert user["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] == {
        "department": "Na vy"
    }
    assert user["emails"][0]["display"] == "ada"
    changed = send_patch(
        directory,
        f"Users/{user['id']}",
        {"op": "replace", "path": "title", "value": "\u202eBoss"},
        {"op": "replace", "path": "active", "value": False},
    )
    assert changed.status_code == 200, changed.content
    assert (changed.json()["title"], changed.json()["active"]) == ("Boss", False)


def test_an_external_id_with_an_invisible_character_is_rejected(directory: APIClient) -> None:
    body = {"schemas": [GROUP], "displayName": "G", "externalId": "g\u2066"}
    refused = directory.post(f"{BASE}/Groups", body)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("externalId: The character U+2066 is not allowed")


@pytest.mark.parametrize("value", [5, "x", [{"value": "x"}], [None], {"value": None}])
def test_invalid_members_of_a_group_are_rejected(directory: APIClient, value: Any) -> None:
    group = directory.post(f"{BASE}/Groups", {"schemas": [GROUP], "displayName": "G"}).json()
    answer = send_patch(
        directory, f"Groups/{group['id']}", {"op": "add", "path": "members", "value": value}
    )
    assert answer.status_code == 400, answer.content
    assert answer.json()["scimType"] == "invalidValue"
    assert "members" in answer.json()["detail"]


def test_a_viewer_and_a_stranger_cannot_read_the_users(
    world: World, stranger: World, directory: APIClient
) -> None:
    pk = add_user(directory, "grace@example.com").json()["id"]
    assert world.client("viewer").get(f"{BASE}/Users").status_code == 403
    stranger_client = stranger.client("owner")
    assert stranger_client.get(f"{BASE}/Users/{pk}").status_code == 404
    assert stranger_client.get(f"{BASE}/Users").json()["totalResults"] == 0


def test_a_user_who_moves_to_another_group_in_concurrent_requests_gets_the_role_of_that_group(
    committed_db: None,
) -> None:
    """A user leaves one group and joins another at the same time. The second change waits for the first."""
    world = make_world()
    directory, email = directory_client(world), world.users[Role.VIEWER].email
    pk = add_user(directory, email).json()["id"]
    groups = {}
    for role, members in (("admin", [{"value": pk}]), ("member", [])):
        body = {"schemas": [GROUP], "displayName": role, "members": members}
        groups[role] = directory.post(f"{BASE}/Groups", body).json()["id"]
        path = f"/api/v1/org/scim/groups/{groups[role]}"
        assert world.client("owner").put(path, {"role": role}).status_code == 200
    assert role_of(world, email) == "admin"
    answers = []

    def join_second_group() -> None:
        operation = {"op": "add", "path": "members", "value": [{"value": pk}]}
        answers.append(send_patch(directory, f"Groups/{groups['member']}", operation))
        connection.close()

    join_thread = threading.Thread(target=join_second_group)
    with world.scope():
        by = principal(world, Role.OWNER)
        first_group = ScimGroup.objects.for_org(world.org).get(pk=groups["admin"])
        provisioning.set_members(org=world.org, by=by, group=first_group, user_ids=[])
        join_thread.start()
        join_thread.join(1)
        assert join_thread.is_alive(), "the second change did not wait for the first"
    join_thread.join()
    assert answers[0].status_code == 200, answers[0].content
    assert role_of(world, email) == "member"


def test_a_member_cannot_give_a_group_a_role(world: World) -> None:
    """The action checks the permission itself, for callers that are not views."""
    with world.scope(), pytest.raises(PermissionMissing):
        group_roles.set_group_role(
            org=world.org, by=principal(world, Role.MEMBER), group_id=uuid4(), role="admin"
        )
