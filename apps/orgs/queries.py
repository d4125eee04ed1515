"""QuerySets of org-owned models. Their managers limit them to one org."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from apps.json import JsonObject
from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgManager, OrgQuerySet, Rows

if TYPE_CHECKING:
    from apps.orgs.models import ApiKey, AuditEvent, Domain, Invitation, Membership
    from apps.orgs.principals import Principal


class MembershipColumns(TypedDict):
    id: UUID
    user_id: UUID
    user__email: str
    user__name: str
    user__kind: str
    role: str
    created_at: datetime


class MembershipQuerySet(OrgQuerySet["Membership"]):
    def rows(self) -> Rows[Membership, MembershipColumns]:
        """Return rows for the list of members."""
        return self.columns(MembershipColumns)


class MembershipManager(OrgManager["Membership", MembershipQuerySet]):
    queryset_class = MembershipQuerySet


class DomainColumns(TypedDict):
    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime


class DomainQuerySet(OrgQuerySet["Domain"]):
    def rows(self) -> Rows[Domain, DomainColumns]:
        return self.columns(DomainColumns)


class DomainManager(OrgManager["Domain", DomainQuerySet]):
    queryset_class = DomainQuerySet


class InvitationColumns(TypedDict):
    id: UUID
    email: str
    role: str
    invited_by__email: str | None
    created_at: datetime
    sent_at: datetime | None
    expires_at: datetime


class InvitationQuerySet(OrgQuerySet["Invitation"]):
    def unaccepted(self) -> InvitationQuerySet:
        """Return the invitations that were not accepted yet. Some have expired; they can be sent again."""
        return self.filter(accepted_at__isnull=True)

    def rows(self) -> Rows[Invitation, InvitationColumns]:
        return self.columns(InvitationColumns)


class InvitationManager(OrgManager["Invitation", InvitationQuerySet]):
    queryset_class = InvitationQuerySet


class ApiKeyColumns(TypedDict):
    id: UUID
    name: str
    prefix: str
    role: str
    scopes: list[str]
    domain_id: UUID | None
    created_by_id: UUID
    created_by__email: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class ApiKeyQuerySet(OrgQuerySet["ApiKey"]):
    def visible_to(self, principal: Principal) -> ApiKeyQuerySet:
        """Return all keys if the principal may manage keys, else only the principal's own keys."""
        if principal.may(Permission.API_KEYS_MANAGE):
            return self
        return self.filter(created_by_id=principal.user_id)

    def active(self) -> ApiKeyQuerySet:
        unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, revoked_at__isnull=True)

    def rows(self) -> Rows[ApiKey, ApiKeyColumns]:
        return self.columns(ApiKeyColumns)


class ApiKeyManager(OrgManager["ApiKey", ApiKeyQuerySet]):
    queryset_class = ApiKeyQuerySet


class AuditEventColumns(TypedDict):
    id: UUID
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    actor_label: str
    on_behalf_of: JsonObject | None
    action: str
    object_kind: str
    object_id: UUID | None
    object_label: str
    changes: JsonObject
    ip: str | None


class AuditEventQuerySet(OrgQuerySet["AuditEvent"]):
    def matching(self, *, q: str = "", **filters: Any) -> AuditEventQuerySet:
        """Filter the audit log: actor and object by id, action by name, `since` <= at < `until`.

        `q` is a part of the name of the actor or the object.
        """
        columns = {
            "actor": "actor_id",
            "action": "action",
            "object": "object_id",
            "object_kind": "object_kind",
            "since": "at__gte",
            "until": "at__lt",
        }
        events = self.filter(**{columns[name]: value for name, value in filters.items()})
        if q:
            events = events.filter(Q(actor_label__icontains=q) | Q(object_label__icontains=q))
        return events

    def rows(self) -> Rows[AuditEvent, AuditEventColumns]:
        return self.columns(AuditEventColumns)


class AuditEventManager(OrgManager["AuditEvent", AuditEventQuerySet]):
    queryset_class = AuditEventQuerySet
