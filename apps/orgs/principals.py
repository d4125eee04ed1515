"""Principals: members, API keys, operators and Drover itself, with their permissions.

Every action takes a principal as its argument `by`. The principal's permissions decide whether the action is allowed,
and the audit log records the principal's actor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from apps.orgs.exceptions import NoOrganization, PermissionMissing, SessionNeeded
from apps.orgs.roles import DOMAIN_PERMISSIONS, Permission, Role, allows, higher_role


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor in an audit event. `kind` is user, api_key, system or operator."""

    kind: str
    id: UUID | None
    label: str
    ip: str | None = None
    on_behalf_of: Actor | None = None  # the person for whom a program acts

    @property
    def is_key(self) -> bool:
        """Whether the actor is an API key, or a program that acts for an API key."""
        represented = self.on_behalf_of
        return self.kind == "api_key" or (represented is not None and represented.is_key)


@dataclass(frozen=True, slots=True)
class Principal:
    """A member, or an API key, in one org. Created for every request.

    The functions `system_principal` and `operator_principal` return principals for Drover itself and for operators.
    Their `org_id` is None, because they may do everything in every org.
    """

    org_id: UUID | None
    user_id: UUID | None  # for an API key, the user who created it
    role: Role
    actor: Actor
    membership_id: UUID | None = None
    domain_roles: Mapping[UUID, Role] = field(default_factory=dict)
    # The scopes of an API key. None means all permissions of the role.
    scopes: frozenset[Permission] | None = None
    only_domain: UUID | None = None  # the domain to which an API key is limited
    session_id: UUID | None = None
    second_factor: bool = False  # whether the session has verified a second factor
    by_sso: bool = False  # whether the user logged in with the org's own identity provider

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
        """Raise PermissionMissing if `may` returns False."""
        if not self.may(permission, domain_id=domain_id):
            raise PermissionMissing(permission)

    def require_org(self) -> UUID:
        """Return the id of the org. Raises NoOrganization if the principal has no org."""
        if self.org_id is None:
            raise NoOrganization
        return self.org_id

    def require_user(self) -> UUID:
        """Return the id of the user. Raises SessionNeeded if the principal has no user."""
        if self.user_id is None:
            raise SessionNeeded
        return self.user_id

    def require_person(self) -> None:
        """Raise SessionNeeded for an API key.

        Used for actions whose effect would continue after the key has expired or was revoked.
        """
        if self.actor.is_key:
            raise SessionNeeded

    def require_session(self) -> UUID:
        """Return the id of the session. Raises SessionNeeded if the principal has no session, such as an API key."""
        if self.session_id is None:
            raise SessionNeeded
        return self.session_id

    def may_somewhere(self, permission: Permission) -> bool:
        """Whether the principal has this permission for at least one object. A view checks this first."""
        domains: list[UUID | None] = [None, *self.domain_roles]
        if self.only_domain is not None:
            domains = [self.only_domain]
        return any(self.may(permission, domain_id=domain) for domain in domains)

    def permissions(self, *, domain_id: UUID | None = None) -> list[str]:
        """Return the names of the principal's permissions, in the order of `Permission`."""
        return [
            permission.value
            for permission in Permission
            if self.may(permission, domain_id=domain_id)
        ]

    def domains_with_own_permissions(self) -> list[UUID]:
        """Return the ids of the domains in which the principal has other permissions than in the org."""
        return [*self.domain_roles, *([self.only_domain] if self.only_domain else [])]

    def role_in(self, domain_id: UUID | None, permission: Permission) -> Role:
        domain_role = self.domain_roles.get(domain_id) if domain_id else None
        if domain_role is None or permission not in DOMAIN_PERMISSIONS:
            return self.role
        return higher_role(self.role, domain_role)

    def acting_through(self, program: Actor) -> Principal:
        """Return the principal of a program that acts for this principal, with the same permissions.

        The audit log records the program and the person.
        """
        actor = replace(program, ip=program.ip or self.actor.ip, on_behalf_of=self.actor)
        return replace(self, actor=actor)


def system_principal(label: str, *, ip: str | None = None) -> Principal:
    """Return the principal for a part of Drover. The principal may do everything, and the audit log shows `label`."""
    return Principal(None, None, Role.OWNER, Actor("system", None, label, ip))


def operator_principal(
    label: str, *, user_id: UUID | None = None, ip: str | None = None
) -> Principal:
    """Return the principal for an operator, who uses an operator's page or a command.

    The principal may do everything.
    """
    return Principal(None, None, Role.OWNER, Actor("operator", user_id, label, ip))


def person_principal(user_id: UUID, email: str, ip: str | None = None) -> Principal:
    """Return the principal for a user who does not act as a member, for example a user who joins an org.

    The principal has no permissions.
    """
    actor = Actor("user", user_id, email, ip)
    return Principal(None, user_id, Role.VIEWER, actor, scopes=frozenset())


SYSTEM = system_principal("Drover")
