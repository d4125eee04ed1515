"""A real OpenID Connect server on loopback, and a user who logs in there like a browser."""

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
    """An issuer; `url` is its identifier."""

    url: str

    def know(self, subject: str, **claims: Any) -> None:
        """A user of the issuer, and the issuer's claims."""
        answer = requests.put(f"{self.url}/users/{subject}", json=claims, timeout=10)
        answer.raise_for_status()

    def vouch(self, location: str, subject: str) -> str:
        """Log in at the issuer; returns the URL to which the user is redirected."""
        answer = requests.post(location, data={"sub": subject}, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def deny(self, location: str) -> str:
        answer = requests.post(location, data={"action": "deny"}, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]


@contextmanager
def running() -> Iterator[Issuer]:
    with run_server_in_thread() as server:
        yield Issuer(f"http://localhost:{server.server_port}")


def start(client: APIClient, provider: str, **query: str) -> Any:
    return client.get(f"/api/v1/auth/{provider}/start", query)


def follow_back(client: APIClient, address: str) -> Any:
    """Return the response of the callback."""
    parts = urlsplit(address)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return client.get(parts.path, query)


def log_in(client: APIClient, issuer: Issuer, provider: str, subject: str, **query: str) -> Any:
    """Do the whole login; returns the callback's response."""
    leading = start(client, provider, **query)
    assert leading.status_code == 302, leading.content
    assert leading["Location"].startswith(issuer.url), leading["Location"]
    return follow_back(client, issuer.vouch(leading["Location"], subject))
