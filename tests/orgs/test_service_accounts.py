"""Service accounts: who may create them, their roles, and their keys, which outlive their creator."""

from __future__ import annotations

from typing import Any

import pytest

from apps.auth.models import User
from apps.orgs.models import ApiKey, Membership
from apps.orgs.roles import Role
from tests.orgs.test_api_keys import key_client
from tests.world import World

PATH = "/api/v1/org/service-accounts"


def create_account(world: World, by: str = "admin", role: str = "member") -> Any:
    return world.client(by).post(PATH, {"name": "Terraform", "role": role})


def create_key(world: World, account_id: str, by: str = "admin", **fields: Any) -> Any:
    return world.client(by).post(f"{PATH}/{account_id}/keys", {"name": "CI", **fields})


def test_a_key_has_the_role_of_its_service_account_and_outlives_its_creator(world: World) -> None:
    account = create_account(world).json()
    assert (account["kind"], account["role"]) == ("service", "member")
    key = create_key(world, account["id"])
    assert key.status_code == 201, key.content
    account_client = key_client(key.json()["key"])
    assert account_client.get("/api/v1/auth/me").json()["organization"]["role"] == "member"
    with world.scope():
        Membership.objects.for_org(world.org).filter(user=world.users[Role.ADMIN]).delete()
    assert account_client.get("/api/v1/org").status_code == 200
    changed = world.client("owner").patch(
        f"/api/v1/org/members/{account['id']}", {"role": "viewer"}
    )
    assert changed.status_code == 200
    assert account_client.get("/api/v1/auth/me").json()["organization"]["role"] == "viewer"


def test_removing_a_service_account_revokes_its_keys_at_once(world: World) -> None:
    account = create_account(world).json()
    account_client = key_client(create_key(world, account["id"]).json()["key"])
    assert world.client("admin").delete(f"/api/v1/org/members/{account['id']}").status_code == 204
    assert account_client.get("/api/v1/org").status_code == 401
    assert not User.objects.get(kind="service").is_active


def test_a_rotated_key_still_belongs_to_the_service_account(world: World) -> None:
    account = create_account(world).json()
    key = create_key(world, account["id"]).json()
    rotated = world.client("owner").post(f"/api/v1/org/api-keys/{key['id']}/rotate", {})
    assert rotated.status_code == 201
    with world.scope():
        rows = ApiKey.objects.for_org(world.org).values_list("created_by__kind", flat=True)
        assert set(rows) == {"service"}
    assert key_client(rotated.json()["key"]).get("/api/v1/org").status_code == 200


@pytest.mark.parametrize(
    ("by", "role", "status"),
    [
        ("admin", "admin", 201),
        ("admin", "owner", 422),
        ("owner", "owner", 422),
        ("member", "viewer", 403),
    ],
)
def test_the_role_of_a_service_account_is_never_owner_or_above_the_role_of_its_creator(
    world: World, by: str, role: str, status: int
) -> None:
    assert create_account(world, by, role).status_code == status


def test_a_service_account_cannot_become_an_owner(world: World) -> None:
    account = create_account(world).json()
    owner_client = world.client("owner")
    answer = owner_client.patch(f"/api/v1/org/members/{account['id']}", {"role": "owner"})
    assert answer.json()["errors"][0]["code"] == "service_account"
    transfer = owner_client.post("/api/v1/org/transfer", {"member_id": account["id"]})
    assert transfer.status_code == 404


def test_keys_are_created_only_for_service_accounts_of_the_org_and_only_by_admins(
    world: World, stranger: World
) -> None:
    account = create_account(world).json()
    with world.scope():
        person = Membership.objects.for_org(world.org).get(user=world.users[Role.VIEWER])
    assert create_key(world, str(person.pk)).status_code == 404
    assert create_key(stranger, account["id"], "owner").status_code == 404
    assert create_key(world, account["id"], "viewer").status_code == 403
    answer = create_key(world, account["id"], scopes=["audit.view"])
    assert answer.json()["errors"][0]["field"] == "scopes.0"


def test_service_accounts_do_not_count_towards_the_limit_of_members(world: World) -> None:
    world.client("owner").patch("/api/v1/org", {"max_members": 4})
    assert create_account(world).status_code == 201
