"""Second factors over HTTP: codes, recovery codes, and who may change factors. For passkeys see tests/journeys."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from apps.auth.exceptions import PasskeyRejected
from apps.auth.models import Challenge, RefreshFamily, User
from tests import mailbox
from tests.world import client_for, make_world

PASSWORD = "correct horse battery staple"
CURRENT_PASSWORD = {"current_password": PASSWORD}


NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def freeze_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock, because a time step of 30 s must not end between computing a code and sending it."""
    monkeypatch.setattr(totp, "time", SimpleNamespace(time=lambda: NOW))


def code_of(secret: str, *, steps: int = 0) -> str:
    """Return the code of the time step of 30 s that is `steps` after the current one, or before it if negative."""
    return totp.format_hotp_value(totp.hotp_value(secret, NOW // 30 + steps))


def log_in(**fields: Any) -> Any:
    body = {"email": "ada@example.com", "password": PASSWORD, **fields}
    return APIClient().post("/api/v1/auth/login", body)


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user(email="ada@example.com", password=PASSWORD)


@pytest.fixture
def client(ada: User) -> APIClient:
    return client_for(ada, make_world().org)


def set_up_app(client: APIClient) -> tuple[str, list[str]]:
    """Set up an authenticator app and return its secret and the recovery codes."""
    start = client.post("/api/v1/auth/factors/totp", CURRENT_PASSWORD)
    assert start.status_code == 200, start.content
    secret = start.json()["secret"]
    body = {"challenge": start.json()["challenge"], "code": code_of(secret, steps=-1)}
    confirmed = client.post("/api/v1/auth/factors/totp/confirm", body)
    assert confirmed.status_code == 200, confirmed.content
    return secret, confirmed.json()["recovery_codes"]


def test_setting_up_an_app_shows_recovery_codes_once_ends_other_sessions_and_sends_a_mail(
    ada: User, client: APIClient
) -> None:
    other = client_for(ada, make_world().org)
    secret, codes = set_up_app(client)
    assert len(set(codes)) == 10
    assert other.get("/api/v1/auth/me").status_code == 401
    me = client.get("/api/v1/auth/me").json()
    assert me["user"]["second_factor"] is True
    listed = client.get("/api/v1/auth/factors").json()
    assert (listed["recovery_codes"], listed["passkeys"]) == (10, [])
    assert listed["totp_since"]
    assert secret not in str(listed)
    (notice,) = mailbox.deliver()
    assert notice.subject == "Your second factor was changed"
    assert not Challenge.objects.exists()


def test_the_secrets_are_encrypted_in_the_database(client: APIClient) -> None:
    secret, codes = set_up_app(client)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert not [code for code in codes if code in stored]


def test_logging_in_requires_a_code_once_an_app_is_set_up(client: APIClient) -> None:
    secret, _ = set_up_app(client)
    without_code = log_in()
    assert without_code.status_code == 401
    assert without_code.json()["code"] == "second_factor_needed"
    assert without_code.json()["methods"] == ["totp", "recovery_code"]
    assert log_in(mfa_code="000000").json()["code"] == "wrong_code"
    with_code = log_in(mfa_code=code_of(secret))
    assert with_code.status_code == 200
    assert with_code.json()["user"]["second_factor"] is True


def test_without_the_password_nothing_about_factors_is_revealed(client: APIClient) -> None:
    set_up_app(client)
    body = {"email": "ada@example.com", "password": "wrong", "mfa_code": "000000"}
    answer = APIClient().post("/api/v1/auth/login", body)
    assert answer.json()["code"] == "unauthenticated"


def test_a_code_can_be_used_only_once(client: APIClient) -> None:
    secret, _ = set_up_app(client)
    code = code_of(secret)
    assert log_in(mfa_code=code).status_code == 200
    assert log_in(mfa_code=code).json()["code"] == "wrong_code"
    assert log_in(mfa_code=code_of(secret, steps=1)).status_code == 200
    assert log_in(mfa_code=code_of(secret, steps=-1)).json()["code"] == "wrong_code"


def test_a_recovery_code_can_be_used_only_once(client: APIClient) -> None:
    _, codes = set_up_app(client)
    code_with_space = f"{codes[0][:6]} {codes[0][6:]}"
    assert log_in(mfa_code=code_with_space).status_code == 200
    assert log_in(mfa_code=codes[0]).json()["code"] == "wrong_code"
    assert log_in(mfa_code=codes[1]).status_code == 200


def test_guessing_codes_is_rate_limited_across_ip_addresses(client: APIClient) -> None:
    secret, _ = set_up_app(client)
    answers = [
        APIClient(REMOTE_ADDR=f"192.0.2.{number}").post(
            "/api/v1/auth/login",
            {"email": "ada@example.com", "password": PASSWORD, "mfa_code": "000000"},
        )
        for number in range(11)
    ]
    assert {answer.status_code for answer in answers[:10]} == {422}
    assert answers[10].status_code == 429
    assert log_in(mfa_code=code_of(secret)).status_code == 429


def test_a_correct_code_resets_the_number_of_failed_attempts(client: APIClient) -> None:
    _, codes = set_up_app(client)
    for code in codes:
        assert log_in(mfa_code="000000").status_code == 422
        assert log_in(mfa_code=code).status_code == 200


@pytest.mark.parametrize("path", ["totp", "recovery-codes", "passkeys"])
def test_changing_factors_requires_the_password(client: APIClient, path: str) -> None:
    answer = client.post(f"/api/v1/auth/factors/{path}", {"current_password": "wrong"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "current_password"


def test_a_session_that_has_not_verified_a_factor_cannot_change_factors(
    ada: User, client: APIClient
) -> None:
    set_up_app(client)
    without_factor = client_for(ada, make_world().org)
    for method, path in (
        ("post", "totp/remove"),
        ("post", "totp"),
        ("post", "recovery-codes"),
        ("post", "passkeys"),
    ):
        answer = getattr(without_factor, method)(f"/api/v1/auth/factors/{path}", CURRENT_PASSWORD)
        assert answer.json()["code"] == "second_factor_needed"
    assert Authenticator.objects.filter(type="totp").exists()


def test_a_session_can_be_verified_with_a_code_later(ada: User, client: APIClient) -> None:
    secret, _ = set_up_app(client)
    other = client_for(ada, make_world().org)
    path = "/api/v1/auth/factors/show"
    assert other.post(path, {"code": "000000"}).status_code == 422
    assert other.post(path, {"code": code_of(secret)}).status_code == 204
    assert other.get("/api/v1/auth/me").json()["user"]["second_factor"] is True


def test_removing_the_last_factor_removes_the_recovery_codes(ada: User, client: APIClient) -> None:
    set_up_app(client)
    assert client.post("/api/v1/auth/factors/totp/remove", CURRENT_PASSWORD).status_code == 204
    assert not Authenticator.objects.exists()
    assert log_in().status_code == 200
    assert RefreshFamily.objects.filter(user=ada, second_factor_at__isnull=False).count() == 0


def test_new_recovery_codes_replace_the_old_ones(client: APIClient) -> None:
    _, old = set_up_app(client)
    answer = client.post("/api/v1/auth/factors/recovery-codes", CURRENT_PASSWORD)
    new = answer.json()["recovery_codes"]
    assert not set(new) & set(old)
    assert log_in(mfa_code=old[0]).json()["code"] == "wrong_code"
    assert log_in(mfa_code=new[0]).status_code == 200


def test_a_challenge_belongs_to_one_user_and_expires(ada: User, client: APIClient) -> None:
    start = client.post("/api/v1/auth/factors/totp", CURRENT_PASSWORD).json()
    body = {"challenge": start["challenge"], "code": code_of(start["secret"])}
    eve = User.objects.create_user(email="eve@example.com", password=PASSWORD)
    other_client = client_for(eve, make_world().org)
    confirm = "/api/v1/auth/factors/totp/confirm"
    assert other_client.post(confirm, body).status_code == 410
    assert client.post(confirm, {**body, "code": "000000"}).json()["code"] == "wrong_code"
    assert client.post(confirm, body).status_code == 200
    assert client.post(confirm, body).status_code == 410


@pytest.mark.parametrize(
    "credential",
    [{}, {"id": 3}, {"id": "x", "rawId": "x", "type": "public-key", "response": {}}, {"a": [None]}],
)
def test_an_invalid_passkey_is_refused_and_causes_no_500(
    client: APIClient, credential: dict[str, Any]
) -> None:
    start = client.post("/api/v1/auth/factors/passkeys", CURRENT_PASSWORD).json()
    body = {"challenge": start["challenge"], "name": "x", "credential": credential}
    added = client.post("/api/v1/auth/factors/passkeys/confirm", body)
    assert added.json()["code"] == "wrong_code"
    login = APIClient().post("/api/v1/auth/passkey/begin").json()
    body = {"challenge": login["challenge"], "credential": credential}
    refused = APIClient().post("/api/v1/auth/passkey/login", body)
    assert (refused.status_code, refused.json()["detail"]) == (401, str(PasskeyRejected()))


def test_rotating_the_platforms_keys_encrypts_factors_with_the_new_key(
    client: APIClient, settings: Any
) -> None:
    from cryptography.fernet import Fernet

    from apps.orgs.keys.rotation import _rotate_factors

    secret, codes = set_up_app(client)
    old = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    assert list(_rotate_factors()) == ["reencrypted", "reencrypted"]
    assert list(_rotate_factors()) == ["already_newest", "already_newest"]
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert log_in(mfa_code=code_of(secret)).status_code == 200
    assert log_in(mfa_code=codes[0]).status_code == 200


def test_an_operator_can_remove_lost_factors_and_the_user_is_notified(
    ada: User, client: APIClient
) -> None:
    set_up_app(client)
    mailbox.deliver()
    assert log_in().status_code == 401
    call_command("reset_second_factor", "Ada@example.com", stdout=StringIO())
    assert client.get("/api/v1/auth/me").status_code == 401
    assert log_in().status_code == 200
    (notice,) = mailbox.deliver()
    assert notice.subject == "Your second factor was changed"
    for email in ("ada@example.com", "nobody@example.com"):
        with pytest.raises(CommandError):
            call_command("reset_second_factor", email, stdout=StringIO())
