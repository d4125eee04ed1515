"""Encrypt and decrypt the secrets of a repository: its token, and the secret of its webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.connectors.models import Repository
from apps.orgs import vault
from apps.orgs.models import Org

SEAL_KIND = "repository"


def seal(org: Org, repository: Repository, secret_values: Mapping[str, str]) -> None:
    """Encrypt `token` and `webhook_secret`, and set the repository's columns. The caller saves the repository."""
    repository.sealed = vault.seal(org, SEAL_KIND, repository.pk, dict(secret_values))
    token = secret_values["token"]
    repository.has_token = bool(token)
    repository.token_last4 = token[-4:] if len(token) >= 12 else ""


def unseal(org: Org, repository: Repository) -> dict[str, str]:
    """Return `token` and `webhook_secret` in plain text. Never show, log or store these values."""
    secret_values: dict[str, str] = vault.unseal(org, SEAL_KIND, repository.pk, repository.sealed)
    return secret_values


def token_hint(repository: Repository) -> dict[str, Any] | None:
    """Return the token's hint for the audit log, or None if there is no token."""
    return {"set": True, "last4": repository.token_last4} if repository.has_token else None
