"""The roles of directory groups. An admin of the org sets them; the directory cannot."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count

from apps.orgs.models import Org, ScimGroup, ScimMembership
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.scim import provisioning


@dataclass(frozen=True, slots=True)
class GroupRole:
    """A group, its number of members, and the role that it grants (None if it grants no role)."""

    id: UUID
    display_name: str
    people: int
    role: str | None


def list_group_roles(org: Org) -> list[GroupRole]:
    """Return every group of the org's directory, ordered by name."""
    member_counts = dict(
        ScimMembership.objects.for_org(org).values_list("group_id").annotate(people=Count("id"))
    )
    rows = ScimGroup.objects.for_org(org).order_by("display_name")
    return [_group_role(row, member_counts.get(row.pk, 0)) for row in rows]


def set_group_role(*, org: Org, by: Principal, group_id: UUID, role: str | None) -> GroupRole:
    """Set or clear the role that the group grants to its members. Raises NotFound."""
    by.require(Permission.MEMBERS_MANAGE)
    row = provisioning.save_group(
        org=org,
        by=by,
        row=find_object(ScimGroup.objects.for_org(org), group_id, lock=True),
        fields={"role": role or ""},
        action="scim_group.set_role",
    )
    return _group_role(row, len(provisioning.member_ids(org, row)))


def _group_role(row: ScimGroup, people: int) -> GroupRole:
    return GroupRole(row.pk, row.display_name, people, row.role or None)
