"""Actions on domains, the groups inside an org, and on the roles granted in them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apps.auth.constraints import refused_as
from apps.orgs import audit
from apps.orgs.exceptions import Invalid, NameTaken, NotFound
from apps.orgs.members.services import audit_label
from apps.orgs.models import Domain, DomainRole, Membership, Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import RANK, Permission, Role
from apps.orgs.versions import Match, require_match, version_of_time


def create(*, org: Org, by: Principal, name: str) -> Domain:
    """Create a domain. Raises NameTaken."""
    by.require(Permission.DOMAINS_MANAGE)
    domain = Domain(org=org, name=name)
    _save(domain)
    _record(org, by, "domain.create", domain, {"name": [None, name]})
    return domain


def rename(*, org: Org, by: Principal, domain_id: UUID, name: str, match: Match = None) -> Domain:
    """Rename a domain. Raises NotFound, ChangedMeanwhile and NameTaken."""
    domain = _lock_domain(org, by, domain_id, match)
    old_name, domain.name = domain.name, name
    _save(domain)
    _record(org, by, "domain.rename", domain, {"name": [old_name, name]})
    return domain


def delete(*, org: Org, by: Principal, domain_id: UUID, match: Match = None) -> None:
    """Delete a domain, and the API keys that are limited to it. Its other objects stay in the org.

    Raises NotFound and ChangedMeanwhile.
    """
    domain = _lock_domain(org, by, domain_id, match)
    _record(org, by, "domain.delete", domain, {"name": [domain.name, None]})
    domain.delete()


def set_role(
    *, org: Org, by: Principal, domain_id: UUID, member_id: UUID, role: Role
) -> DomainRole:
    """Grant a member a higher role for one domain. Raises NotFound, and Invalid if the role is not higher."""
    by.require(Permission.DOMAINS_MANAGE)
    domain = find_object(Domain.objects.for_org(org), domain_id)
    member = find_object(Membership.objects.for_org(org).select_related("user"), member_id)
    if RANK[role] <= RANK[Role(member.role)]:
        message = f"A domain role must be higher than the member's role, which is {member.role}."
        raise Invalid([("role", message, "not_higher")])
    existing = DomainRole.objects.for_org(org).filter(domain=domain, membership=member)
    old_role = existing.values_list("role", flat=True).first()
    domain_role: DomainRole
    domain_role, _ = DomainRole.unscoped.update_or_create(
        org=org, domain=domain, membership=member, defaults={"role": role}
    )
    domain_role.membership = member
    _record(org, by, "domain.set_role", domain, {audit_label(member): [old_role, role]})
    return domain_role


def clear_role(*, org: Org, by: Principal, domain_id: UUID, member_id: UUID) -> None:
    """Remove a domain role, so that the member's role in the org applies again. Raises NotFound."""
    by.require(Permission.DOMAINS_MANAGE)
    domain_roles = DomainRole.objects.for_org(org).select_related("domain", "membership__user")
    domain_role: DomainRole | None = domain_roles.filter(
        domain_id=domain_id, membership_id=member_id
    ).first()
    if domain_role is None:
        raise NotFound
    changes = {audit_label(domain_role.membership): [domain_role.role, None]}
    domain_role.delete()
    _record(org, by, "domain.clear_role", domain_role.domain, changes)


def _lock_domain(org: Org, by: Principal, domain_id: UUID, match: Match) -> Domain:
    by.require(Permission.DOMAINS_MANAGE)
    domain = find_object(Domain.objects.for_org(org), domain_id, lock=True)
    require_match(match, version_of_time(domain.updated_at))
    return domain


def _save(domain: Domain) -> None:
    with refused_as(NameTaken, "orgs_domain_name"):
        domain.save()


def _record(org: Org, by: Principal, action: str, domain: Domain, changes: dict[str, Any]) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="domain",
        object_id=domain.pk,
        object_label=domain.name,
        changes=changes,
    )
