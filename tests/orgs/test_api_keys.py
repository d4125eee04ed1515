"""API keys: never more permissions than their maker has, shown once, revoked at once."""

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


def create(world: World, by: Role = Role.ADMIN, **more: Any) -> Any:
    body = {"name": "loader", "role": "viewer", **more}
    return world.client(by).post("/api/v1/org/api-keys", body)


def with_key(text: str, header: str = "Authorization") -> APIClient:
    client = APIClient()
    if header == "X-API-Key":
        client.credentials(HTTP_X_API_KEY=text)
    else:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def test_a_key_is_shown_once_and_kept_as_a_hash(world: World) -> None:
    made = create(world).json()
    listed = world.client(Role.ADMIN).get("/api/v1/org/api-keys")
    secret = made["key"][17:60]  # between prefix and checksum
    assert made["prefix"] in listed.content.decode()
    assert secret not in listed.content.decode()
    with world.scope():
        row = ApiKey.unscoped.values().get()
        trail = list(AuditEvent.unscoped.values())
    assert row["hash"].startswith("$2b$")
    assert secret not in str(row) + str(trail)


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_speaks_for_its_org_with_its_role(world: World, header: str) -> None:
    client = with_key(create(world, role="viewer").json()["key"], header)
    me = client.get("/api/v1/auth/me").json()
    assert me["organization"]["id"] == str(world.org.pk)
    assert me["organization"]["role"] == "viewer"
    assert client.post("/api/v1/org/domains", {"name": "x"}).status_code == 403


def test_a_key_sees_its_own_permissions(world: World) -> None:
    scoped = with_key(create(world, role="admin", scopes=["read", "pipelines.run"]).json()["key"])
    assert scoped.get("/api/v1/auth/me").json()["organization"]["permissions"] == [
        "pipelines.run",
        "read",
    ]
    domain = world.client(Role.ADMIN).post("/api/v1/org/domains", {"name": "Marketing"}).json()
    limited = with_key(create(world, role="member", domain_id=domain["id"]).json()["key"])
    organization = limited.get("/api/v1/auth/me").json()["organization"]
    assert organization["permissions"] == ["read"]
    assert "pipelines.run" in organization["domains"][0]["permissions"]


def test_later_calls_with_a_key_cost_no_bcrypt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = with_key(create(world).json()["key"])
    client.get("/api/v1/org")
    calls: list[bytes] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        calls.append(password)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    assert client.get("/api/v1/org").status_code == 200
    assert calls == []
    keys._verified_keys._until.clear()
    client.get("/api/v1/org")
    assert len(calls) == 1


def test_a_wrong_secret_with_a_known_prefix_costs_no_bcrypt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = create(world).json()["key"]
    body = text.rpartition("_")[0]
    forged = body[:-1] + ("A" if body[-1] != "A" else "B")
    forged = f"{forged}_{keys._checksum(forged)}"
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: pytest.fail("bcrypt was asked"))
    assert with_key(forged).get("/api/v1/org").status_code == 401


@pytest.mark.parametrize("text", ["drv_", "drv_x_y_z", "drv_" + "0" * 70, "drv_\u00e9", "x" * 9000])
def test_a_malformed_key_answers_401(world: World, text: str) -> None:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=text)
    assert client.get("/api/v1/org").status_code == 401


def test_revocation_holds_at_once(world: World) -> None:
    made = create(world).json()
    client = with_key(made["key"])
    assert client.get("/api/v1/org").status_code == 200
    path = f"/api/v1/org/api-keys/{made['id']}"
    assert world.client(Role.ADMIN).delete(path).status_code == 204
    assert client.get("/api/v1/org").status_code == 401
    assert world.client(Role.ADMIN).delete(path).status_code == 404
    revoked = world.client(Role.ADMIN).get("/api/v1/org/api-keys", {"revoked": "true"}).json()
    assert [row["id"] for row in revoked["results"]] == [made["id"]]


def test_an_expired_key_answers_401(world: World) -> None:
    soon = timezone.now() + timedelta(hours=1)
    made = create(world, expires_at=soon.isoformat()).json()
    client = with_key(made["key"])
    assert client.get("/api/v1/org").status_code == 200
    with world.scope():
        ApiKey.unscoped.update(expires_at=timezone.now())
    assert client.get("/api/v1/org").status_code == 401


def test_a_key_falls_with_its_makers_role(world: World) -> None:
    client = with_key(create(world, role="admin").json()["key"])
    assert client.patch("/api/v1/org", {"name": "One"}).status_code == 200
    assert client.get("/api/v1/org/invitations").status_code == 200
    with world.scope():
        mine = Membership.objects.for_org(world.org).filter(user=world.users[Role.ADMIN])
        mine.update(role=Role.VIEWER)
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
def test_a_key_that_cannot_be_names_the_field(
    world: World, by: Role, change: dict[str, Any], field: str
) -> None:
    answer = create(world, by, **change)
    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_domain_of_another_org_looks_unknown(world: World, stranger: World) -> None:
    with stranger.scope():
        theirs = Domain.unscoped.create(org=stranger.org, name="theirs").pk
    foreign = create(world, domain_id=str(theirs))
    unknown = create(world, domain_id=str(uuid4()))
    assert foreign.status_code == unknown.status_code == 422
    assert foreign.content == unknown.content


def test_a_key_ends_with_its_makers_membership_and_does_not_come_back_with_them(
    world: World,
) -> None:
    client = with_key(create(world, by=Role.MEMBER).json()["key"])
    maker = world.users[Role.MEMBER]
    with world.scope():
        member = Membership.objects.for_org(world.org).get(user=maker)
    assert client.get("/api/v1/org").status_code == 200
    removed = world.client(Role.ADMIN).delete(f"/api/v1/org/members/{member.pk}")
    assert removed.status_code == 204
    assert client.get("/api/v1/org").status_code == 401
    with world.scope():
        Membership.unscoped.create(org=world.org, user=maker, role=Role.OWNER)
    assert client.get("/api/v1/org").status_code == 401


def test_scopes_narrow_a_key(world: World) -> None:
    text = create(world, role="admin", scopes=["read"]).json()["key"]
    assert with_key(text).get("/api/v1/org").status_code == 200
    assert with_key(text).patch("/api/v1/org", {"name": "x"}).status_code == 403


def test_viewers_have_no_keys_and_members_see_their_own(world: World) -> None:
    assert create(world, Role.VIEWER).status_code == 403
    mine = create(world, Role.MEMBER).json()
    others = create(world, Role.ADMIN).json()
    seen = world.client(Role.MEMBER).get("/api/v1/org/api-keys").json()["results"]
    assert [row["id"] for row in seen] == [mine["id"]]
    client = world.client(Role.MEMBER)
    assert client.delete(f"/api/v1/org/api-keys/{others['id']}").status_code == 404
    assert client.delete(f"/api/v1/org/api-keys/{mine['id']}").status_code == 204
    assert world.client(Role.ADMIN).get("/api/v1/org/api-keys").json()["count"] == 2


def test_a_key_cannot_make_or_rotate_keys(world: World) -> None:
    made = create(world, role="admin").json()
    client = with_key(made["key"])
    refused = client.post("/api/v1/org/api-keys", {"name": "child", "role": "viewer"})
    assert (refused.status_code, refused.json()["code"]) == (403, "session_needed")
    assert client.post(f"/api/v1/org/api-keys/{made['id']}/rotate").status_code == 403


def test_rotation_with_grace_lets_both_keys_work_for_a_while(world: World) -> None:
    old = create(world, role="member").json()
    path = f"/api/v1/org/api-keys/{old['id']}/rotate"
    new = world.client(Role.ADMIN).post(path, {"grace_seconds": 60}).json()
    assert with_key(old["key"]).get("/api/v1/org").status_code == 200
    assert with_key(new["key"]).get("/api/v1/org").status_code == 200
    assert new["role"] == "member"
    with world.scope():
        row = ApiKey.unscoped.get(pk=old["id"])
        assert row.expires_at is not None
        assert timedelta(seconds=50) < row.expires_at - timezone.now() <= timedelta(seconds=60)
        ApiKey.unscoped.filter(pk=old["id"]).update(expires_at=timezone.now())
    assert with_key(old["key"]).get("/api/v1/org").status_code == 401
    assert with_key(new["key"]).get("/api/v1/org").status_code == 200


def test_rotation_without_grace_ends_the_old_key(world: World) -> None:
    old = create(world).json()
    new = world.client(Role.ADMIN).post(f"/api/v1/org/api-keys/{old['id']}/rotate").json()
    assert with_key(old["key"]).get("/api/v1/org").status_code == 401
    assert with_key(new["key"]).get("/api/v1/org").status_code == 200


@pytest.mark.parametrize("seconds", [-1, 604801, 1.5, "soon", 10**26])
def test_a_grace_that_cannot_be_is_refused(world: World, seconds: Any) -> None:
    old = create(world).json()
    path = f"/api/v1/org/api-keys/{old['id']}/rotate"
    answer = world.client(Role.ADMIN).post(path, {"grace_seconds": seconds})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "grace_seconds"


def test_deleting_a_domain_ends_the_keys_limited_to_it(world: World) -> None:
    client = world.client(Role.ADMIN)
    domain = client.post("/api/v1/org/domains", {"name": "Marketing"}).json()["id"]
    text = create(world, domain_id=domain).json()["key"]
    assert with_key(text).get("/api/v1/org").status_code == 200
    client.delete(f"/api/v1/org/domains/{domain}")
    assert with_key(text).get("/api/v1/org").status_code == 401
