"""What all members of an org may read of it, and a member's permissions with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.auth.models import User
from apps.orgs.models import Domain, DomainRole, Invitation, Membership, Org, VerifiedDomain
from apps.orgs.placement import one
from apps.orgs.queries import DomainQuerySet, InvitationQuerySet, MembershipQuerySet
from apps.orgs.roles import RANK, Permission, Role, explain


def members(org: Org) -> MembershipQuerySet:
    """The org's people and service accounts."""
    return Membership.objects.for_org(org)


def service_accounts(org: Org) -> MembershipQuerySet:
    """The org's service accounts."""
    return members(org).filter(user__kind=User.Kind.SERVICE)


def domains(org: Org) -> DomainQuerySet:
    """The org's domains."""
    return Domain.objects.for_org(org)


def domain(org: Org, domain_id: UUID) -> Domain:
    """Return one of the org's domains. Raises NotFound."""
    return one(domains(org), domain_id)


def raised_in(domain: Domain) -> list[dict[str, Any]]:
    """Return the domain roles of a domain, by address."""
    overrides = DomainRole.objects.for_org(domain.org_id).filter(domain=domain)
    columns = ("membership_id", "membership__user__email", "role")
    return [
        {"member_id": member_id, "email": email, "role": role}
        for member_id, email, role in overrides.order_by(columns[1]).values_list(*columns)
    ]


def open_invitations(org: Org) -> InvitationQuerySet:
    """The org's pending invitations."""
    return Invitation.objects.for_org(org).open()


def verified_domains(org: Org) -> QuerySet[VerifiedDomain]:
    """The org's e-mail domains, verified or not, by name."""
    found: QuerySet[VerifiedDomain] = VerifiedDomain.objects.for_org(org)
    return found.order_by("domain")


@dataclass(frozen=True, slots=True)
class Access:
    """A member's permissions. `role_here` is the role that applies to the objects in question."""

    role: Role
    role_here: Role
    permissions: list[dict[str, Any]]  # permission, allowed, reason


def access(org: Org, member_id: UUID, domain_id: UUID | None) -> Access:
    """Return a member's permissions for objects of a domain, or for objects without one. Raises NotFound."""
    member = one(members(org), member_id)
    there = domain(org, domain_id) if domain_id else None
    overrides = DomainRole.objects.for_org(org).filter(domain=there, membership=member)
    raised = overrides.values_list("role", flat=True).first() if there else None
    role, higher = Role(member.role), Role(raised) if raised else None
    rows = []
    for permission in Permission:
        name = there.name if there else ""
        allowed, because = explain(permission, role=role, raised=higher, domain=name)
        rows.append({"permission": permission, "allowed": allowed, "because": because})
    here = higher if higher and RANK[higher] > RANK[role] else role
    return Access(role, here, rows)
