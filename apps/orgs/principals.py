"""Who is asking, and what they may do: a member, an API key, an operator, or Drover itself.

Every verb takes one of these as `by`: it decides what is allowed, and its actor is what the audit trail names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from apps.orgs.exceptions import NoOrganization, PermissionMissing, SessionNeeded
from apps.orgs.roles import DOMAIN_PERMISSIONS, Permission, Role, allows, higher


@dataclass(frozen=True, slots=True)
class Actor:
    """Who an audit event names. `kind` is user, api_key, system or operator."""

    kind: str
    id: UUID | None
    label: str
    ip: str | None = None
    on_behalf_of: Actor | None = None  # the person for whom a program acts

    @property
    def is_key(self) -> bool:
        """Whether an API key acts, by itself or through a program."""
        asked_by = self.on_behalf_of
        return self.kind == "api_key" or (asked_by is not None and asked_by.is_key)


@dataclass(frozen=True, slots=True)
class Principal:
    """A member, or an API key, in one org. Built anew for every request.

    Drover itself and operators work in every org (`org_id` is None) and may do everything; see `system`, `operator`.
    """

    org_id: UUID | None
    user_id: UUID | None  # of an API key: who made it
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

    def require_org(self) -> UUID:
        """The org of a request; raises NoOrganization for who works in every org or in none."""
        if self.org_id is None:
            raise NoOrganization
        return self.org_id

    def require_user(self) -> UUID:
        """The person behind a request; raises SessionNeeded where there is none."""
        if self.user_id is None:
            raise SessionNeeded
        return self.user_id

    def require_person(self) -> None:
        """Raise SessionNeeded for an API key: what it makes or ends must not outlive its limits."""
        if self.actor.is_key:
            raise SessionNeeded

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

    def through(self, program: Actor) -> Principal:
        """The same rights, used by a program for this person: the audit trail names both."""
        acting = replace(program, ip=program.ip or self.actor.ip, on_behalf_of=self.actor)
        return replace(self, actor=acting)


def system(label: str, *, ip: str | None = None) -> Principal:
    """A part of Drover that acts by itself, with this name in the audit trail. It may do everything."""
    return Principal(None, None, Role.OWNER, Actor("system", None, label, ip))


def operator(label: str, *, user_id: UUID | None = None, ip: str | None = None) -> Principal:
    """Whoever runs this installation, on an operator's page or by a command. They may do everything."""
    return Principal(None, None, Role.OWNER, Actor("operator", user_id, label, ip))


def person(user_id: UUID, email: str, ip: str | None = None) -> Principal:
    """Somebody who acts for themselves and not as a member, as when they join an org. No role gives them rights."""
    actor = Actor("user", user_id, email, ip)
    return Principal(None, user_id, Role.VIEWER, actor, scopes=frozenset())


SYSTEM = system("Drover")
