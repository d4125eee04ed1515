"""The role each group of the directory gives, which an admin says: the directory's own key cannot."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Count
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.models import ScimGroup, ScimMembership
from apps.orgs.placement import one
from apps.orgs.roles import Permission
from apps.orgs.scim import provisioning
from apps.orgs.scim import serializers as forms
from apps.web.schema import operation
from apps.web.views import data_of

GROUPS_EXAMPLE = {
    "groups": [
        {
            "id": "01936c68-a3b4-7596-ce85-718293041526",
            "display_name": "Data engineers",
            "people": 3,
            "role": "member",
        }
    ]
}


class GroupRoles(OrgView):
    permissions = {"get": Permission.MEMBERS_MANAGE}

    @operation(
        "scim_roles_list",
        tag="scim",
        summary="Groups of the directory and the role each gives",
        answer=forms.ScimGroups,
        example=GROUPS_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        rows = ScimGroup.objects.for_org(self.org).order_by("display_name")
        counted = dict(
            ScimMembership.objects.for_org(self.org)
            .values_list("group_id")
            .annotate(people=Count("id"))
        )
        return Response({"groups": [role_row(row, counted.get(row.pk, 0)) for row in rows]})


def role_row(row: ScimGroup, people: int) -> dict[str, Any]:
    return {
        "id": row.pk,
        "display_name": row.display_name,
        "people": people,
        "role": row.role or None,
    }


class GroupRole(OrgView):
    permissions = {"put": Permission.MEMBERS_MANAGE}
    session_methods = frozenset({"put"})

    @operation(
        "scim_roles_set",
        tag="scim",
        summary="Give everyone in a group of the directory a role",
        request=forms.ScimGroupRole,
        answer=forms.ScimGroupRow,
        errors=(404,),
        example=GROUPS_EXAMPLE["groups"][0],
        request_example={"role": "member"},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        """By a person: a directory's key cannot make its own groups stronger."""
        role = data_of(forms.ScimGroupRole, request)["role"] or ""
        row = provisioning.save_group(
            org=self.org,
            by=self.principal,
            row=one(ScimGroup.objects.for_org(self.org), pk, lock=True),
            fields={"role": role},
            action="scim_group.set_role",
        )
        return Response(role_row(row, len(provisioning.people_of(self.org, row))))
