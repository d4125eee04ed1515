"""SCIM 2.0 for an org's directory: users and groups, with an API key that manages members (RFC 7644)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import scim
from apps.orgs import scim_serializers as forms
from apps.orgs.exceptions import Invalid
from apps.orgs.models import ScimGroup, ScimMembership, ScimUser
from apps.orgs.roles import Permission
from config.api import OrgView, data_of, one, query_of
from config.problems import Problem
from config.schema import operation
from config.wire import JSONParser, JSONRenderer

META = {
    "resourceType": "User",
    "created": "2026-11-22T09:00:00Z",
    "lastModified": "2026-11-22T09:00:00Z",
    "location": "https://drover.example.com/api/v1/scim/v2/Users/01936c67-92a3-7485-bd74-607182930415",
}
USER_EXAMPLE = {
    "schemas": [forms.USER],
    "id": "01936c67-92a3-7485-bd74-607182930415",
    "userName": "ada@example.com",
    "externalId": "00u1",
    "displayName": "Ada Lovelace",
    "active": True,
    "meta": META,
}
GROUP_EXAMPLE = {
    "schemas": [forms.GROUP],
    "id": "01936c68-a3b4-7596-ce85-718293041526",
    "displayName": "Data engineers",
    "externalId": "00g1",
    "members": [{"value": USER_EXAMPLE["id"], "display": "ada@example.com"}],
    "meta": {**META, "resourceType": "Group"},
}
LISTED = {"schemas": [forms.LIST], "totalResults": 1, "startIndex": 1, "itemsPerPage": 1}
PATCH_EXAMPLE = {
    "schemas": [forms.PATCH],
    "Operations": [{"op": "replace", "path": "active", "value": False}],
}
GROUPS_EXAMPLE = {
    "groups": [
        {"id": GROUP_EXAMPLE["id"], "display_name": "Data engineers", "people": 3, "role": "member"}
    ]
}
ONE_MEMBER = re.compile(r'members\[value eq "([0-9a-fA-F-]{36})"\]')
MANAGING = dict.fromkeys(("get", "post", "put", "patch", "delete"), Permission.MEMBERS_MANAGE)


MEDIA_TYPE = "application/scim+json"
described = partial(operation, tag="scim", media_type=MEDIA_TYPE)


class ScimParser(JSONParser):
    media_type = MEDIA_TYPE


class ScimRenderer(JSONRenderer):
    media_type = MEDIA_TYPE


class ScimView(OrgView):
    permissions = MANAGING
    parser_classes = [JSONParser, ScimParser]
    renderer_classes = [ScimRenderer]

    def user(self, pk: UUID, *, lock: bool = False) -> ScimUser:
        found: ScimUser = one(ScimUser.objects.for_org(self.org), pk, lock=lock)
        return found

    def group(self, pk: UUID, *, lock: bool = False) -> ScimGroup:
        found: ScimGroup = one(ScimGroup.objects.for_org(self.org), pk, lock=lock)
        return found

    def listed(
        self,
        request: Request,
        rows: Any,
        columns: dict[str, str],
        show: Callable[[list[Any]], list[dict[str, Any]]],
    ) -> Response:
        """A page by index, as SCIM has them."""
        wanted = query_of(forms.ScimQuery, request)
        if "filter" in wanted:
            rows = rows.filter(**parse_filter(wanted["filter"], columns))
        total = rows.count()
        first = max(wanted["startIndex"], 1) - 1
        page = list(rows.order_by("created_at", "id")[first : first + wanted["count"]])
        return Response(
            {
                "schemas": [forms.LIST],
                "totalResults": total,
                "startIndex": first + 1,
                "itemsPerPage": len(page),
                "Resources": show(page),
            }
        )


def parse_filter(text: str, columns: dict[str, str]) -> dict[str, str]:
    """`attribute eq "value"`, which is what directories ask. Raises 400 for anything else."""
    found = forms.FILTER.fullmatch(text)
    known = {name.lower(): column for name, column in columns.items()}
    if found is None or found[1].lower() not in known:
        message = f"Only {' and '.join(columns)} can be asked for, with eq and a text in quotes."
        raise Problem(400, message, "invalid_filter", [("filter", message, "invalid")])
    column = known[found[1].lower()]
    return {column: found[2].lower() if column == "user_name" else found[2]}


def user_shown(row: ScimUser) -> dict[str, Any]:
    return {
        "schemas": [forms.USER],
        "id": row.pk,
        "userName": row.user_name,
        "externalId": row.external_id,
        "displayName": row.display_name,
        "active": row.active,
        "meta": meta("User", row),
    }


def users_shown(rows: Sequence[ScimUser]) -> list[dict[str, Any]]:
    return [user_shown(row) for row in rows]


def meta(kind: str, row: ScimUser | ScimGroup) -> dict[str, Any]:
    base = f"{settings.PUBLIC_URL.rstrip('/')}/api/v1/scim/v2/{kind}s"
    return {
        "resourceType": kind,
        "created": row.created_at,
        "lastModified": row.updated_at,
        "location": f"{base}/{row.pk}",
    }


def groups_shown(org_id: UUID, rows: Sequence[ScimGroup]) -> list[dict[str, Any]]:
    """The groups with their people, in two queries however many there are."""
    members: dict[UUID, list[dict[str, Any]]] = {row.pk: [] for row in rows}
    inside = ScimMembership.objects.for_org(org_id).filter(group__in=members)
    people = inside.order_by("user__user_name").values_list(
        "group_id", "user_id", "user__user_name"
    )
    for group_id, user_id, name in people:
        members[group_id].append({"value": user_id, "display": name})
    return [
        {
            "schemas": [forms.GROUP],
            "id": row.pk,
            "displayName": row.display_name,
            "externalId": row.external_id,
            "members": members[row.pk],
            "meta": meta("Group", row),
        }
        for row in rows
    ]


def group_shown(row: ScimGroup) -> dict[str, Any]:
    return groups_shown(row.org_id, [row])[0]


def user_fields(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "user_name": data["userName"],
        "external_id": data["externalId"] or "",
        "display_name": data["displayName"] or "",
        "active": data["active"],
    }


class Users(ScimView):
    @described(
        "scim_users_list",
        summary="People the directory provisions",
        answer=forms.ScimUserList,
        parameters=[forms.ScimQuery],
        example={**LISTED, "Resources": [USER_EXAMPLE]},
    )
    def get(self, request: Request) -> Response:
        columns = {"userName": "user_name", "externalId": "external_id"}
        return self.listed(request, ScimUser.objects.for_org(self.org), columns, users_shown)

    @described(
        "scim_users_create",
        summary="Provision a person: they are invited, and join by mail or single sign-on",
        request=forms.ScimUserIn,
        answer=forms.ScimUserOut,
        status=201,
        errors=(409,),
        example=USER_EXAMPLE,
        request_example={"schemas": [forms.USER], "userName": "ada@example.com"},
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.ScimUserIn, request)
        row = scim.save_user(
            org=self.org,
            by=self.principal,
            row=ScimUser(org=self.org),
            fields=user_fields(data),
            action="scim_user.create",
        )
        return Response(user_shown(row), status=201)


class OneUser(ScimView):
    @described(
        "scim_users_get",
        summary="A person the directory provisions",
        answer=forms.ScimUserOut,
        errors=(404,),
        example=USER_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(user_shown(self.user(pk)))

    @described(
        "scim_users_replace",
        summary="Everything the directory says of a person",
        request=forms.ScimUserIn,
        answer=forms.ScimUserOut,
        errors=(404, 409),
        example=USER_EXAMPLE,
        request_example={"schemas": [forms.USER], "userName": "ada@example.com"},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        return self.save(pk, user_fields(data_of(forms.ScimUserIn, request)))

    @described(
        "scim_users_patch",
        summary="Change some of it: active false takes all access at once",
        request=forms.ScimPatch,
        answer=forms.ScimUserOut,
        errors=(404, 409),
        example=USER_EXAMPLE,
        request_example=PATCH_EXAMPLE,
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        data = data_of(forms.ScimPatch, request)
        said: dict[str, Any] = {}
        for index, each in enumerate(data["Operations"]):
            said |= user_change(each, f"Operations.{index}")
        row = self.user(pk, lock=True)
        present = {
            "userName": row.user_name,
            "externalId": row.external_id,
            "displayName": row.display_name,
            "active": row.active,
        }
        form = forms.ScimUserIn(data={"schemas": [forms.USER], **present, **said})
        form.is_valid(raise_exception=True)
        return self.save(pk, user_fields(dict(form.validated_data)))

    @described(
        "scim_users_delete",
        summary="The directory knows the person no longer: they are out at once",
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        scim.remove_user(org=self.org, by=self.principal, row=self.user(pk, lock=True))
        return Response(status=204)

    def save(self, pk: UUID, fields: dict[str, Any]) -> Response:
        row = self.user(pk, lock=True)
        saved = scim.save_user(
            org=self.org, by=self.principal, row=row, fields=fields, action="scim_user.update"
        )
        return Response(user_shown(saved))


KEPT = {name.lower(): name for name in ("userName", "externalId", "displayName", "active")}


def user_change(each: dict[str, Any], where: str) -> dict[str, Any]:
    """What one operation of a patch changes; attributes Drover does not keep are left."""
    path, value = each.get("path", ""), each.get("value")
    pairs = {path: value} if path else value
    if not isinstance(pairs, dict):
        raise Invalid([(f"{where}.value", "Without a path this must be an object.", "invalid")])
    changes: dict[str, Any] = {}
    for name, given in pairs.items():
        if (kept := KEPT.get(str(name).lower())) is None:
            continue
        if each["op"] == "remove":
            if kept in ("userName", "active"):
                raise Invalid([(f"{where}.path", "This cannot be removed.", "invalid")])
            given = ""
        changes[kept] = given
    return changes


class GroupView(ScimView):
    def save(self, row: ScimGroup, data: dict[str, Any], action: str) -> ScimGroup:
        fields = {"display_name": data["displayName"], "external_id": data["externalId"] or ""}
        saved = scim.save_group(
            org=self.org, by=self.principal, row=row, fields=fields, action=action
        )
        if "members" in data:
            wanted = [member["value"] for member in data["members"]]
            scim.set_people(org=self.org, by=self.principal, group=saved, wanted=wanted)
        return saved


class Groups(GroupView):
    @described(
        "scim_groups_list",
        summary="Groups of the directory",
        answer=forms.ScimGroupList,
        parameters=[forms.ScimQuery],
        example={**LISTED, "Resources": [GROUP_EXAMPLE]},
    )
    def get(self, request: Request) -> Response:
        columns = {"displayName": "display_name", "externalId": "external_id"}
        rows = ScimGroup.objects.for_org(self.org)
        return self.listed(request, rows, columns, partial(groups_shown, self.org.pk))

    @described(
        "scim_groups_create",
        summary="A group of the directory; it gives nothing until an admin gives it a role",
        request=forms.ScimGroupIn,
        answer=forms.ScimGroupOut,
        status=201,
        errors=(409,),
        example=GROUP_EXAMPLE,
        request_example={"schemas": [forms.GROUP], "displayName": "Data engineers"},
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.ScimGroupIn, request)
        row = self.save(ScimGroup(org=self.org), data, "scim_group.create")
        return Response(group_shown(row), status=201)


class OneGroup(GroupView):
    @described(
        "scim_groups_get",
        summary="A group of the directory, with its people",
        answer=forms.ScimGroupOut,
        errors=(404,),
        example=GROUP_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(group_shown(self.group(pk)))

    @described(
        "scim_groups_replace",
        summary="Everything the directory says of a group",
        request=forms.ScimGroupIn,
        answer=forms.ScimGroupOut,
        errors=(404, 409),
        example=GROUP_EXAMPLE,
        request_example={"schemas": [forms.GROUP], "displayName": "Data engineers"},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        data = data_of(forms.ScimGroupIn, request)
        row = self.save(self.group(pk, lock=True), {"members": [], **data}, "scim_group.update")
        return Response(group_shown(row))

    @described(
        "scim_groups_patch",
        summary="Rename a group, add people to it or take them out",
        request=forms.ScimPatch,
        answer=forms.ScimGroupOut,
        errors=(404, 409),
        example=GROUP_EXAMPLE,
        request_example={
            "schemas": [forms.PATCH],
            "Operations": [
                {"op": "add", "path": "members", "value": [{"value": USER_EXAMPLE["id"]}]}
            ],
        },
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        data = data_of(forms.ScimPatch, request)
        group = self.group(pk, lock=True)
        people = scim.people_of(self.org, group)
        fields: dict[str, Any] = {}
        for index, each in enumerate(data["Operations"]):
            people = group_change(each, people, fields, f"Operations.{index}")
        if fields:
            scim.save_group(
                org=self.org,
                by=self.principal,
                row=group,
                fields=fields,
                action="scim_group.update",
            )
        scim.set_people(org=self.org, by=self.principal, group=group, wanted=people)
        return Response(group_shown(group))

    @described(
        "scim_groups_delete",
        summary="The directory knows the group no longer: what it gave is taken back",
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        scim.remove_group(org=self.org, by=self.principal, group=self.group(pk, lock=True))
        return Response(status=204)


def group_change(
    each: dict[str, Any], people: set[UUID], fields: dict[str, Any], where: str
) -> set[UUID]:
    """The people after one operation of a patch; new names go into `fields`."""
    path, value, op = each.get("path", ""), each.get("value"), each["op"]
    if found := ONE_MEMBER.fullmatch(path):
        return people - {UUID(found[1])} if op == "remove" else people
    if not path:
        if not isinstance(value, dict):
            raise Invalid([(f"{where}.value", "Without a path this must be an object.", "invalid")])
        for name, inner in value.items():
            if name in ("members", "displayName", "externalId"):
                people = group_change(
                    {"op": op, "path": name, "value": inner}, people, fields, where
                )
        return people
    if path in ("displayName", "externalId"):
        column = {"displayName": "display_name", "externalId": "external_id"}[path]
        fields[column] = _text(value, f"{where}.value", blank=column == "external_id")
        return people
    if path != "members":
        return people  # an attribute Drover does not keep
    if op == "remove" and value is None:
        return set()
    named = _ids(value, f"{where}.value")
    return {"add": people | named, "remove": people - named, "replace": named}[op]


def _text(value: Any, where: str, *, blank: bool) -> str:
    if not isinstance(value, str) or len(value) > 200 or not (blank or value.strip()):
        raise Invalid([(where, "1 to 200 characters.", "invalid")])
    return value


def _ids(value: Any, where: str) -> set[UUID]:
    found = set()
    for member in value if isinstance(value, list) else [value]:
        given = member.get("value") if isinstance(member, dict) else None
        try:
            found.add(UUID(str(given)))
        except ValueError:
            raise Invalid([(where, 'A list of {"value": id}.', "invalid")]) from None
    return found


class ServiceProviderConfig(ScimView):
    @described(
        "scim_config",
        summary="Which parts of SCIM are spoken here",
        answer=forms.ScimConfig,
        example={
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": {"supported": True},
            "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
            "filter": {"supported": True, "maxResults": 200},
            "changePassword": {"supported": False},
            "sort": {"supported": False},
            "etag": {"supported": False},
            "authenticationSchemes": [{"type": "oauthbearertoken", "name": "API key"}],
        },
    )
    def get(self, request: Request) -> Response:
        return Response(
            {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
                "patch": {"supported": True},
                "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
                "filter": {"supported": True, "maxResults": forms.MOST},
                "changePassword": {"supported": False},
                "sort": {"supported": False},
                "etag": {"supported": False},
                "authenticationSchemes": [
                    {
                        "type": "oauthbearertoken",
                        "name": "API key",
                        "description": "Authorization: Bearer drv_…, of a service account.",
                    }
                ],
            }
        )


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
        row = scim.save_group(
            org=self.org,
            by=self.principal,
            row=one(ScimGroup.objects.for_org(self.org), pk, lock=True),
            fields={"role": role},
            action="scim_group.set_role",
        )
        return Response(role_row(row, len(scim.people_of(self.org, row))))
