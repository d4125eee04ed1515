"""Actions on an org's own identity provider: set, check, remove. The module `sso` uses it to log in."""

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
from apps.orgs.versions import Match, require_match, version_of_settings

SEAL_KIND = "identity_provider"


class ProviderFields(TypedDict):
    """An issuer's settings. Without `client_secret` the stored secret does not change."""

    issuer: str
    client_id: str
    client_secret: NotRequired[str]
    join_role: str  # role of users who were not invited; empty means that they are denied
    enabled: bool


class SsoRequired(Conflict):
    """The organization requires members to log in with its identity provider: disable this rule first."""

    code = "sso_required"


def find_provider(org: Org) -> IdentityProvider | None:
    return IdentityProvider.objects.for_org(org).first()


def save_provider(
    *, org: Org, by: Principal, fields: ProviderFields, match: Match = None
) -> IdentityProvider:
    """Set the org's own issuer. Without `client_secret` the stored secret does not change.

    If the issuer changes, the stored subjects are deleted, because the new issuer may use them for other people. All
    sessions of the old issuer end if the issuer changes or is disabled.

    Raises ChangedMeanwhile, Invalid and PermissionMissing.
    """
    by.require(Permission.OWNERS_MANAGE)
    values: dict[str, Any] = {**fields}
    secret = values.pop("client_secret", None)
    row = IdentityProvider.objects.for_org(org).select_for_update().first()
    require_match(match, version_of_settings(row))
    old_values = {name: getattr(row, name) for name in values} if row else dict.fromkeys(values)
    if row is None:
        row = IdentityProvider(org=org)
    if secret is None and not row.sealed:
        raise Invalid([("client_secret", "This field is required.", "required")])
    if row.sealed and secret is None and old_values.get("issuer") != values["issuer"]:
        message = "Enter the secret again: it would be sent to another issuer."
        raise Invalid([("client_secret", message, "required")])
    for name, value in values.items():
        setattr(row, name, value)
    if secret is not None:
        row.sealed = vault.seal(org, SEAL_KIND, row.pk, secret)
        row.secret_last4 = secret[-4:] if len(secret) >= 12 else ""
    row.save()
    if old_values.get("issuer") not in (None, row.issuer):
        FederatedIdentity.objects.for_org(org).delete()
    if old_values.get("issuer") not in (None, row.issuer) or not row.enabled:
        sessions.end_single_sign_on_sessions(org.pk, reason="identity provider changed")
    changes = {
        name: [old_values[name], value]
        for name, value in values.items()
        if old_values[name] != value
    }
    if secret is not None:
        changes["client_secret"] = ["set" if old_values.get("issuer") else None, "set"]
    _record(org, by, "identity_provider.save", row.pk, changes)
    saved: IdentityProvider = row
    return saved


def remove_provider(*, org: Org, by: Principal, match: Match) -> None:
    """Remove the provider, delete its stored subjects, and end its sessions. Members must log in another way.

    Raises NotFound, ChangedMeanwhile and SsoRequired.
    """
    by.require(Permission.OWNERS_MANAGE)
    row = IdentityProvider.objects.for_org(org).select_for_update().first()
    if row is None:
        raise NotFound
    require_match(match, version_of_settings(row))
    if org.require_sso:
        raise SsoRequired
    _record(org, by, "identity_provider.remove", row.pk, {"issuer": [row.issuer, None]})
    FederatedIdentity.objects.for_org(org).delete()
    sessions.end_single_sign_on_sessions(org.pk, reason="identity provider removed")
    row.delete()


def check_issuer(issuer: str) -> dict[str, Any]:
    """Check the discovery document of an issuer. Returns the result of each step.

    The steps are: the document exists, it names this issuer, and it contains the endpoints for a login.
    """
    try:
        document = providers.fetch_discovery_document(issuer)
    except ProviderFailed:
        message = f"There is no document at {issuer.rstrip('/')}/.well-known/openid-configuration."
        return {"ok": False, "steps": [{"step": "discovery", "ok": False, "message": message}]}
    document_issuer = str(document.get("issuer", ""))[:500]
    is_same_issuer = document_issuer.rstrip("/") == issuer.rstrip("/")
    required_names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    missing = [name for name in required_names if not isinstance(document.get(name), str)]
    steps = [
        {"step": "discovery", "ok": True, "message": "The document was found."},
        {
            "step": "issuer",
            "ok": is_same_issuer,
            "message": "The document names this issuer."
            if is_same_issuer
            else f"The document names another issuer: {document_issuer}",
        },
        {
            "step": "endpoints",
            "ok": not missing,
            "message": f"Missing: {', '.join(missing)}"
            if missing
            else "All endpoints are present.",
        },
    ]
    return {"ok": is_same_issuer and not missing, "steps": steps}


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
