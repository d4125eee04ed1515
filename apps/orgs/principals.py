"""Who is asking: the member or key behind a request, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from apps.orgs.exceptions import PermissionMissing, SessionNeeded
from apps.orgs.roles import DOMAIN_PERMISSIONS, Permission, Role, allows, higher


@dataclass(frozen=True, slots=True)
class Actor:
    """Who an audit event names. `kind` is user, api_key, system or operator."""

    kind: str
    id: UUID | None
    label: str
    ip: str | None = None


SYSTEM = Actor(kind="system", id=None, label="Drover")


@dataclass(frozen=True, slots=True)
class Principal:
    """A member, or an API key, in one org. Built anew for every request."""

    org_id: UUID
    user_id: UUID
    role: Role
    actor: Actor
    membership_id: UUID | None = None
    domain_roles: Mapping[UUID, Role] = field(default_factory=dict)
    scopes: frozenset[Permission] | None = None  # an API key's; None means all of the role
    only_domain: UUID | None = None  # an API key limited to one domain
    session_id: UUID | None = None
    second_factor: bool = False  # of the session
    by_sso: bool = False  # the session was begun by the org's own identity provider

    def may(self, permission: Permission, *, domain_id: UUID | None = None) -> bool:
        """Whether this permission holds, for an object of `domain_id` when it has one."""
        if self.scopes is not None and permission not in self.scopes:
            return False
        if self.only_domain is not None and (
            permission not in DOMAIN_PERMISSIONS
            or (domain_id != self.only_domain and permission is not Permission.READ)
        ):
            return False
        return allows(self.role_in(domain_id, permission), permission)

    def require(self, permission: Permission, *, domain_id: UUID | None = None) -> None:
        """Raise PermissionMissing unless `may`."""
        if not self.may(permission, domain_id=domain_id):
            raise PermissionMissing(permission)

    def require_session(self) -> UUID:
        """The session's id; raises SessionNeeded for an API key."""
        if self.session_id is None:
            raise SessionNeeded
        return self.session_id

    def may_somewhere(self, permission: Permission) -> bool:
        """Whether any object could be touched with this permission: the view's first check."""
        domains: list[UUID | None] = [None, *self.domain_roles]
        if self.only_domain is not None:
            domains = [self.only_domain]
        return any(self.may(permission, domain_id=domain) for domain in domains)

    def permissions(self, *, domain_id: UUID | None = None) -> list[str]:
        """The names of all that `may`, in the table's order."""
        return [each.value for each in Permission if self.may(each, domain_id=domain_id)]

    def domains(self) -> list[UUID]:
        """Where its permissions differ from those in the rest of the org."""
        return [*self.domain_roles, *([self.only_domain] if self.only_domain else [])]

    def role_in(self, domain_id: UUID | None, permission: Permission) -> Role:
        override = self.domain_roles.get(domain_id) if domain_id else None
        if override is None or permission not in DOMAIN_PERMISSIONS:
            return self.role
        return higher(self.role, override)
