"""The secrets of a repository: its token, and its webhook's secret. They are stored encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.connectors.models import Repository
from apps.orgs import vault
from apps.orgs.models import Org

SEALED_FOR = "repository"


def seal(org: Org, repository: Repository, plain: Mapping[str, str]) -> None:
    """Set the columns with the encrypted `token` and `webhook_secret`; the caller saves them."""
    repository.sealed = vault.seal(org, SEALED_FOR, repository.pk, dict(plain))
    token = plain["token"]
    repository.has_token = bool(token)
    repository.token_last4 = token[-4:] if len(token) >= 12 else ""


def unseal(org: Org, repository: Repository) -> dict[str, str]:
    """Return `token` and `webhook_secret` in plain text. Never show, log or store them."""
    plain: dict[str, str] = vault.unseal(org, SEALED_FOR, repository.pk, repository.sealed)
    return plain


def hint(repository: Repository) -> dict[str, Any] | None:
    """Return a hint of the token for the audit log."""
    return {"set": True, "last4": repository.token_last4} if repository.has_token else None
