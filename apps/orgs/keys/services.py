"""Actions on API keys: create, rotate, revoke. Call them inside the org's scope."""

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
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.queries import ApiKeyColumns, ApiKeyQuerySet
from apps.orgs.roles import RANK, Permission, Role, allows


@dataclass(frozen=True, slots=True)
class CreatedKey:
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
) -> CreatedKey:
    """Create a key for the member `by`, or for the service account `holder`. Computes one bcrypt hash.

    Raises SessionNeeded if `by` is an API key. Raises Invalid if the role is above the role of `by`, if the role does
    not include a scope, if `expires_at` is in the past, or if the domain is unknown.
    """
    by.require_person()
    by.require(Permission.API_KEYS_OWN)
    _refuse_excess_rights(by, role, scopes)
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid([("expires_at", "This time is in the past.", "past")])
    _require_domain(org, domain_id)
    row = ApiKey(name=name, role=role, scopes=list(scopes), domain_id=domain_id)
    created = _create_row(org, row, expires_at, holder.pk if holder else by.require_user())
    changes = {
        "role": [None, role],
        "scopes": [None, list(scopes)],
        "prefix": [None, created.row.prefix],
    }
    _record(org, by, "api_key.create", created.row, changes)
    return created


def rotate(*, org: Org, by: Principal, key_id: UUID, grace: timedelta) -> CreatedKey:
    """Create a new key with the same scopes and domain. The old key stops working after `grace` at the latest.

    The new key has at most the role of `by`. It belongs to the same service account, or else to the caller.
    Raises NotFound, and SessionNeeded if `by` is an API key.
    """
    by.require_person()
    key = _lock_active_key(org, by, key_id)
    role = min(Role(key.role), by.role, key=RANK.__getitem__)
    new_row = ApiKey(name=key.name, role=role, scopes=key.scopes, domain_id=key.domain_id)
    is_service_key = key.created_by.kind == User.Kind.SERVICE
    created = _create_row(
        org, new_row, key.expires_at, key.created_by_id if is_service_key else by.require_user()
    )
    now = timezone.now()
    grace_end = now + grace
    if grace:
        key.expires_at = min(key.expires_at, grace_end) if key.expires_at else grace_end
    else:
        key.revoked_at = now
    key.save(update_fields=["expires_at", "revoked_at"])
    changes = {
        "prefix": [key.prefix, created.row.prefix],
        "grace_seconds": [None, int(grace.total_seconds())],
    }
    access.recheck_streams(key.pk)
    _record(org, by, "api_key.rotate", key, changes)
    return created


def revoke(*, org: Org, by: Principal, key_id: UUID) -> None:
    """Revoke the key at once; its row is kept for the audit log. Raises NotFound."""
    key = _lock_active_key(org, by, key_id)
    key.revoked_at = timezone.now()
    key.save(update_fields=["revoked_at"])
    access.recheck_streams(key.pk)
    _record(org, by, "api_key.revoke", key, {"prefix": [key.prefix, None]})


def visible_keys(org: Org, by: Principal) -> ApiKeyQuerySet:
    """Return the keys that the principal may see."""
    return ApiKey.objects.for_org(org).visible_to(by)


def key_columns(key: ApiKey) -> ApiKeyColumns:
    """Return the columns of a key that the list of keys shows."""
    return ApiKey.objects.for_org(key.org_id).rows().get(pk=key.pk)


def _lock_active_key(org: Org, by: Principal, key_id: UUID) -> ApiKey:
    by.require(Permission.API_KEYS_OWN)
    return find_object(
        visible_keys(org, by).active().select_related("created_by"), key_id, lock=True
    )


def _require_domain(org: Org, domain_id: UUID | None) -> None:
    if domain_id is not None and not Domain.objects.for_org(org).filter(pk=domain_id).exists():
        raise Invalid([("domain_id", "There is no such domain in this organization.", "unknown")])


def _refuse_excess_rights(by: Principal, role: Role, scopes: Sequence[Permission]) -> None:
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


def _create_row(org: Org, row: ApiKey, expires_at: datetime | None, holder: UUID) -> CreatedKey:
    new_key = keys.generate()
    row.org, row.created_by_id, row.expires_at = org, holder, expires_at
    row.prefix, row.hash, row.tag = new_key.prefix, new_key.hash, new_key.tag
    row.save()
    return CreatedKey(row, new_key.text)


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
