"""The role of each directory group, which an admin of Drover sets and the directory cannot."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count

from apps.orgs.models import Org, ScimGroup, ScimMembership
from apps.orgs.placement import one
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.scim import provisioning


@dataclass(frozen=True, slots=True)
class GroupRole:
    """A group, its number of members, and the role it grants, if any."""

    id: UUID
    display_name: str
    people: int
    role: str | None


def of(org: Org) -> list[GroupRole]:
    """Return every group of the org's directory, by name."""
    counted = dict(
        ScimMembership.objects.for_org(org).values_list("group_id").annotate(people=Count("id"))
    )
    rows = ScimGroup.objects.for_org(org).order_by("display_name")
    return [_of_row(row, counted.get(row.pk, 0)) for row in rows]


def give(*, org: Org, by: Principal, group_id: UUID, role: str | None) -> GroupRole:
    """Set or clear the role that the group grants to its members. Raises NotFound."""
    by.require(Permission.MEMBERS_MANAGE)
    row = provisioning.save_group(
        org=org,
        by=by,
        row=one(ScimGroup.objects.for_org(org), group_id, lock=True),
        fields={"role": role or ""},
        action="scim_group.set_role",
    )
    return _of_row(row, len(provisioning.people_of(org, row)))


def _of_row(row: ScimGroup, people: int) -> GroupRole:
    return GroupRole(row.pk, row.display_name, people, row.role or None)
