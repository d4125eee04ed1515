"""An org's own identity provider: set, check, remove. The module `sso` decides what it may vouch for."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict
from uuid import UUID

from apps.auth import sessions
from apps.orgs import audit, vault
from apps.orgs.exceptions import Conflict, Invalid, NotFound
from apps.orgs.models import FederatedIdentity, IdentityProvider, Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.sign_in import providers
from apps.orgs.sign_in.providers import ProviderFailed
from apps.orgs.versions import Match, of_time, require_match

KIND = "identity_provider"


class ProviderFields(TypedDict):
    """An issuer's settings. A secret that is left out is kept."""

    issuer: str
    client_id: str
    client_secret: NotRequired[str]
    join_role: str  # role of users who were not invited; empty means that they are denied
    enabled: bool


class SsoRequired(Conflict):
    """The organization requires its identity provider: disable that rule first."""

    code = "sso_required"


def of(org: Org) -> IdentityProvider | None:
    return IdentityProvider.objects.for_org(org).first()


def save(*, org: Org, by: Principal, fields: ProviderFields) -> IdentityProvider:
    """Set the org's own issuer. Without `client_secret` the stored one is kept.

    With another issuer, the stored subjects are deleted, because they mean other people. Its sessions end then,
    and when it is disabled.
    """
    by.require(Permission.OWNERS_MANAGE)
    said: dict[str, Any] = {**fields}
    secret = said.pop("client_secret", None)
    row = IdentityProvider.objects.for_org(org).select_for_update().first()
    before = {name: getattr(row, name) for name in said} if row else dict.fromkeys(said)
    if row is None:
        row = IdentityProvider(org=org)
    if secret is None and not row.sealed:
        raise Invalid([("client_secret", "This field is required.", "required")])
    if row.sealed and secret is None and before.get("issuer") != said["issuer"]:
        message = "Enter the secret again: it would be sent to another issuer."
        raise Invalid([("client_secret", message, "required")])
    for name, value in said.items():
        setattr(row, name, value)
    if secret is not None:
        row.sealed = vault.seal(org, KIND, row.pk, secret)
        row.secret_last4 = secret[-4:] if len(secret) >= 12 else ""
    row.save()
    if before.get("issuer") not in (None, row.issuer):
        FederatedIdentity.objects.for_org(org).delete()
    if before.get("issuer") not in (None, row.issuer) or not row.enabled:
        sessions.end_of_org(org.pk, reason="identity provider changed")
    changes = {name: [before[name], value] for name, value in said.items() if before[name] != value}
    if secret is not None:
        changes["client_secret"] = ["set" if before.get("issuer") else None, "set"]
    _record(org, by, "identity_provider.save", row.pk, changes)
    found: IdentityProvider = row
    return found


def remove(*, org: Org, by: Principal, match: Match) -> None:
    """Remove the provider. Its known subjects are deleted, and its sessions end; members log in another way.

    Raises NotFound, ChangedMeanwhile and SsoRequired.
    """
    by.require(Permission.OWNERS_MANAGE)
    row = IdentityProvider.objects.for_org(org).select_for_update().first()
    if row is None:
        raise NotFound
    require_match(match, of_time(row.updated_at))
    if org.require_sso:
        raise SsoRequired
    _record(org, by, "identity_provider.remove", row.pk, {"issuer": [row.issuer, None]})
    FederatedIdentity.objects.for_org(org).delete()
    sessions.end_of_org(org.pk, reason="identity provider removed")
    row.delete()


def check(issuer: str) -> dict[str, Any]:
    """Return the check's steps: the discovery document exists, names this issuer, and has everything a login needs."""
    try:
        found = providers.look_up(issuer)
    except ProviderFailed:
        message = f"No document at {issuer.rstrip('/')}/.well-known/openid-configuration."
        return {"ok": False, "steps": [{"step": "discovery", "ok": False, "message": message}]}
    named = str(found.get("issuer", ""))[:500]
    same = named.rstrip("/") == issuer.rstrip("/")
    needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    missing = [name for name in needed if not isinstance(found.get(name), str)]
    steps = [
        {"step": "discovery", "ok": True, "message": "The document was found."},
        {
            "step": "issuer",
            "ok": same,
            "message": "It names this issuer." if same else f"It names another issuer: {named}",
        },
        {
            "step": "endpoints",
            "ok": not missing,
            "message": f"Missing: {', '.join(missing)}" if missing else "All are present.",
        },
    ]
    return {"ok": same and not missing, "steps": steps}


def _record(
    org: Org, by: Principal, action: str, object_id: UUID, changes: dict[str, list[Any]]
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="identity_provider",
        object_id=object_id,
        object_label="single sign-on",
        changes=changes,
    )
