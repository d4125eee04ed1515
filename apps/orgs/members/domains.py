"""Actions on domains, the groups inside an org, and on the roles granted in them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.orgs import audit
from apps.orgs.exceptions import Invalid, NameTaken, NotFound
from apps.orgs.members.services import address
from apps.orgs.models import Domain, DomainRole, Membership, Org
from apps.orgs.placement import one
from apps.orgs.principals import Principal
from apps.orgs.roles import RANK, Permission, Role
from apps.orgs.versions import Match, of_time, require_match


def create(*, org: Org, by: Principal, name: str) -> Domain:
    """Create a domain. Raises NameTaken."""
    by.require(Permission.DOMAINS_MANAGE)
    domain = Domain(org=org, name=name)
    _save(domain)
    _record(org, by, "domain.create", domain, {"name": [None, name]})
    return domain


def rename(*, org: Org, by: Principal, domain_id: UUID, name: str, match: Match = None) -> Domain:
    """Rename a domain. Raises NotFound, ChangedMeanwhile and NameTaken."""
    domain = _locked(org, by, domain_id, match)
    before, domain.name = domain.name, name
    _save(domain)
    _record(org, by, "domain.rename", domain, {"name": [before, name]})
    return domain


def delete(*, org: Org, by: Principal, domain_id: UUID, match: Match = None) -> None:
    """Delete a domain: its objects stay in the org; keys limited to it are deleted.

    Raises NotFound and ChangedMeanwhile.
    """
    domain = _locked(org, by, domain_id, match)
    _record(org, by, "domain.delete", domain, {"name": [domain.name, None]})
    domain.delete()


def set_role(
    *, org: Org, by: Principal, domain_id: UUID, member_id: UUID, role: Role
) -> DomainRole:
    """Grant a member a higher role for one domain. Raises NotFound, and Invalid if the role is not higher."""
    by.require(Permission.DOMAINS_MANAGE)
    domain = one(Domain.objects.for_org(org), domain_id)
    member = one(Membership.objects.for_org(org).select_related("user"), member_id)
    if RANK[role] <= RANK[Role(member.role)]:
        message = f"A domain role must be higher than the member's role, which is {member.role}."
        raise Invalid([("role", message, "not_higher")])
    mine = DomainRole.objects.for_org(org).filter(domain=domain, membership=member)
    before = mine.values_list("role", flat=True).first()
    override: DomainRole
    override, _ = DomainRole.unscoped.update_or_create(
        org=org, domain=domain, membership=member, defaults={"role": role}
    )
    override.membership = member
    _record(org, by, "domain.set_role", domain, {address(member): [before, role]})
    return override


def clear_role(*, org: Org, by: Principal, domain_id: UUID, member_id: UUID) -> None:
    """Remove a domain role: the member's own role applies again. Raises NotFound."""
    by.require(Permission.DOMAINS_MANAGE)
    overrides = DomainRole.objects.for_org(org).select_related("domain", "membership__user")
    override: DomainRole | None = overrides.filter(
        domain_id=domain_id, membership_id=member_id
    ).first()
    if override is None:
        raise NotFound
    changes = {address(override.membership): [override.role, None]}
    override.delete()
    _record(org, by, "domain.clear_role", override.domain, changes)


def _locked(org: Org, by: Principal, domain_id: UUID, match: Match) -> Domain:
    by.require(Permission.DOMAINS_MANAGE)
    domain = one(Domain.objects.for_org(org), domain_id, lock=True)
    require_match(match, of_time(domain.updated_at))
    return domain


def _save(domain: Domain) -> None:
    try:
        with transaction.atomic():
            domain.save()
    except IntegrityError:
        raise NameTaken from None


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
