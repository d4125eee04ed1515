"""Webhooks that Git servers send after a push. A Git server has no account; it signs the body or sends a secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from uuid import UUID

import orjson

from apps.connectors.models import Repository
from apps.connectors.repositories import sealed, services
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import system_principal
from apps.orgs.walls.scope import org_scope

WEBHOOK = system_principal("Webhook")


def handle_push(
    *, org_id: UUID, repository_id: UUID, headers: Mapping[str, str], body: bytes
) -> bool:
    """Request a sync if the push concerns the branch. Returns False if it does not, or if the org is suspended or
    will be deleted.

    Raises NotFound for an unknown repository and for a wrong signature, so that a sender without the secret cannot
    find out which repositories exist.
    """
    with org_scope(org_id):
        org = Org.objects.filter(pk=org_id).first()
        if org is None:
            raise NotFound
        repository = find_object(Repository.objects.for_org(org), repository_id)
        if not _sender_has_secret(org, repository, headers, body):
            raise NotFound
        if org.suspended_at or org.deletion_at or not _concerns_branch(repository.branch, body):
            return False
        services.request_sync(org=org, by=WEBHOOK, repository_id=repository_id)
        return True


def _sender_has_secret(
    org: Org, repository: Repository, headers: Mapping[str, str], body: bytes
) -> bool:
    """Whether the sender of the webhook has the secret.

    GitHub, Gitea, Forgejo and Bitbucket sign the body (HMAC-SHA256, hex); GitLab sends the secret itself.
    """
    secret = sealed.unseal(org, repository)["webhook_secret"]
    token = headers.get("X-Gitlab-Token")
    if token is not None:
        return hmac.compare_digest(token.encode(), secret.encode())
    signature = headers.get("X-Hub-Signature-256") or headers.get("X-Hub-Signature") or ""
    scheme, _, digest = signature.partition("=")
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return scheme == "sha256" and hmac.compare_digest(digest.encode(), expected.encode())


def _concerns_branch(branch: str, body: bytes) -> bool:
    """Whether the push concerns this branch. True if the webhook names no branch."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return True
    ref = payload.get("ref") if isinstance(payload, dict) else None
    return not isinstance(ref, str) or ref in (branch, f"refs/heads/{branch}")
