"""Queries of orgs: methods of QuerySets that are already limited to one org."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils import timezone

from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgManager, OrgQuerySet, Rows

if TYPE_CHECKING:
    from apps.orgs.models import ApiKey, AuditEvent, Domain, Invitation, Membership
    from apps.orgs.principals import Principal


class MembershipQuerySet(OrgQuerySet["Membership"]):
    def rows(self) -> Rows[Membership]:
        """Return the columns of the member list."""
        return self.columns(
            "id", "user_id", "user__email", "user__name", "user__kind", "role", "created_at"
        )


class MembershipManager(OrgManager["Membership", MembershipQuerySet]):
    queryset_class = MembershipQuerySet


class DomainQuerySet(OrgQuerySet["Domain"]):
    def rows(self) -> Rows[Domain]:
        return self.columns("id", "name", "created_at", "updated_at")


class DomainManager(OrgManager["Domain", DomainQuerySet]):
    queryset_class = DomainQuerySet


class InvitationQuerySet(OrgQuerySet["Invitation"]):
    def open(self) -> InvitationQuerySet:
        """Return pending invitations, including expired ones, which can be sent again."""
        return self.filter(accepted_at__isnull=True)

    def rows(self) -> Rows[Invitation]:
        return self.columns(
            "id", "email", "role", "invited_by__email", "created_at", "sent_at", "expires_at"
        )


class InvitationManager(OrgManager["Invitation", InvitationQuerySet]):
    queryset_class = InvitationQuerySet


class ApiKeyQuerySet(OrgQuerySet["ApiKey"]):
    def seen_by(self, principal: Principal) -> ApiKeyQuerySet:
        """Return all keys for a principal who may manage keys, else the principal's own."""
        if principal.may(Permission.API_KEYS_MANAGE):
            return self
        return self.filter(created_by_id=principal.user_id)

    def active(self) -> ApiKeyQuerySet:
        unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, revoked_at__isnull=True)

    def rows(self) -> Rows[ApiKey]:
        return self.columns(
            "id",
            "name",
            "prefix",
            "role",
            "scopes",
            "domain_id",
            "created_by_id",
            "created_by__email",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        )


class ApiKeyManager(OrgManager["ApiKey", ApiKeyQuerySet]):
    queryset_class = ApiKeyQuerySet


class AuditEventQuerySet(OrgQuerySet["AuditEvent"]):
    def matching(self, **wanted: Any) -> AuditEventQuerySet:
        """Filter the audit log: actor and object by id, action by name, `since` <= at < `until`."""
        columns = {
            "actor": "actor_id",
            "action": "action",
            "object": "object_id",
            "object_kind": "object_kind",
            "since": "at__gte",
            "until": "at__lt",
        }
        return self.filter(**{columns[name]: value for name, value in wanted.items()})

    def rows(self) -> Rows[AuditEvent]:
        return self.columns(
            "id",
            "at",
            "actor_kind",
            "actor_id",
            "actor_label",
            "on_behalf_of",
            "action",
            "object_kind",
            "object_id",
            "object_label",
            "changes",
            "ip",
        )


class AuditEventManager(OrgManager["AuditEvent", AuditEventQuerySet]):
    queryset_class = AuditEventQuerySet
