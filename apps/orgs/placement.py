"""Which objects a principal can see, how one of them is found, and in which domain it may be placed."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from apps.orgs.exceptions import Invalid, NotFound
from apps.orgs.models import Domain, Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission

M = TypeVar("M", bound=Model)
Q = TypeVar("Q", bound=QuerySet[Any])


def visible(queryset: Q, principal: Principal) -> Q:
    """An API key limited to a domain sees only that domain's objects; all others see the whole org's."""
    if principal.only_domain is None:
        return queryset
    return queryset.filter(domain_id=principal.only_domain)


def sees(principal: Principal, domain_id: UUID | None) -> bool:
    """Whether an object of this domain is visible to the principal."""
    return principal.only_domain in (None, domain_id)


def one(queryset: QuerySet[M], pk: UUID, *, lock: bool = False) -> M:
    """Return the object with this id in an org's QuerySet.

    Raises NotFound, alike for unknown objects and those of others.
    """
    rows = queryset.select_for_update(of=("self",)) if lock else queryset
    found = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound
    return found


def placed(
    *, org: Org, principal: Principal, permission: Permission, domain_id: UUID | None
) -> UUID | None:
    """Return `domain_id`, if the principal has `permission` there.

    Raises Invalid if the domain is not the org's.
    """
    elsewhere = principal.only_domain is not None and domain_id not in (None, principal.only_domain)
    if domain_id is not None and (
        elsewhere or not Domain.objects.for_org(org).filter(pk=domain_id).exists()
    ):
        raise Invalid([("domain_id", "There is no such domain in this organization.", "unknown")])
    principal.require(permission, domain_id=domain_id)
    return domain_id
