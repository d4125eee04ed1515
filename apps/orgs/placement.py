"""Find the objects that a principal can see, and check in which domain the principal may place an object."""

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


def visible_objects(queryset: Q, principal: Principal) -> Q:
    """Return the objects that the principal can see.

    An API key that is limited to a domain sees only the objects of this domain. Every other principal sees all objects.
    """
    if principal.only_domain is None:
        return queryset
    return queryset.filter(domain_id=principal.only_domain)


def can_see(principal: Principal, domain_id: UUID | None) -> bool:
    """Whether the principal can see the objects of this domain."""
    return principal.only_domain in (None, domain_id)


def find_object(queryset: QuerySet[M], pk: UUID, *, lock: bool = False) -> M:
    """Return the object with this id from the QuerySet of an org.

    Raises NotFound if there is none, also if another org has an object with this id.
    """
    rows = queryset.select_for_update(of=("self",)) if lock else queryset
    row = rows.filter(pk=pk).first()
    if row is None:
        raise NotFound
    return row


def require_placement(
    *, org: Org, principal: Principal, permission: Permission, domain_id: UUID | None
) -> UUID | None:
    """Return `domain_id` if the principal has `permission` in this domain.

    Raises PermissionMissing, and Invalid if the org has no such domain or the principal cannot see it.
    """
    is_other_domain = principal.only_domain is not None and domain_id not in (
        None,
        principal.only_domain,
    )
    if domain_id is not None and (
        is_other_domain or not Domain.objects.for_org(org).filter(pk=domain_id).exists()
    ):
        raise Invalid([("domain_id", "There is no such domain in this organization.", "unknown")])
    principal.require(permission, domain_id=domain_id)
    return domain_id
