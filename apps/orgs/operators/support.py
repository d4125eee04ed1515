"""Operators' actions on an org: request access, suspend, resume. The org's audit log records their reasons."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from apps.auth.mailing import access_notices as access
from apps.auth.models import User
from apps.orgs import audit, principals
from apps.orgs.models import Org, SupportAccess
from apps.orgs.walls.scope import org_scope

ACCESS_LIFETIME = timedelta(hours=1)


def grant_access(*, org_id: UUID, operator: User, reason: str, ip: str | None) -> SupportAccess:
    """Give an operator access to an org's rows for an hour."""
    with org_scope(org_id):
        org = Org.objects.get(pk=org_id)
        row: SupportAccess = SupportAccess.unscoped.create(
            org=org, operator=operator, reason=reason, until=timezone.now() + ACCESS_LIFETIME
        )
        _record(org, operator, "operator.access", ip, {"reason": [None, reason]})
    return row


def accessible_org_ids(operator: User) -> list[UUID]:
    """Return the ids of the orgs that an operator has access to now."""
    rows = SupportAccess.unscoped.using("ops").filter(operator=operator, until__gt=timezone.now())
    return list(rows.values_list("org_id", flat=True).distinct())


def find_org(pk: UUID) -> Org | None:
    """Return the org with this id, read on the operators' database connection."""
    return Org.objects.using("ops").filter(pk=pk).first()


def suspend(*, org_id: UUID, operator: User, reason: str, ip: str | None) -> None:
    """Make the org read-only. The reconciler ends its runs within seconds."""
    with org_scope(org_id):
        org = Org.objects.select_for_update().get(pk=org_id)
        org.suspended_at, org.suspended_because = timezone.now(), reason
        org.save(update_fields=["suspended_at", "suspended_because", "updated_at"])
        _record(org, operator, "operator.suspend", ip, {"reason": [None, reason]})
        access.recheck_streams(org_id)


def resume(*, org_id: UUID, operator: User, reason: str, ip: str | None) -> None:
    """End the suspension. Schedules continue with their next slot."""
    with org_scope(org_id):
        org = Org.objects.select_for_update().get(pk=org_id)
        org.suspended_at, org.suspended_because = None, ""
        org.save(update_fields=["suspended_at", "suspended_because", "updated_at"])
        _record(org, operator, "operator.resume", ip, {"reason": [None, reason]})


def _record(
    org: Org, operator: User, action: str, ip: str | None, changes: dict[str, list[str | None]]
) -> None:
    audit.record(
        org=org,
        by=principals.operator_principal(operator.email, user_id=operator.pk, ip=ip),
        action=action,
        object_kind="org",
        object_id=org.pk,
        object_label=org.name,
        changes=changes,
    )
