"""The table of roles and permissions. `manage.py print_roles` prints it."""

from __future__ import annotations

from enum import StrEnum

from django.db import models


class Role(models.TextChoices):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Permission(StrEnum):
    ORG_DELETE = "org.delete"
    ORG_TRANSFER = "org.transfer"
    OWNERS_MANAGE = "owners.manage"
    ORG_UPDATE = "org.update"
    MEMBERS_MANAGE = "members.manage"
    INVITATIONS_MANAGE = "invitations.manage"
    DOMAINS_MANAGE = "domains.manage"
    API_KEYS_MANAGE = "api_keys.manage"
    AUDIT_VIEW = "audit.view"
    SETTINGS_EDIT = "settings.edit"
    CONNECTORS_EDIT = "connectors.edit"
    CUSTOM_SOURCES_EDIT = "custom_sources.edit"
    PIPELINES_EDIT = "pipelines.edit"
    PIPELINES_DELETE = "pipelines.delete"
    PIPELINES_RUN = "pipelines.run"
    RUNS_CANCEL = "runs.cancel"
    STATE_EDIT = "state.edit"
    ALERTS_EDIT = "alerts.edit"
    DATA_VIEW = "data.view"
    AGENT_USE = "agent.use"
    API_KEYS_OWN = "api_keys.own"
    READ = "read"


RANK = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2, Role.OWNER: 3}

_MINIMUM_ROLES: dict[Permission, Role] = {
    Permission.ORG_DELETE: Role.OWNER,
    Permission.ORG_TRANSFER: Role.OWNER,
    Permission.OWNERS_MANAGE: Role.OWNER,
    Permission.ORG_UPDATE: Role.ADMIN,
    Permission.MEMBERS_MANAGE: Role.ADMIN,
    Permission.INVITATIONS_MANAGE: Role.ADMIN,
    Permission.DOMAINS_MANAGE: Role.ADMIN,
    Permission.API_KEYS_MANAGE: Role.ADMIN,
    Permission.AUDIT_VIEW: Role.ADMIN,
    Permission.SETTINGS_EDIT: Role.ADMIN,
    Permission.CONNECTORS_EDIT: Role.MEMBER,
    Permission.CUSTOM_SOURCES_EDIT: Role.MEMBER,
    Permission.PIPELINES_EDIT: Role.MEMBER,
    Permission.PIPELINES_DELETE: Role.MEMBER,
    Permission.PIPELINES_RUN: Role.MEMBER,
    Permission.RUNS_CANCEL: Role.MEMBER,
    Permission.STATE_EDIT: Role.MEMBER,
    Permission.ALERTS_EDIT: Role.MEMBER,
    Permission.DATA_VIEW: Role.MEMBER,
    Permission.AGENT_USE: Role.MEMBER,
    Permission.API_KEYS_OWN: Role.MEMBER,
    Permission.READ: Role.VIEWER,
}

ROLES_BY_PERMISSION: dict[Permission, frozenset[Role]] = {
    permission: frozenset(role for role in Role if RANK[role] >= RANK[minimum])
    for permission, minimum in _MINIMUM_ROLES.items()
}

# A domain role grants these permissions for the objects of its domain, and no others.
DOMAIN_PERMISSIONS = frozenset(
    {
        Permission.CONNECTORS_EDIT,
        Permission.PIPELINES_EDIT,
        Permission.PIPELINES_DELETE,
        Permission.PIPELINES_RUN,
        Permission.RUNS_CANCEL,
        Permission.STATE_EDIT,
        Permission.ALERTS_EDIT,
        Permission.DATA_VIEW,
        Permission.READ,
    }
)


# The possible domain roles. An owner always owns the whole org.
DOMAIN_ROLES = (Role.ADMIN, Role.MEMBER)


def allows(role: Role, permission: Permission) -> bool:
    return role in ROLES_BY_PERMISSION[permission]


def higher_role(one: Role, other: Role) -> Role:
    return one if RANK[one] >= RANK[other] else other


def explain(
    permission: Permission, *, role: Role, domain_role: Role | None, domain_name: str
) -> tuple[bool, str]:
    """Return (allowed, reason) for a member with this role, and with `domain_role` in the domain `domain_name`."""
    minimum = _MINIMUM_ROLES[permission]
    if RANK[role] >= RANK[minimum]:
        return True, f"Allowed for the role {role}."
    if domain_role is not None and permission not in DOMAIN_PERMISSIONS:
        return (
            False,
            f"Needs the role {minimum}; a domain role applies only to the domain's own objects.",
        )
    if domain_role is not None and RANK[domain_role] >= RANK[minimum]:
        return True, f"The domain role in {domain_name} raises {role} to {domain_role}."
    return False, f"Needs the role {minimum}; this member's role here is {domain_role or role}."
