"""Principals: a member, an API key, an operator, or Drover itself, with their permissions.

Every action takes a principal as `by`. It decides what is allowed, and the audit log names its actor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from apps.orgs.exceptions import NoOrganization, PermissionMissing, SessionNeeded
from apps.orgs.roles import DOMAIN_PERMISSIONS, Permission, Role, allows, higher


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor named by an audit event. `kind` is user, api_key, system or operator."""

    kind: str
    id: UUID | None
    label: str
    ip: str | None = None
    on_behalf_of: Actor | None = None  # the person for whom a program acts

    @property
    def is_key(self) -> bool:
        """Whether an API key acts, directly or through a program."""
        asked_by = self.on_behalf_of
        return self.kind == "api_key" or (asked_by is not None and asked_by.is_key)


@dataclass(frozen=True, slots=True)
class Principal:
    """A member, or an API key, in one org. Created for every request.

    Drover itself and operators work in every org (`org_id` is None) and may do everything; see `system`,
    `operator`.
    """

    org_id: UUID | None
    user_id: UUID | None  # for an API key, the user who created it
    role: Role
    actor: Actor
    membership_id: UUID | None = None
    domain_roles: Mapping[UUID, Role] = field(default_factory=dict)
    scopes: frozenset[Permission] | None = (
        None  # an API key's scopes; None means all permissions of the role
    )
    only_domain: UUID | None = None  # the domain to which an API key is limited
    session_id: UUID | None = None
    second_factor: bool = False  # of the session
    by_sso: bool = False  # whether the session began with the org's own identity provider

    def may(self, permission: Permission, *, domain_id: UUID | None = None) -> bool:
        """Whether the principal has this permission, for an object of `domain_id` if that is set."""
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

    def require_org(self) -> UUID:
        """Return the org of a request. Raises NoOrganization for a principal without a single org."""
        if self.org_id is None:
            raise NoOrganization
        return self.org_id

    def require_user(self) -> UUID:
        """Return the user of a request. Raises SessionNeeded if there is none."""
        if self.user_id is None:
            raise SessionNeeded
        return self.user_id

    def require_person(self) -> None:
        """Raise SessionNeeded for an API key, because the effect must not outlive the key's limits."""
        if self.actor.is_key:
            raise SessionNeeded

    def require_session(self) -> UUID:
        """Return the session's id. Raises SessionNeeded for an API key."""
        if self.session_id is None:
            raise SessionNeeded
        return self.session_id

    def may_somewhere(self, permission: Permission) -> bool:
        """Whether the principal has this permission for any object; the view's first check."""
        domains: list[UUID | None] = [None, *self.domain_roles]
        if self.only_domain is not None:
            domains = [self.only_domain]
        return any(self.may(permission, domain_id=domain) for domain in domains)

    def permissions(self, *, domain_id: UUID | None = None) -> list[str]:
        """Return the names of all permissions that `may` allows, in the table's order."""
        return [each.value for each in Permission if self.may(each, domain_id=domain_id)]

    def domains(self) -> list[UUID]:
        """Return the domains in which the permissions differ from those in the rest of the org."""
        return [*self.domain_roles, *([self.only_domain] if self.only_domain else [])]

    def role_in(self, domain_id: UUID | None, permission: Permission) -> Role:
        override = self.domain_roles.get(domain_id) if domain_id else None
        if override is None or permission not in DOMAIN_PERMISSIONS:
            return self.role
        return higher(self.role, override)

    def through(self, program: Actor) -> Principal:
        """Return a principal with the same rights, used by a program for this person: the audit log names both."""
        acting = replace(program, ip=program.ip or self.actor.ip, on_behalf_of=self.actor)
        return replace(self, actor=acting)


def system(label: str, *, ip: str | None = None) -> Principal:
    """Return the principal for a part of Drover, with this name in the audit log. It may do everything."""
    return Principal(None, None, Role.OWNER, Actor("system", None, label, ip))


def operator(label: str, *, user_id: UUID | None = None, ip: str | None = None) -> Principal:
    """Return the principal for the operator of this installation, on an operator's page or by a command.

    It may do everything.
    """
    return Principal(None, None, Role.OWNER, Actor("operator", user_id, label, ip))


def person(user_id: UUID, email: str, ip: str | None = None) -> Principal:
    """Return the principal for a user who does not act as a member, such as when joining an org.

    It has no permissions.
    """
    actor = Actor("user", user_id, email, ip)
    return Principal(None, user_id, Role.VIEWER, actor, scopes=frozenset())


SYSTEM = system("Drover")
