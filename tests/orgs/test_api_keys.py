"""API keys never have more permissions than their creator, are shown once, and can be revoked at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import bcrypt
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.auth import keys
from apps.orgs.models import ApiKey, AuditEvent, Domain, Membership
from apps.orgs.roles import Role
from tests.world import World


def create_key(world: World, by: Role = Role.ADMIN, **fields: Any) -> Any:
    body = {"name": "loader", "role": "viewer", **fields}
    return world.client(by).post("/api/v1/org/api-keys", body)


def key_client(text: str, header: str = "Authorization") -> APIClient:
    client = APIClient()
    if header == "X-API-Key":
        client.credentials(HTTP_X_API_KEY=text)
    else:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def test_a_key_is_shown_once_and_stored_as_a_hash(world: World) -> None:
    key = create_key(world).json()
    listed = world.client(Role.ADMIN).get("/api/v1/org/api-keys")
    secret = key["key"][17:60]  # between the prefix and the checksum
    assert key["prefix"] in listed.content.decode()
    assert secret not in listed.content.decode()
    with world.scope():
        row = ApiKey.unscoped.values().get()
        events = list(AuditEvent.unscoped.values())
    assert row["hash"].startswith("$2b$")
    assert secret not in str(row) + str(events)


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_has_access_to_its_org_with_its_role(world: World, header: str) -> None:
    client = key_client(create_key(world, role="viewer").json()["key"], header)
    profile = client.get("/api/v1/auth/me").json()
    assert profile["organization"]["id"] == str(world.org.pk)
    assert profile["organization"]["role"] == "viewer"
    assert client.post("/api/v1/org/domains", {"name": "x"}).status_code == 403


def test_a_key_can_read_its_own_permissions(world: World) -> None:
    scoped_client = key_client(
        create_key(world, role="admin", scopes=["read", "pipelines.run"]).json()["key"]
    )
    assert scoped_client.get("/api/v1/auth/me").json()["organization"]["permissions"] == [
        "pipelines.run",
        "read",
    ]
    domain = world.client(Role.ADMIN).post("/api/v1/org/domains", {"name": "Marketing"}).json()
    domain_client = key_client(
        create_key(world, role="member", domain_id=domain["id"]).json()["key"]
    )
    organization = domain_client.get("/api/v1/auth/me").json()["organization"]
    assert organization["permissions"] == ["read"]
    assert "pipelines.run" in organization["domains"][0]["permissions"]


def test_bcrypt_is_called_only_for_the_first_request_with_a_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = key_client(create_key(world).json()["key"])
    client.get("/api/v1/org")
    calls: list[bytes] = []
    checkpw = bcrypt.checkpw

    def record_call(password: bytes, hashed: bytes) -> bool:
        calls.append(password)
        return checkpw(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", record_call)
    assert client.get("/api/v1/org").status_code == 200
    assert calls == []
    keys._verified_keys._expiry_times.clear()
    client.get("/api/v1/org")
    assert len(calls) == 1


def test_bcrypt_is_not_called_for_a_wrong_secret_with_a_known_prefix(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = create_key(world).json()["key"]
    without_checksum = text.rpartition("_")[0]
    last_character = "A" if without_checksum[-1] != "A" else "B"
    forged = without_checksum[:-1] + last_character
    forged = f"{forged}_{keys._checksum(forged)}"
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: pytest.fail("bcrypt was called"))
    assert key_client(forged).get("/api/v1/org").status_code == 401


@pytest.mark.parametrize("text", ["drv_", "drv_x_y_z", "drv_" + "0" * 70, "drv_\u00e9", "x" * 9000])
def test_a_malformed_key_gets_401(world: World, text: str) -> None:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=text)
    assert client.get("/api/v1/org").status_code == 401


def test_a_revoked_key_is_rejected_at_once(world: World) -> None:
    key = create_key(world).json()
    client = key_client(key["key"])
    assert client.get("/api/v1/org").status_code == 200
    path = f"/api/v1/org/api-keys/{key['id']}"
    assert world.client(Role.ADMIN).delete(path).status_code == 204
    assert client.get("/api/v1/org").status_code == 401
    assert world.client(Role.ADMIN).delete(path).status_code == 404
    revoked = world.client(Role.ADMIN).get("/api/v1/org/api-keys", {"revoked": "true"}).json()
    assert [row["id"] for row in revoked["results"]] == [key["id"]]


def test_an_expired_key_gets_401(world: World) -> None:
    soon = timezone.now() + timedelta(hours=1)
    key = create_key(world, expires_at=soon.isoformat()).json()
    client = key_client(key["key"])
    assert client.get("/api/v1/org").status_code == 200
    with world.scope():
        ApiKey.unscoped.update(expires_at=timezone.now())
    assert client.get("/api/v1/org").status_code == 401


def test_a_key_loses_permissions_when_its_creator_gets_a_lower_role(world: World) -> None:
    client = key_client(create_key(world, role="admin").json()["key"])
    assert client.patch("/api/v1/org", {"name": "One"}).status_code == 200
    assert client.get("/api/v1/org/invitations").status_code == 200
    with world.scope():
        membership = Membership.objects.for_org(world.org).filter(user=world.users[Role.ADMIN])
        membership.update(role=Role.VIEWER)
    assert client.patch("/api/v1/org", {"name": "Two"}).status_code == 403
    assert client.get("/api/v1/org/invitations").status_code == 403


@pytest.mark.parametrize(
    ("by", "change", "field"),
    [
        (Role.MEMBER, {"role": "admin"}, "role"),
        (Role.ADMIN, {"role": "owner"}, "role"),
        (Role.ADMIN, {"role": "viewer", "scopes": ["pipelines.run"]}, "scopes.0"),
        (Role.ADMIN, {"scopes": ["everything"]}, "scopes.0"),
        (Role.ADMIN, {"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        (Role.ADMIN, {"expires_at": "soon"}, "expires_at"),
        (Role.ADMIN, {"domain_id": str(uuid4())}, "domain_id"),
        (Role.ADMIN, {"domain_id": "here"}, "domain_id"),
        (Role.ADMIN, {"name": ""}, "name"),
        (Role.ADMIN, {"prefix": "mine"}, "prefix"),
    ],
)
def test_invalid_settings_of_a_new_key_are_rejected_with_the_name_of_the_field(
    world: World, by: Role, change: dict[str, Any], field: str
) -> None:
    answer = create_key(world, by, **change)
    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_domain_of_another_org_gets_the_same_error_as_an_unknown_domain(
    world: World, stranger: World
) -> None:
    with stranger.scope():
        domain_of_stranger = Domain.unscoped.create(org=stranger.org, name="theirs").pk
    foreign = create_key(world, domain_id=str(domain_of_stranger))
    unknown = create_key(world, domain_id=str(uuid4()))
    assert foreign.status_code == unknown.status_code == 422
    assert foreign.content == unknown.content


def test_a_key_of_a_removed_member_stays_revoked_when_the_member_returns(
    world: World,
) -> None:
    client = key_client(create_key(world, by=Role.MEMBER).json()["key"])
    creator = world.users[Role.MEMBER]
    with world.scope():
        member = Membership.objects.for_org(world.org).get(user=creator)
    assert client.get("/api/v1/org").status_code == 200
    removed = world.client(Role.ADMIN).delete(f"/api/v1/org/members/{member.pk}")
    assert removed.status_code == 204
    assert client.get("/api/v1/org").status_code == 401
    with world.scope():
        Membership.unscoped.create(org=world.org, user=creator, role=Role.OWNER)
    assert client.get("/api/v1/org").status_code == 401


def test_a_key_has_only_the_permissions_of_its_scopes(world: World) -> None:
    text = create_key(world, role="admin", scopes=["read"]).json()["key"]
    assert key_client(text).get("/api/v1/org").status_code == 200
    assert key_client(text).patch("/api/v1/org", {"name": "x"}).status_code == 403


def test_viewers_cannot_create_keys_and_members_see_only_their_own(world: World) -> None:
    assert create_key(world, Role.VIEWER).status_code == 403
    own_key = create_key(world, Role.MEMBER).json()
    key_of_admin = create_key(world, Role.ADMIN).json()
    listed = world.client(Role.MEMBER).get("/api/v1/org/api-keys").json()["results"]
    assert [row["id"] for row in listed] == [own_key["id"]]
    client = world.client(Role.MEMBER)
    assert client.delete(f"/api/v1/org/api-keys/{key_of_admin['id']}").status_code == 404
    assert client.delete(f"/api/v1/org/api-keys/{own_key['id']}").status_code == 204
    assert world.client(Role.ADMIN).get("/api/v1/org/api-keys").json()["count"] == 2


def test_a_key_cannot_create_or_rotate_keys(world: World) -> None:
    key = create_key(world, role="admin").json()
    client = key_client(key["key"])
    refused = client.post("/api/v1/org/api-keys", {"name": "child", "role": "viewer"})
    assert (refused.status_code, refused.json()["code"]) == (403, "session_needed")
    assert client.post(f"/api/v1/org/api-keys/{key['id']}/rotate").status_code == 403


def test_after_a_rotation_with_a_grace_period_both_keys_work_until_it_ends(world: World) -> None:
    old_key = create_key(world, role="member").json()
    path = f"/api/v1/org/api-keys/{old_key['id']}/rotate"
    new_key = world.client(Role.ADMIN).post(path, {"grace_seconds": 60}).json()
    assert key_client(old_key["key"]).get("/api/v1/org").status_code == 200
    assert key_client(new_key["key"]).get("/api/v1/org").status_code == 200
    assert new_key["role"] == "member"
    with world.scope():
        row = ApiKey.unscoped.get(pk=old_key["id"])
        assert row.expires_at is not None
        assert timedelta(seconds=50) < row.expires_at - timezone.now() <= timedelta(seconds=60)
        ApiKey.unscoped.filter(pk=old_key["id"]).update(expires_at=timezone.now())
    assert key_client(old_key["key"]).get("/api/v1/org").status_code == 401
    assert key_client(new_key["key"]).get("/api/v1/org").status_code == 200


def test_a_rotation_without_a_grace_period_revokes_the_old_key(world: World) -> None:
    old_key = create_key(world).json()
    new_key = world.client(Role.ADMIN).post(f"/api/v1/org/api-keys/{old_key['id']}/rotate").json()
    assert key_client(old_key["key"]).get("/api/v1/org").status_code == 401
    assert key_client(new_key["key"]).get("/api/v1/org").status_code == 200


@pytest.mark.parametrize("seconds", [-1, 604801, 1.5, "soon", 10**26])
def test_an_invalid_grace_period_is_rejected(world: World, seconds: Any) -> None:
    old_key = create_key(world).json()
    path = f"/api/v1/org/api-keys/{old_key['id']}/rotate"
    answer = world.client(Role.ADMIN).post(path, {"grace_seconds": seconds})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "grace_seconds"


def test_deleting_a_domain_revokes_the_keys_limited_to_it(world: World) -> None:
    client = world.client(Role.ADMIN)
    domain = client.post("/api/v1/org/domains", {"name": "Marketing"}).json()["id"]
    text = create_key(world, domain_id=domain).json()["key"]
    assert key_client(text).get("/api/v1/org").status_code == 200
    client.delete(f"/api/v1/org/domains/{domain}")
    assert key_client(text).get("/api/v1/org").status_code == 401
