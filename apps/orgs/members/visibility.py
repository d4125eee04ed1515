"""The parts of an org that its members may read, and the permissions of one member with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.auth.models import User
from apps.orgs.models import Domain, DomainRole, Invitation, Membership, Org, VerifiedDomain
from apps.orgs.placement import find_object
from apps.orgs.queries import DomainQuerySet, InvitationQuerySet, MembershipQuerySet
from apps.orgs.roles import RANK, Permission, Role, explain


def members(org: Org) -> MembershipQuerySet:
    """Return the org's people and service accounts."""
    return Membership.objects.for_org(org)


def service_accounts(org: Org) -> MembershipQuerySet:
    """Return the org's service accounts."""
    return members(org).filter(user__kind=User.Kind.SERVICE)


def domains(org: Org) -> DomainQuerySet:
    """Return the org's domains."""
    return Domain.objects.for_org(org)


def find_domain(org: Org, domain_id: UUID) -> Domain:
    """Return one of the org's domains. Raises NotFound."""
    return find_object(domains(org), domain_id)


def domain_roles(domain: Domain) -> list[dict[str, Any]]:
    """Return the domain roles of the members of a domain, ordered by e-mail address."""
    rows = DomainRole.objects.for_org(domain.org_id).filter(domain=domain)
    columns = ("membership_id", "membership__user__email", "role")
    return [
        {"member_id": member_id, "email": email, "role": role}
        for member_id, email, role in rows.order_by(columns[1]).values_list(*columns)
    ]


def open_invitations(org: Org) -> InvitationQuerySet:
    """Return the org's invitations that were not accepted yet."""
    return Invitation.objects.for_org(org).unaccepted()


def verified_domains(org: Org) -> QuerySet[VerifiedDomain]:
    """Return the org's e-mail domains, verified or not, ordered by name."""
    rows: QuerySet[VerifiedDomain] = VerifiedDomain.objects.for_org(org)
    return rows.order_by("domain")


@dataclass(frozen=True, slots=True)
class MemberAccess:
    """A member's permissions. `role` applies in the org, `role_here` to the objects of the chosen domain."""

    role: Role
    role_here: Role
    permissions: list[dict[str, Any]]  # each with the keys permission, allowed and because


def explain_access(org: Org, member_id: UUID, domain_id: UUID | None) -> MemberAccess:
    """Return a member's permissions for the objects of a domain, or for objects without a domain. Raises NotFound."""
    member = find_object(members(org), member_id)
    chosen_domain = find_domain(org, domain_id) if domain_id else None
    domain_roles = DomainRole.objects.for_org(org).filter(domain=chosen_domain, membership=member)
    role_value = domain_roles.values_list("role", flat=True).first() if chosen_domain else None
    role, domain_role = Role(member.role), Role(role_value) if role_value else None
    rows = []
    for permission in Permission:
        domain_name = chosen_domain.name if chosen_domain else ""
        allowed, because = explain(
            permission, role=role, domain_role=domain_role, domain_name=domain_name
        )
        rows.append({"permission": permission, "allowed": allowed, "because": because})
    role_here = domain_role if domain_role and RANK[domain_role] > RANK[role] else role
    return MemberAccess(role, role_here, rows)
