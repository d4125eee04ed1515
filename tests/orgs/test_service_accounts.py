"""Service accounts: their keys outlive their creator, and nobody can log in as one."""

from __future__ import annotations

from typing import Any

import pytest

from apps.auth.models import User
from apps.orgs.models import ApiKey, Membership
from apps.orgs.roles import Role
from tests.orgs.test_api_keys import with_key
from tests.world import World

PATH = "/api/v1/org/service-accounts"


def make(world: World, by: str = "admin", role: str = "member") -> Any:
    return world.client(by).post(PATH, {"name": "Terraform", "role": role})


def key_of(world: World, account: str, by: str = "admin", **more: Any) -> Any:
    return world.client(by).post(f"{PATH}/{account}/keys", {"name": "CI", **more})


def test_its_key_speaks_with_its_role_and_outlives_its_maker(world: World) -> None:
    account = make(world).json()
    assert (account["kind"], account["role"]) == ("service", "member")
    made = key_of(world, account["id"])
    assert made.status_code == 201, made.content
    robot = with_key(made.json()["key"])
    assert robot.get("/api/v1/auth/me").json()["organization"]["role"] == "member"
    with world.scope():
        Membership.objects.for_org(world.org).filter(user=world.users[Role.ADMIN]).delete()
    assert robot.get("/api/v1/org").status_code == 200
    changed = world.client("owner").patch(
        f"/api/v1/org/members/{account['id']}", {"role": "viewer"}
    )
    assert changed.status_code == 200
    assert robot.get("/api/v1/auth/me").json()["organization"]["role"] == "viewer"


def test_removing_it_ends_its_keys_at_once(world: World) -> None:
    account = make(world).json()
    robot = with_key(key_of(world, account["id"]).json()["key"])
    assert world.client("admin").delete(f"/api/v1/org/members/{account['id']}").status_code == 204
    assert robot.get("/api/v1/org").status_code == 401
    assert not User.objects.get(kind="service").is_active


def test_a_rotated_key_stays_the_service_accounts(world: World) -> None:
    account = make(world).json()
    made = key_of(world, account["id"]).json()
    rotated = world.client("owner").post(f"/api/v1/org/api-keys/{made['id']}/rotate", {})
    assert rotated.status_code == 201
    with world.scope():
        rows = ApiKey.objects.for_org(world.org).values_list("created_by__kind", flat=True)
        assert set(rows) == {"service"}
    assert with_key(rotated.json()["key"]).get("/api/v1/org").status_code == 200


@pytest.mark.parametrize(
    ("by", "role", "status"),
    [
        ("admin", "admin", 201),
        ("admin", "owner", 422),
        ("owner", "owner", 422),
        ("member", "viewer", 403),
    ],
)
def test_it_is_at_most_as_strong_as_its_maker_and_never_an_owner(
    world: World, by: str, role: str, status: int
) -> None:
    assert make(world, by, role).status_code == status


def test_it_cannot_be_made_an_owner_later(world: World) -> None:
    account = make(world).json()
    owner = world.client("owner")
    change = owner.patch(f"/api/v1/org/members/{account['id']}", {"role": "owner"})
    assert change.json()["errors"][0]["code"] == "service_account"
    transfer = owner.post("/api/v1/org/transfer", {"member_id": account["id"]})
    assert transfer.status_code == 404


def test_a_key_of_someone_elses_kind_is_not_made_here(world: World, stranger: World) -> None:
    account = make(world).json()
    with world.scope():
        person = Membership.objects.for_org(world.org).get(user=world.users[Role.VIEWER])
    assert key_of(world, str(person.pk)).status_code == 404
    assert key_of(stranger, account["id"], "owner").status_code == 404
    assert key_of(world, account["id"], "viewer").status_code == 403
    wide = key_of(world, account["id"], scopes=["audit.view"])
    assert wide.json()["errors"][0]["field"] == "scopes.0"


def test_programs_do_not_count_as_members(world: World) -> None:
    world.client("owner").patch("/api/v1/org", {"max_members": 4})
    assert make(world).status_code == 201
