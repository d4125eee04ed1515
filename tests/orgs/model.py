"""A simple model of the permissions in an org. The state machine test compares Drover with it.

It imports no code of Drover. Its permission table is a copy of the table in the design.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

RANKS = ("viewer", "member", "admin", "owner")
OWNER_PERMISSIONS = {"org.delete", "org.transfer", "owners.manage"}
ADMIN_PERMISSIONS = {
    "org.update",
    "members.manage",
    "invitations.manage",
    "domains.manage",
    "api_keys.manage",
    "audit.view",
    "settings.edit",
}
DOMAIN_PERMISSIONS = {
    "connectors.edit",
    "pipelines.edit",
    "pipelines.delete",
    "pipelines.run",
    "runs.cancel",
    "state.edit",
    "alerts.edit",
    "data.view",
}
MEMBER_PERMISSIONS = DOMAIN_PERMISSIONS | {"custom_sources.edit", "agent.use", "api_keys.own"}
ALL_PERMISSIONS = OWNER_PERMISSIONS | ADMIN_PERMISSIONS | MEMBER_PERMISSIONS | {"read"}


def rank(role: str) -> int:
    return RANKS.index(role)


def required_role(permission: str) -> str:
    """Return the lowest role that has the permission."""
    if permission in OWNER_PERMISSIONS:
        return "owner"
    if permission in ADMIN_PERMISSIONS:
        return "admin"
    return "member" if permission in MEMBER_PERMISSIONS else "viewer"


@dataclass
class ModelInvitation:
    id: str
    role: str
    link: str
    expired: bool = False


@dataclass
class ModelKey:
    id: str
    text: str
    creator: str
    role: str
    scopes: frozenset[str]
    domain: UUID | None
    is_active: bool = True


@dataclass
class OrgModel:
    """The model of one org. Users are identified by their e-mail addresses."""

    members: dict[str, str]  # person: role
    # (domain, person): role
    domain_roles: dict[tuple[UUID, str], str] = field(default_factory=dict)
    domains: list[UUID] = field(default_factory=list)
    connectors: dict[UUID, UUID | None] = field(default_factory=dict)  # connector: its domain
    invitations: dict[str, ModelInvitation] = field(default_factory=dict)
    keys: list[ModelKey] = field(default_factory=list)

    def role(self, person: str, domain: UUID | None = None) -> str:
        """Return a member's role in the whole org, or in one domain."""
        domain_role = self.domain_roles.get((domain, person), "viewer") if domain else "viewer"
        return max(self.members[person], domain_role, key=rank)

    def allows(self, person: str, permission: str, domain: UUID | None = None) -> bool:
        if person not in self.members:
            return False
        applies_in_domains = permission in DOMAIN_PERMISSIONS or permission == "read"
        role = self.role(person, domain if applies_in_domains else None)
        return rank(role) >= rank(required_role(permission))

    def key_allows(self, key: ModelKey, permission: str, domain: UUID | None = None) -> bool:
        """Return whether a key has the permission: role, creator, scopes and domain must permit it."""
        if not key.is_active or key.creator not in self.members:
            return False
        if key.scopes and permission not in key.scopes:
            return False
        applies_in_domains = permission in DOMAIN_PERMISSIONS or permission == "read"
        if key.domain is not None and not applies_in_domains:
            return False
        if key.domain is not None and permission != "read" and domain != key.domain:
            return False
        role = min(key.role, self.members[key.creator], key=rank)
        return rank(role) >= rank(required_role(permission))

    def may_manage_roles(self, person: str, *roles: str) -> bool:
        """Return whether a member may grant or remove these roles. No role may be above the member's own role."""
        own_rank = rank(self.members[person])
        return all(rank(role) <= own_rank and (role != "owner" or own_rank == 3) for role in roles)

    def owners(self) -> list[str]:
        return [person for person, role in self.members.items() if role == "owner"]

    def remove_member(self, person: str) -> None:
        """Remove a member with their domain roles, and revoke their keys."""
        del self.members[person]
        self.domain_roles = {k: v for k, v in self.domain_roles.items() if k[1] != person}
        for key in self.keys:
            key.is_active = key.is_active and key.creator != person

    def delete_domain(self, domain: UUID) -> None:
        self.domains.remove(domain)
        self.domain_roles = {k: v for k, v in self.domain_roles.items() if k[0] != domain}
        self.keys = [key for key in self.keys if key.domain != domain]
        self.connectors = {k: None if v == domain else v for k, v in self.connectors.items()}
