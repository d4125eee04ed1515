"""Register, log in, refresh tokens, switch organizations and log out with the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.auth.models import LoginAttempt, RefreshFamily, RefreshToken, StreamTicket, User
from apps.live.tickets import LIFETIME
from apps.orgs.models import AuditEvent, Membership
from apps.orgs.roles import Role
from tests.world import World, client_for, make_world

PASSWORD = "correct horse battery staple"
DASHBOARD_HEADERS: dict[str, Any] = {"HTTP_X_REQUESTED_WITH": "drover"}


def register(client: APIClient, email: str, **fields: Any) -> Any:
    body = {"email": email, "password": PASSWORD, "organization_name": "Analytics", **fields}
    return client.post("/api/v1/auth/register", body)


def log_in(client: APIClient, email: str, password: str = PASSWORD, **headers: Any) -> Any:
    return client.post("/api/v1/auth/login", {"email": email, "password": password}, **headers)


def refresh(client: APIClient, body: dict[str, Any] | None = None) -> Any:
    return client.post("/api/v1/auth/refresh", body or {}, **DASHBOARD_HEADERS)


def get_me(access: str) -> Any:
    return APIClient().get("/api/v1/auth/me", HTTP_AUTHORIZATION=f"Bearer {access}")


@pytest.fixture
def registration(db: None) -> tuple[APIClient, dict[str, Any]]:
    """Register Ada, and return her client and the body of the response."""
    client = APIClient()
    answer = register(client, "ada@example.com")
    assert answer.status_code == 201, answer.content
    return client, answer.json()


def test_registering_creates_a_user_who_owns_a_new_organization(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    body = registration[1]
    assert body["user"]["email"] == "ada@example.com"
    assert body["organization"]["name"] == "Analytics"
    assert body["organization"]["role"] == "owner"
    assert [org["id"] for org in body["organizations"]] == [body["organization"]["id"]]
    assert get_me(body["access"]).json()["organization"] == body["organization"]


def test_the_refresh_token_is_only_in_a_cookie_that_scripts_and_other_sites_cannot_use(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    client, body = registration
    cookie = client.cookies["drover_refresh"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["path"] == "/api/v1/auth/"
    assert cookie.value not in str(body)
    assert bytes(RefreshToken.objects.get().digest) != cookie.value.encode()


def test_registering_a_used_address_is_refused_without_repeating_the_address(db: None) -> None:
    register(APIClient(), "ada@example.com")
    answer = register(APIClient(), " ADA@example.com ")
    assert answer.status_code == 409
    assert "ada@" not in answer.content.decode().lower()
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"password": "short"}, "password"),
        ({"password": "p" * 1025}, "password"),
        ({"password": "ada.lovelace@example.com"}, "password"),
        ({"email": "no address"}, "email"),
        ({"email": "\u017fomeone@example.com"}, "email"),
        ({"organization_name": ""}, "organization_name"),
        ({"organization_name": "x" * 121}, "organization_name"),
        ({"is_staff": True}, "is_staff"),
        ({"name": "a\0b"}, "name"),
    ],
)
def test_an_invalid_registration_names_the_field_and_creates_nothing(
    db: None, change: dict[str, Any], field: str
) -> None:
    answer = register(APIClient(), **{"email": "ada.lovelace@example.com", **change})
    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not User.objects.exists()


def test_logging_in_requires_the_right_password(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    assert log_in(APIClient(), "ADA@example.com").status_code == 200
    wrong = log_in(APIClient(), "ada@example.com", "not the password")
    unknown = log_in(APIClient(), "nobody@example.com", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content


def test_a_log_in_hashes_as_often_for_an_unknown_address_as_for_a_known_one(
    registration: tuple[APIClient, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import bcrypt

    hash_costs: list[int] = []
    hashpw = bcrypt.hashpw

    def record_cost(password: bytes, salt: bytes) -> bytes:
        hash_costs.append(int(salt.split(b"$")[2]))
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", record_cost)
    log_in(APIClient(), "ada@example.com", "not the password")
    costs_of_known, hash_costs[:] = list(hash_costs), []
    log_in(APIClient(), "nobody@example.com", "not the password")
    assert hash_costs == costs_of_known
    assert len(costs_of_known) == 1


def test_a_disabled_user_can_neither_log_in_nor_use_a_session(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    client, body = registration
    User.objects.update(is_active=False)
    assert log_in(APIClient(), "ada@example.com").status_code == 401
    assert get_me(body["access"]).status_code == 401
    assert refresh(client).status_code == 401


def test_guessing_a_password_is_limited_but_its_owner_can_log_in_from_another_ip_address(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    for _ in range(5):
        assert log_in(APIClient(), "ada@example.com", "guess").status_code == 401
    refused = log_in(APIClient(), "ada@example.com", PASSWORD)
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 300
    from_other_address = log_in(APIClient(), "ada@example.com", REMOTE_ADDR="192.0.2.7")
    assert from_other_address.status_code == 200


def test_log_ins_to_many_accounts_from_one_ip_address_are_limited(db: None) -> None:
    answers = [log_in(APIClient(), f"user{n}@example.com", "guess") for n in range(31)]
    assert [answer.status_code for answer in answers] == [401] * 30 + [429]


def test_a_correct_password_resets_the_number_of_failed_attempts(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    LoginAttempt.objects.all().delete()
    for _ in range(3):
        log_in(APIClient(), "ada@example.com", "guess")
    assert log_in(APIClient(), "ada@example.com").status_code == 200
    assert not LoginAttempt.objects.filter(key__startswith="account:").exists()


def test_addresses_of_one_ipv6_network_count_as_one(db: None) -> None:
    from apps.auth.attempts import client_network

    assert (
        client_network("2001:db8::1")
        == client_network("2001:db8::ffff:2")
        != client_network("2001:db8:0:1::1")
    )
    assert client_network("::ffff:192.0.2.1") != client_network("::ffff:192.0.2.2")


def test_refreshing_rotates_the_cookie(registration: tuple[APIClient, dict[str, Any]]) -> None:
    client, body = registration
    old_cookie = client.cookies["drover_refresh"].value
    answer = refresh(client)
    assert answer.status_code == 200
    assert client.cookies["drover_refresh"].value != old_cookie
    assert get_me(answer.json()["access"]).status_code == 200
    assert answer.json()["user"] == body["user"]


def test_a_second_use_of_a_refresh_token_within_seconds_gets_an_access_token_and_no_cookie(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    client, _ = registration
    used = client.cookies["drover_refresh"].value
    refresh(client)
    second_tab = APIClient()
    second_tab.cookies["drover_refresh"] = used
    answer = refresh(second_tab)
    assert answer.status_code == 200
    assert "drover_refresh" not in answer.cookies
    assert refresh(client).status_code == 200


def test_a_later_second_use_of_a_refresh_token_ends_the_session(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    client, body = registration
    stolen = client.cookies["drover_refresh"].value
    refresh(client)
    RefreshToken.objects.filter(used_at__isnull=False).update(
        used_at=timezone.now() - timedelta(seconds=11)
    )
    thief = APIClient()
    thief.cookies["drover_refresh"] = stolen
    assert refresh(thief).status_code == 401
    assert refresh(client).status_code == 401
    assert get_me(body["access"]).status_code == 401
    assert RefreshFamily.objects.get().revoked_reason == "refresh token used twice"


@pytest.mark.parametrize("cookie", ["", "unknown", "x" * 5000, "\x7f"])
def test_an_unknown_refresh_token_gets_401(db: None, cookie: str) -> None:
    client = APIClient()
    client.cookies["drover_refresh"] = cookie
    assert refresh(client).status_code == 401


def test_an_expired_refresh_token_gets_401(registration: tuple[APIClient, dict[str, Any]]) -> None:
    RefreshToken.objects.update(expires_at=timezone.now())
    assert refresh(registration[0]).status_code == 401


def test_logging_out_ends_the_session_and_its_access_tokens_at_once(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    client, body = registration
    token = client.cookies["drover_refresh"].value
    assert client.post("/api/v1/auth/logout", **DASHBOARD_HEADERS).status_code == 204
    assert get_me(body["access"]).status_code == 401
    client.cookies["drover_refresh"] = token
    assert refresh(client).status_code == 401


@pytest.mark.parametrize("route", ["refresh", "logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"HTTP_X_REQUESTED_WITH": "XMLHttpRequest"},
        {**DASHBOARD_HEADERS, "HTTP_ORIGIN": "https://evil.example"},
        {**DASHBOARD_HEADERS, "HTTP_ORIGIN": "null"},
        {**DASHBOARD_HEADERS, "HTTP_SEC_FETCH_SITE": "cross-site"},
    ],
)
def test_another_site_cannot_use_the_cookie(
    registration: tuple[APIClient, dict[str, Any]], route: str, headers: dict[str, Any]
) -> None:
    client, body = registration
    answer = client.post(f"/api/v1/auth/{route}", {}, **headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == "cross_site"
    assert get_me(body["access"]).status_code == 200


def test_our_own_page_can_use_the_cookie(registration: tuple[APIClient, dict[str, Any]]) -> None:
    headers: dict[str, Any] = {
        **DASHBOARD_HEADERS,
        "HTTP_ORIGIN": "http://localhost",
        "HTTP_HOST": "localhost",
    }
    assert registration[0].post("/api/v1/auth/refresh", {}, **headers).status_code == 200


def test_another_site_cannot_log_a_browser_in(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    answer = log_in(APIClient(), "ada@example.com", HTTP_ORIGIN="https://evil.example")
    assert answer.status_code == 403


def add_member(world: World, user: User, role: Role = Role.VIEWER) -> None:
    with world.scope():
        Membership.unscoped.create(org=world.org, user=user, role=role)


def test_switching_returns_a_token_of_the_same_session_for_another_organization(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    _, body = registration
    other = make_world("Other")
    add_member(other, User.objects.get(email="ada@example.com"))
    answer = APIClient().post(
        "/api/v1/auth/switch",
        {"org": str(other.org.pk)},
        HTTP_AUTHORIZATION=f"Bearer {body['access']}",
    )
    assert answer.status_code == 200
    assert answer.json()["organization"]["name"] == "Other"
    assert answer.json()["organization"]["role"] == "viewer"
    assert len(answer.json()["organizations"]) == 2
    assert get_me(answer.json()["access"]).json()["organization"]["id"] == str(other.org.pk)
    assert get_me(body["access"]).json()["organization"]["name"] == "Analytics"


def test_switching_to_a_foreign_or_an_unknown_organization_gets_the_same_404(
    world: World, stranger: World
) -> None:
    answers = [
        world.client().post("/api/v1/auth/switch", {"org": str(org)})
        for org in (stranger.org.pk, uuid4())
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


def test_refreshing_for_a_foreign_organization_gets_404_and_the_token_stays_valid(
    registration: tuple[APIClient, dict[str, Any]], stranger: World
) -> None:
    client, _ = registration
    assert refresh(client, {"org": str(stranger.org.pk)}).status_code == 404
    assert not RefreshToken.objects.filter(used_at__isnull=False).exists()
    assert refresh(client).status_code == 200


def test_a_removed_member_loses_access_at_once(world: World) -> None:
    client = world.client(Role.MEMBER)
    assert client.get("/api/v1/org").status_code == 200
    with world.scope():
        Membership.objects.for_org(world.org).filter(role=Role.MEMBER).delete()
    assert client.get("/api/v1/org").status_code == 401
    removed = client.get("/api/v1/auth/me").json()
    assert (removed["organization"], removed["organizations"]) == (None, [])


def test_a_user_without_an_organization_can_log_in_and_create_one(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    body = registration[1]
    from apps.orgs.walls.scope import org_scope

    with org_scope(body["organization"]["id"]):
        Membership.unscoped.filter(org_id=body["organization"]["id"]).delete()
    answer = log_in(APIClient(), "ada@example.com").json()
    assert answer["organization"] is None
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer['access']}")
    refused = client.get("/api/v1/org")
    assert (refused.status_code, refused.json()["code"]) == (403, "no_organization")
    created = client.post("/api/v1/organizations", {"name": "Second"})
    assert created.status_code == 201
    assert created.json()["organization"]["role"] == "owner"
    assert get_me(created.json()["access"]).json()["organization"]["name"] == "Second"


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    this_client, body = registration
    other_client = APIClient()
    other_access = log_in(other_client, "ada@example.com").json()["access"]
    new_password = "staple battery horse correct"
    answer = this_client.post(
        "/api/v1/auth/password/change",
        {"current_password": PASSWORD, "new_password": new_password},
        HTTP_AUTHORIZATION=f"Bearer {body['access']}",
    )
    assert answer.status_code == 204
    assert get_me(body["access"]).status_code == 200
    assert get_me(other_access).status_code == 401
    assert refresh(other_client).status_code == 401
    assert refresh(this_client).status_code == 200
    assert log_in(APIClient(), "ada@example.com", new_password).status_code == 200


def test_a_wrong_current_password_gets_422_and_counts_as_a_failed_attempt(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    LoginAttempt.objects.all().delete()
    bearer: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {registration[1]['access']}"}
    body = {"current_password": "guess", "new_password": "staple battery horse"}
    answers = [
        APIClient().post("/api/v1/auth/password/change", body, **bearer).status_code
        for _ in range(6)
    ]
    assert answers == [422] * 5 + [429]


def test_users_can_change_their_name(world: World) -> None:
    answer = world.client(Role.VIEWER).patch("/api/v1/auth/me", {"name": "Vera 🦉"})
    assert answer.json()["user"]["name"] == "Vera 🦉"
    assert User.objects.get(pk=world.users[Role.VIEWER].pk).name == "Vera 🦉"


def test_a_stream_ticket_is_a_credential_of_its_session_and_works_once(world: World) -> None:
    from django.test import RequestFactory
    from rest_framework.exceptions import AuthenticationFailed

    from apps.live import tickets

    ticket = world.client(Role.VIEWER).post("/api/v1/auth/stream-ticket").json()["ticket"]
    request = RequestFactory().get("/api/v1/events", {"ticket": ticket})
    credential = tickets.read_credential(request)
    assert (credential.org_id, credential.user_id) == (
        world.org.pk,
        world.users[Role.VIEWER].pk,
    )
    with pytest.raises(AuthenticationFailed):
        tickets.read_credential(request)


def test_a_stream_ticket_expires(world: World) -> None:
    from apps.live import tickets

    ticket = world.client(Role.VIEWER).post("/api/v1/auth/stream-ticket").json()["ticket"]
    StreamTicket.objects.update(expires_at=timezone.now() - LIFETIME)
    assert tickets.redeem(ticket) is None


def test_a_password_is_stored_neither_in_the_clear_nor_in_the_audit_log(
    registration: tuple[APIClient, dict[str, Any]], world: World
) -> None:
    assert PASSWORD not in User.objects.get(email="ada@example.com").password
    from apps.orgs.walls.scope import org_scope

    with org_scope(registration[1]["organization"]["id"]):
        events = list(AuditEvent.unscoped.values())
    assert events
    assert PASSWORD not in str(events)


def test_a_token_signed_with_another_key_or_algorithm_gets_401(world: World) -> None:
    import jwt

    claims = {
        "sub": str(world.users[Role.OWNER].pk),
        "org": str(world.org.pk),
        "sid": str(uuid4()),
        "tv": 1,
        "token_type": "access",
        "exp": 4102444800,
        "jti": "x",
        "iss": "drover",
    }
    assert (
        get_me(jwt.encode(claims, "another key of thirty-two bytes...", "HS256")).status_code == 401
    )
    assert get_me(jwt.encode(claims, "", "none")).status_code == 401
    assert client_for(world.users[Role.OWNER], world.org).get("/api/v1/auth/me").status_code == 200


def test_ended_and_expired_sessions_are_deleted_and_active_ones_are_not(
    registration: tuple[APIClient, dict[str, Any]],
) -> None:
    from apps.auth import sessions

    log_in(APIClient(), "ada@example.com")
    log_in(APIClient(), "ada@example.com")
    long_ago = timezone.now() - timedelta(days=40)
    first, second, _ = RefreshFamily.objects.order_by("pk")
    RefreshFamily.objects.filter(pk=first.pk).update(revoked_at=long_ago)
    RefreshFamily.objects.filter(pk=second.pk).update(last_used_at=long_ago)
    RefreshToken.objects.filter(family=second).update(expires_at=long_ago)
    sessions.delete_ended_sessions(timezone.now() - timedelta(days=30))
    assert RefreshFamily.objects.count() == 1
    assert refresh(registration[0]).status_code == 401
