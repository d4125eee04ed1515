"""Sessions of a user can be listed and ended. Ending a session takes effect at once."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from apps.auth.models import RefreshFamily, User
from apps.orgs.roles import Role
from tests.world import World, client_for

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Firefox/142.0"


def list_sessions(client: APIClient) -> Any:
    answer = client.get("/api/v1/auth/sessions")
    assert answer.status_code == 200
    return answer.json()["results"]


def test_a_session_shows_its_device_and_its_last_ip_address(db: None) -> None:
    client = APIClient(HTTP_USER_AGENT=FIREFOX)
    User.objects.create_user(email="ada@example.com", password="correct horse battery")
    body = {"email": "ada@example.com", "password": "correct horse battery"}
    access = client.post("/api/v1/auth/login", body, REMOTE_ADDR="192.0.2.1").json()["access"]
    headers: dict[str, Any] = {"HTTP_X_REQUESTED_WITH": "drover", "REMOTE_ADDR": "198.51.100.9"}
    client.post("/api/v1/auth/refresh", {}, **headers)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    (row,) = list_sessions(client)
    assert (row["user_agent"], row["ip"], row["method"]) == (FIREFOX, "198.51.100.9", "password")
    assert row["current"] is True


def test_ending_a_session_takes_effect_at_once_and_keeps_other_sessions(world: World) -> None:
    ada = world.users[Role.OWNER]
    first, second = client_for(ada, world.org), client_for(ada, world.org)
    other = next(row for row in list_sessions(first) if not row["current"])
    assert first.delete(f"/api/v1/auth/sessions/{other['id']}").status_code == 204
    assert second.get("/api/v1/org").status_code == 401
    assert len(list_sessions(first)) == 1


def test_ending_all_sessions_keeps_the_callers_session_by_default(world: World) -> None:
    ada = world.users[Role.OWNER]
    clients = [client_for(ada, world.org) for _ in range(3)]
    assert clients[0].delete("/api/v1/auth/sessions").status_code == 204
    assert [c.get("/api/v1/org").status_code for c in clients] == [200, 401, 401]
    assert clients[0].delete("/api/v1/auth/sessions?current=true").status_code == 204
    assert clients[0].get("/api/v1/org").status_code == 401


def test_ending_a_session_of_another_user_gets_404(world: World) -> None:
    client_for(world.users[Role.ADMIN], world.org)
    other_session = RefreshFamily.objects.get(user=world.users[Role.ADMIN])
    own_client = client_for(world.users[Role.OWNER], world.org)
    assert own_client.delete(f"/api/v1/auth/sessions/{other_session.pk}").status_code == 404
    assert [row["current"] for row in list_sessions(own_client)] == [True]
    other_session.refresh_from_db()
    assert other_session.revoked_at is None


def test_a_session_of_one_orgs_identity_provider_cannot_use_the_account_or_other_orgs(
    world: World, stranger: World
) -> None:
    from apps.auth import sessions
    from apps.orgs.models import Membership
    from apps.orgs.sign_in import responses as sign_in

    ada = world.users[Role.MEMBER]
    with stranger.scope():
        Membership.unscoped.create(org=stranger.org, user=ada, role=Role.OWNER)
    session = sessions.begin(user=ada, ip=None, user_agent="", method="sso", only_org=world.org.pk)
    body = sign_in.login_response(session)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access']}")
    assert [org["id"] for org in body["organizations"]] == [world.org.pk]
    assert client.get("/api/v1/org").json()["id"] == str(world.org.pk)
    assert len(client.get("/api/v1/auth/me").json()["organizations"]) == 1
    switch = client.post("/api/v1/auth/switch", {"org": str(stranger.org.pk)})
    assert switch.status_code == 404
    for method, path in (
        ("get", "auth/sessions"),
        ("delete", "auth/sessions"),
        ("post", "auth/password/change"),
        ("post", "auth/email/change"),
        ("patch", "auth/me"),
        ("post", "organizations"),
    ):
        refused = getattr(client, method)(f"/api/v1/{path}", {})
        assert (refused.status_code, refused.json()["code"]) == (403, "session_limited"), path


def test_a_limited_session_with_a_token_for_another_org_gets_401(
    world: World, stranger: World
) -> None:
    """The token names an org, but the session's limit is read from the database."""
    from apps.auth import sessions, tokens
    from apps.orgs.models import Membership

    ada = world.users[Role.MEMBER]
    with stranger.scope():
        Membership.unscoped.create(org=stranger.org, user=ada, role=Role.OWNER)
    session = sessions.begin(user=ada, ip=None, user_agent="", only_org=world.org.pk)
    claims = tokens.Claims(ada.pk, stranger.org.pk, session.id, ada.token_version)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(claims)}")
    assert client.get("/api/v1/org").status_code == 401
