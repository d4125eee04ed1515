"""Actions on API keys: create, rotate, revoke. Called inside the org's scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.auth import keys
from apps.auth.mailing import access_notices as access
from apps.auth.models import User
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import ApiKey, Domain, Org
from apps.orgs.placement import one
from apps.orgs.principals import Principal
from apps.orgs.queries import ApiKeyColumns, ApiKeyQuerySet
from apps.orgs.roles import RANK, Permission, Role, allows


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was just created. `text` is shown only once and stored nowhere."""

    row: ApiKey
    text: str


def create(
    *,
    org: Org,
    by: Principal,
    name: str,
    role: Role,
    scopes: Sequence[Permission] = (),
    domain_id: UUID | None = None,
    expires_at: datetime | None = None,
    holder: User | None = None,
) -> MadeKey:
    """Create a key of the member behind `by`, or of the service account `holder`. Computes one bcrypt hash.

    Raises SessionNeeded if `by` is an API key, and Invalid for more than the creator's role allows.
    """
    by.require_person()
    by.require(Permission.API_KEYS_OWN)
    _refuse_excess(by, role, scopes)
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid([("expires_at", "This time is in the past.", "past")])
    _require_domain(org, domain_id)
    row = ApiKey(name=name, role=role, scopes=list(scopes), domain_id=domain_id)
    made = _make(org, row, expires_at, holder.pk if holder else by.require_user())
    changes = {
        "role": [None, role],
        "scopes": [None, list(scopes)],
        "prefix": [None, made.row.prefix],
    }
    _record(org, by, "api_key.create", made.row, changes)
    return made


def rotate(*, org: Org, by: Principal, key_id: UUID, grace: timedelta) -> MadeKey:
    """Create a new key with the same limits, and at most its creator's role; the old one expires after `grace`.

    A service account's key stays the account's; another member's key becomes the caller's. Raises NotFound.
    """
    by.require_person()
    key = _active(org, by, key_id)
    role = min(Role(key.role), by.role, key=RANK.__getitem__)
    copy = ApiKey(name=key.name, role=role, scopes=key.scopes, domain_id=key.domain_id)
    service = key.created_by.kind == User.Kind.SERVICE
    made = _make(org, copy, key.expires_at, key.created_by_id if service else by.require_user())
    now = timezone.now()
    end = now + grace
    if grace:
        key.expires_at = min(key.expires_at, end) if key.expires_at else end
    else:
        key.revoked_at = now
    key.save(update_fields=["expires_at", "revoked_at"])
    changes = {
        "prefix": [key.prefix, made.row.prefix],
        "grace_seconds": [None, int(grace.total_seconds())],
    }
    access.changed(key.pk)
    _record(org, by, "api_key.rotate", key, changes)
    return made


def revoke(*, org: Org, by: Principal, key_id: UUID) -> None:
    """Revoke the key at once; its row is kept for the audit log. Raises NotFound."""
    key = _active(org, by, key_id)
    key.revoked_at = timezone.now()
    key.save(update_fields=["revoked_at"])
    access.changed(key.pk)
    _record(org, by, "api_key.revoke", key, {"prefix": [key.prefix, None]})


def seen(org: Org, by: Principal) -> ApiKeyQuerySet:
    """Return the keys that the principal can see."""
    return ApiKey.objects.for_org(org).seen_by(by)


def row(key: ApiKey) -> ApiKeyColumns:
    """Return a key's columns for lists."""
    return ApiKey.objects.for_org(key.org_id).rows().get(pk=key.pk)


def _active(org: Org, by: Principal, key_id: UUID) -> ApiKey:
    by.require(Permission.API_KEYS_OWN)
    return one(seen(org, by).active().select_related("created_by"), key_id, lock=True)


def _require_domain(org: Org, domain_id: UUID | None) -> None:
    if domain_id is not None and not Domain.objects.for_org(org).filter(pk=domain_id).exists():
        raise Invalid([("domain_id", "There is no such domain in this organization.", "unknown")])


def _refuse_excess(by: Principal, role: Role, scopes: Sequence[Permission]) -> None:
    if RANK[role] > RANK[by.role]:
        message = f"Your role is {by.role}, so your key cannot have the role {role}."
        raise Invalid([("role", message, "above_own_role")])
    errors = [
        (f"scopes.{index}", f"The role {role} does not include {scope}.", "above_role")
        for index, scope in enumerate(scopes)
        if not allows(role, scope)
    ]
    if errors:
        raise Invalid(errors)


def _make(org: Org, row: ApiKey, expires_at: datetime | None, holder: UUID) -> MadeKey:
    new = keys.generate()
    row.org, row.created_by_id, row.expires_at = org, holder, expires_at
    row.prefix, row.hash, row.tag = new.prefix, new.hash, new.tag
    row.save()
    return MadeKey(row, new.text)


def _record(org: Org, by: Principal, action: str, key: ApiKey, changes: dict[str, Any]) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="api_key",
        object_id=key.pk,
        object_label=key.name,
        changes=changes,
    )
