"""Logins with Google and GitHub. A local server imitates their endpoints, and only the URLs are replaced."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.google.views import GoogleOAuth2Adapter
from django.test import override_settings
from rest_framework.test import APIClient

from apps.auth.models import User
from tests.engine.sources.api import ReceivedRequest, Reply, serve_api
from tests.orgs.sign_in.issuer import call_callback, start_login
from tests.orgs.sign_in.test_sso import login_problem, refresh_session

PROVIDERS = {
    name: {
        "kind": name,
        "label": name.title(),
        "client_id": "drover",
        "secret": "s" * 20,
        "issuer": "",
    }
    for name in ("google", "github")
}


def json_reply(body: Any, status: int = 200) -> Reply:
    return Reply(body, status, headers={"Content-Type": "application/json"})


class FakeProvider:
    """Returns the data of one user in the formats of Google and GitHub."""

    def __init__(self) -> None:
        self.email, self.is_verified = "grace@example.com", True
        self.token_requests: list[dict[str, str]] = []

    def __call__(self, request: ReceivedRequest) -> Reply:
        match request.path:
            case "/token" | "/login/oauth/access_token":
                parameters = dict(parse_qsl(request.body.decode()))
                self.token_requests.append(parameters)
                if parameters.get("code") != "good":
                    return json_reply({"error": "invalid_grant"}, status=400)
                token = {"access_token": "opaque", "token_type": "bearer"}
                return json_reply(
                    token | ({"id_token": self.id_token()} if request.path == "/token" else {})
                )
            case "/user":
                return json_reply(
                    {"id": 7, "login": "grace", "name": "Grace Hopper", "email": None}
                )
            case "/user/emails":
                assert request.headers["authorization"] == "token opaque"
                primary_email = {"email": self.email, "primary": True, "verified": self.is_verified}
                other_email = {"email": "old@example.com", "primary": False, "verified": True}
                return json_reply([other_email, primary_email])
        return Reply(status=404)

    def id_token(self) -> str:
        claims: dict[str, Any] = {
            "iss": "https://accounts.google.com",
            "aud": "drover",
            "sub": "1077",
            "email": self.email,
            "email_verified": self.is_verified,
            "name": "Grace Hopper",
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
        }
        return jwt.encode(claims, "a key that only Google has; Drover does not check the signature")


@pytest.fixture
def fake_provider(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    provider = FakeProvider()
    with serve_api(provider) as api, override_settings(IDENTITY_PROVIDERS=PROVIDERS):
        monkeypatch.setattr(GoogleOAuth2Adapter, "access_token_url", f"{api.url}/token")
        github_token_url = f"{api.url}/login/oauth/access_token"
        monkeypatch.setattr(GitHubOAuth2Adapter, "access_token_url", github_token_url)
        monkeypatch.setattr(GitHubOAuth2Adapter, "profile_url", f"{api.url}/user")
        monkeypatch.setattr(GitHubOAuth2Adapter, "emails_url", f"{api.url}/user/emails")
        yield provider


AUTHORIZE_URLS = {
    "google": "https://accounts.google.com/o/oauth2/v2/auth",
    "github": "https://github.com/login/oauth/authorize",
}


def log_in_with_code(client: APIClient, provider: str, code: str = "good") -> Any:
    """Start a login, check the redirect to the provider, and call the callback with a code."""
    redirect = start_login(client, provider)
    assert redirect.status_code == 302, redirect.content
    location = urlsplit(redirect["Location"])
    assert redirect["Location"].startswith(AUTHORIZE_URLS[provider])
    query = parse_qs(location.query)
    assert query["code_challenge_method"] == ["S256"]
    assert "email" in query["scope"][0]
    return call_callback(
        client, f"{query['redirect_uri'][0]}?code={code}&state={query['state'][0]}"
    )


@pytest.mark.parametrize("provider", ["google", "github"])
def test_a_new_user_gets_an_account_and_can_log_in_again(
    fake_provider: FakeProvider, provider: str
) -> None:
    client = APIClient()
    assert log_in_with_code(client, provider).status_code == 302
    session_user = refresh_session(client)["user"]
    assert (session_user["email"], session_user["name"]) == ("grace@example.com", "Grace Hopper")
    fake_provider.email = "renamed@example.com"
    second_client = APIClient()
    log_in_with_code(second_client, provider)
    assert refresh_session(second_client)["user"]["id"] == session_user["id"]
    assert all("code_verifier" in parameters for parameters in fake_provider.token_requests)


@pytest.mark.parametrize("provider", ["google", "github"])
def test_an_address_that_the_provider_has_not_verified_creates_no_account(
    fake_provider: FakeProvider, provider: str
) -> None:
    fake_provider.is_verified = False
    answer = log_in_with_code(APIClient(), provider)
    assert login_problem(answer)
    assert not User.objects.filter(email="grace@example.com").exists()


@pytest.mark.parametrize("provider", ["google", "github"])
def test_an_invalid_code_creates_no_account(fake_provider: FakeProvider, provider: str) -> None:
    assert (
        login_problem(log_in_with_code(APIClient(), provider, code="stolen")) == "provider_failed"
    )
    assert not User.objects.exists()
