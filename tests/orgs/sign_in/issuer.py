"""A real OpenID Connect server on loopback, and functions that log a user in like a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from oidc_provider_mock import run_server_in_thread
from rest_framework.test import APIClient


@dataclass
class Issuer:
    """An OpenID Connect issuer. `url` is its identifier."""

    url: str

    def add_user(self, subject: str, **claims: Any) -> None:
        """Add a user to the issuer, with the claims that it sends about the user."""
        answer = requests.put(f"{self.url}/users/{subject}", json=claims, timeout=10)
        answer.raise_for_status()

    def log_in(self, location: str, subject: str) -> str:
        """Log in at the issuer. Return the URL to which it redirects the user."""
        answer = requests.post(location, data={"sub": subject}, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def deny(self, location: str) -> str:
        """Cancel the login at the issuer. Return the URL to which it redirects the user."""
        answer = requests.post(location, data={"action": "deny"}, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    with run_server_in_thread() as server:
        yield Issuer(f"http://localhost:{server.server_port}")


def start_login(client: APIClient, provider: str, **query: str) -> Any:
    """Start a login with a provider. Return the response, which redirects to the provider."""
    return client.get(f"/api/v1/auth/{provider}/start", query)


def call_callback(client: APIClient, address: str) -> Any:
    """Open the address to which the provider redirects. Return the response of the callback."""
    parts = urlsplit(address)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return client.get(parts.path, query)


def log_in(client: APIClient, issuer: Issuer, provider: str, subject: str, **query: str) -> Any:
    """Do the whole login. Return the response of the callback."""
    redirect = start_login(client, provider, **query)
    assert redirect.status_code == 302, redirect.content
    assert redirect["Location"].startswith(issuer.url), redirect["Location"]
    return call_callback(client, issuer.log_in(redirect["Location"], subject))
