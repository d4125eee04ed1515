"""The roles of directory groups over HTTP. An admin sets them; the directory's own key cannot."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.orgs.scim import group_roles
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
        summary="List the directory's groups and their roles",
        answer=forms.ScimGroups,
        example=GROUPS_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return Response(
            {"groups": [asdict(group) for group in group_roles.list_group_roles(self.org)]}
        )


class GroupRole(OrgView):
    permissions = {"put": Permission.MEMBERS_MANAGE}
    session_methods = frozenset({"put"})

    @operation(
        "scim_roles_set",
        tag="scim",
        summary="Set the role of a directory group",
        request=forms.ScimGroupRole,
        answer=forms.ScimGroupRow,
        errors=(404,),
        example=GROUPS_EXAMPLE["groups"][0],
        request_example={"role": "member"},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        """Only for users: a directory's key cannot raise the roles of its own groups."""
        role = data_of(forms.ScimGroupRole, request)["role"]
        group = group_roles.set_group_role(org=self.org, by=self.principal, group_id=pk, role=role)
        return Response(asdict(group))
