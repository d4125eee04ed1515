"""The secrets of a repository: its token, and what its webhook signs with. They are stored sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.connectors.models import Repository
from apps.orgs import vault
from apps.orgs.models import Org

SEALED_FOR = "repository"


def seal(org: Org, repository: Repository, plain: Mapping[str, str]) -> None:
    """Set the columns that hold `token` and `webhook_secret`; save them with the rest."""
    repository.sealed = vault.seal(org, SEALED_FOR, repository.pk, dict(plain))
    token = plain["token"]
    repository.has_token = bool(token)
    repository.token_last4 = token[-4:] if len(token) >= 12 else ""


def unseal(org: Org, repository: Repository) -> dict[str, str]:
    """`token` and `webhook_secret` in plain text. Never show, log or store them."""
    plain: dict[str, str] = vault.unseal(org, SEALED_FOR, repository.pk, repository.sealed)
    return plain


def hint(repository: Repository) -> dict[str, Any] | None:
    """Of the token, for the audit trail."""
    return {"set": True, "last4": repository.token_last4} if repository.has_token else None
