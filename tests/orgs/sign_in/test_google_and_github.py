"""Google and GitHub with a server that imitates their endpoints; only the URLs are changed."""

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
from tests.engine.sources.api import Api, ReceivedRequest, Reply, serve_api
from tests.orgs.sign_in.issuer import follow_back, start
from tests.orgs.sign_in.test_sso import problem_of, who

INSTALLED = {
    name: {
        "kind": name,
        "label": name.title(),
        "client_id": "drover",
        "secret": "s" * 20,
        "issuer": "",
    }
    for name in ("google", "github")
}


def reply(body: Any, status: int = 200) -> Reply:
    return Reply(body, status, headers={"Content-Type": "application/json"})


class Remote:
    """The data of one user, in the format of both providers' documentation."""

    def __init__(self) -> None:
        self.email, self.verified = "grace@example.com", True
        self.tokens: list[dict[str, str]] = []

    def __call__(self, asked: ReceivedRequest) -> Reply:
        match asked.path:
            case "/token" | "/login/oauth/access_token":
                given = dict(parse_qsl(asked.body.decode()))
                self.tokens.append(given)
                if given.get("code") != "good":
                    return reply({"error": "invalid_grant"}, status=400)
                answer = {"access_token": "opaque", "token_type": "bearer"}
                return reply(
                    answer | ({"id_token": self.id_token()} if asked.path == "/token" else {})
                )
            case "/user":
                return reply({"id": 7, "login": "grace", "name": "Grace Hopper", "email": None})
            case "/user/emails":
                assert asked.headers["authorization"] == "token opaque"
                mail = {"email": self.email, "primary": True, "verified": self.verified}
                other = {"email": "old@example.com", "primary": False, "verified": True}
                return reply([other, mail])
        return Reply(status=404)

    def id_token(self) -> str:
        claims: dict[str, Any] = {
            "iss": "https://accounts.google.com",
            "aud": "drover",
            "sub": "1077",
            "email": self.email,
            "email_verified": self.verified,
            "name": "Grace Hopper",
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
        }
        return jwt.encode(claims, "known to Google only, and not asked for here")


@pytest.fixture
def remote(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Remote, Api]]:
    found = Remote()
    with serve_api(found) as api, override_settings(IDENTITY_PROVIDERS=INSTALLED):
        monkeypatch.setattr(GoogleOAuth2Adapter, "access_token_url", f"{api.url}/token")
        login = f"{api.url}/login/oauth/access_token"
        monkeypatch.setattr(GitHubOAuth2Adapter, "access_token_url", login)
        monkeypatch.setattr(GitHubOAuth2Adapter, "profile_url", f"{api.url}/user")
        monkeypatch.setattr(GitHubOAuth2Adapter, "emails_url", f"{api.url}/user/emails")
        yield found, api


WHERE = {
    "google": "https://accounts.google.com/o/oauth2/v2/auth",
    "github": "https://github.com/login/oauth/authorize",
}


def handle_callback(client: APIClient, provider: str, code: str = "good") -> Any:
    """Redirect to the provider and return with a code."""
    leading = start(client, provider)
    assert leading.status_code == 302, leading.content
    location = urlsplit(leading["Location"])
    assert leading["Location"].startswith(WHERE[provider])
    asked = parse_qs(location.query)
    assert asked["code_challenge_method"] == ["S256"]
    assert "email" in asked["scope"][0]
    return follow_back(client, f"{asked['redirect_uri'][0]}?code={code}&state={asked['state'][0]}")


@pytest.mark.parametrize("provider", ["google", "github"])
def test_a_new_user_gets_an_account_and_can_log_in_again(
    remote: tuple[Remote, Api], provider: str
) -> None:
    client = APIClient()
    assert handle_callback(client, provider).status_code == 302
    me = who(client)["user"]
    assert (me["email"], me["name"]) == ("grace@example.com", "Grace Hopper")
    remote[0].email = "renamed@example.com"
    again = APIClient()
    handle_callback(again, provider)
    assert who(again)["user"]["id"] == me["id"]
    assert all("code_verifier" in given for given in remote[0].tokens)


@pytest.mark.parametrize("provider", ["google", "github"])
def test_an_address_the_provider_has_not_confirmed_makes_no_account(
    remote: tuple[Remote, Api], provider: str
) -> None:
    remote[0].verified = False
    answer = handle_callback(APIClient(), provider)
    assert problem_of(answer)
    assert not User.objects.filter(email="grace@example.com").exists()


@pytest.mark.parametrize("provider", ["google", "github"])
def test_a_code_the_provider_does_not_know_opens_nothing(
    remote: tuple[Remote, Api], provider: str
) -> None:
    assert problem_of(handle_callback(APIClient(), provider, code="stolen")) == "provider_failed"
    assert not User.objects.exists()
