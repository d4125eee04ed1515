"""A simple model of the permissions in an org, with which the state machine compares Drover.

It uses nothing of the product: the table is written out again from the design.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

RANKS = ("viewer", "member", "admin", "owner")
FOR_OWNERS = {"org.delete", "org.transfer", "owners.manage"}
FOR_ADMINS = {
    "org.update",
    "members.manage",
    "invitations.manage",
    "domains.manage",
    "api_keys.manage",
    "audit.view",
    "settings.edit",
}
IN_A_DOMAIN = {
    "connectors.edit",
    "pipelines.edit",
    "pipelines.delete",
    "pipelines.run",
    "runs.cancel",
    "state.edit",
    "alerts.edit",
}
FOR_MEMBERS = IN_A_DOMAIN | {"custom_sources.edit", "agent.use", "api_keys.own"}
ALL = FOR_OWNERS | FOR_ADMINS | FOR_MEMBERS | {"read"}


def rank(role: str) -> int:
    return RANKS.index(role)


def needs(permission: str) -> str:
    """The least role that has the permission."""
    if permission in FOR_OWNERS:
        return "owner"
    if permission in FOR_ADMINS:
        return "admin"
    return "member" if permission in FOR_MEMBERS else "viewer"


@dataclass
class Invited:
    id: str
    role: str
    link: str
    expired: bool = False


@dataclass
class Key:
    id: str
    text: str
    maker: str
    role: str
    scopes: frozenset[str]
    domain: UUID | None
    alive: bool = True


@dataclass
class OrgModel:
    """Users are identified by their addresses."""

    members: dict[str, str]  # person: role
    overrides: dict[tuple[UUID, str], str] = field(default_factory=dict)  # (domain, person): role
    domains: list[UUID] = field(default_factory=list)
    connectors: dict[UUID, UUID | None] = field(default_factory=dict)  # connector: its domain
    invited: dict[str, Invited] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)

    def role(self, person: str, domain: UUID | None = None) -> str:
        """Return a member's permission, in the whole org or for the objects of one domain."""
        raised = self.overrides.get((domain, person), "viewer") if domain else "viewer"
        return max(self.members[person], raised, key=rank)

    def allows(self, person: str, permission: str, domain: UUID | None = None) -> bool:
        if person not in self.members:
            return False
        inside = permission in IN_A_DOMAIN or permission == "read"
        role = self.role(person, domain if inside else None)
        return rank(role) >= rank(needs(permission))

    def key_allows(self, key: Key, permission: str, domain: UUID | None = None) -> bool:
        """Never more than the key's role, its maker's current role, its scopes and its domain."""
        if not key.alive or key.maker not in self.members:
            return False
        if key.scopes and permission not in key.scopes:
            return False
        inside = permission in IN_A_DOMAIN or permission == "read"
        if key.domain is not None and not inside:
            return False
        if key.domain is not None and permission != "read" and domain != key.domain:
            return False
        role = min(key.role, self.members[key.maker], key=rank)
        return rank(role) >= rank(needs(permission))

    def reaches(self, person: str, *roles: str) -> bool:
        """Whether a member may grant or remove these roles: none above their own, `owner` only by owners."""
        own = rank(self.members[person])
        return all(rank(role) <= own and (role != "owner" or own == 3) for role in roles)

    def owners(self) -> list[str]:
        return [person for person, role in self.members.items() if role == "owner"]

    def end(self, person: str) -> None:
        """End a membership, and remove what depends on it."""
        del self.members[person]
        self.overrides = {k: v for k, v in self.overrides.items() if k[1] != person}
        for key in self.keys:
            key.alive = key.alive and key.maker != person

    def end_domain(self, domain: UUID) -> None:
        self.domains.remove(domain)
        self.overrides = {k: v for k, v in self.overrides.items() if k[0] != domain}
        self.keys = [key for key in self.keys if key.domain != domain]
        self.connectors = {k: None if v == domain else v for k, v in self.connectors.items()}
