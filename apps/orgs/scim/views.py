"""SCIM 2.0 for an org's directory: users and groups (RFC 7644). The directory uses an API key that may manage members.

Importing `scim2_models` takes half a second, so only the first request imports the modules that need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.orgs.scim import errors
from apps.orgs.scim import serializers as forms
from apps.orgs.scim.errors import MEDIA_TYPE
from apps.orgs.scim.examples import (
    GROUP_EXAMPLE,
    PATCH_EXAMPLE,
    SEARCH_EXAMPLE,
    USER_EXAMPLE,
    list_example,
)
from apps.web.schema import operation
from apps.web.wire import JSONParser, JSONRenderer, refuse_nul_in_query

if TYPE_CHECKING:
    from apps.orgs.scim.store import Store

PERMISSIONS = dict.fromkeys(("get", "post", "put", "patch", "delete"), Permission.MEMBERS_MANAGE)

scim_operation = partial(
    operation, tag="scim", media_type=MEDIA_TYPE, error=(MEDIA_TYPE, forms.ScimError)
)


class ScimParser(JSONParser):
    media_type = MEDIA_TYPE


class ScimRenderer(JSONRenderer):
    media_type = MEDIA_TYPE


class ScimView(OrgView):
    """The base class of SCIM routes, with SCIM's media type and error format."""

    permissions = PERMISSIONS
    parser_classes = [JSONParser, ScimParser]
    renderer_classes = [ScimRenderer]
    resource_types: tuple[str, ...] = ()  # Users, Groups, or both

    def get_exception_handler(self) -> Any:
        return errors.handle_exception

    def stores(self) -> list[Store]:
        from apps.orgs.scim import store

        stores = {"Users": store.UserStore, "Groups": store.GroupStore}
        return [
            stores[resource_type](org=self.org, by=self.principal)
            for resource_type in self.resource_types
        ]

    def search_response(self, query: Mapping[str, Any]) -> Response:
        from apps.orgs.scim import search

        return Response(search.search(self.stores(), query))

    def resource_response(self, request: Request, resource: Any, status: int = 200) -> Response:
        from apps.orgs.scim import search

        attributes = search.requested_attributes(self.stores()[0], query_parameters(request))
        headers = {"Location": resource.meta.location} if status == 201 else None
        return Response(search.render(resource, attributes), status=status, headers=headers)


def query_parameters(request: Request) -> dict[str, str]:
    """Return all query parameters. Unknown parameters are accepted, because directories may send some."""
    parameters = {str(name): str(value) for name, value in request.query_params.items()}
    refuse_nul_in_query(parameters)
    return parameters


class CollectionView(ScimView):
    def list(self, request: Request) -> Response:
        return self.search_response(query_parameters(request))

    def create(self, request: Request) -> Response:
        return self.resource_response(request, self.stores()[0].create(dict(request.data)), 201)


class ResourceView(ScimView):
    def read(self, request: Request, pk: UUID) -> Response:
        return self.resource_response(request, self.stores()[0].read(pk))

    def replace(self, request: Request, pk: UUID) -> Response:
        return self.resource_response(request, self.stores()[0].replace(pk, dict(request.data)))

    def change(self, request: Request, pk: UUID) -> Response:
        return self.resource_response(request, self.stores()[0].patch(pk, dict(request.data)))

    def remove(self, pk: UUID) -> Response:
        self.stores()[0].remove(pk)
        return Response(status=204)


class Users(CollectionView):
    resource_types = ("Users",)

    @scim_operation(
        "scim_users_list",
        summary="List users",
        answer=forms.ScimUserList,
        parameters=[forms.ScimQuery],
        example=list_example(USER_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        return self.list(request)

    @scim_operation(
        "scim_users_create",
        summary="Create a user, who is invited and joins by mail or single sign-on",
        request=forms.ScimUserIn,
        answer=forms.ScimUserOut,
        parameters=[forms.ScimAttributes],
        status=201,
        errors=(409,),
        example=USER_EXAMPLE,
        request_example={"schemas": [forms.USER_SCHEMA], "userName": "ada@example.com"},
    )
    def post(self, request: Request) -> Response:
        return self.create(request)


class OneUser(ResourceView):
    resource_types = ("Users",)

    @scim_operation(
        "scim_users_get",
        summary="Show a user",
        answer=forms.ScimUserOut,
        parameters=[forms.ScimAttributes],
        errors=(404,),
        example=USER_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self.read(request, pk)

    @scim_operation(
        "scim_users_replace",
        summary="Replace a user",
        request=forms.ScimUserIn,
        answer=forms.ScimUserOut,
        parameters=[forms.ScimAttributes],
        errors=(404, 409),
        example=USER_EXAMPLE,
        request_example={"schemas": [forms.USER_SCHEMA], "userName": "ada@example.com"},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        return self.replace(request, pk)

    @scim_operation(
        "scim_users_patch",
        summary="Patch a user; `active` false removes all access at once",
        request=forms.ScimPatch,
        answer=forms.ScimUserOut,
        parameters=[forms.ScimAttributes],
        errors=(404, 409),
        example=USER_EXAMPLE,
        request_example=PATCH_EXAMPLE,
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        return self.change(request, pk)

    @scim_operation(
        "scim_users_delete",
        summary="Delete a user, who loses access at once",
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        return self.remove(pk)


class Groups(CollectionView):
    resource_types = ("Groups",)

    @scim_operation(
        "scim_groups_list",
        summary="List groups",
        answer=forms.ScimGroupList,
        parameters=[forms.ScimQuery],
        example=list_example(GROUP_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        return self.list(request)

    @scim_operation(
        "scim_groups_create",
        summary="Create a group; it has no effect until an admin gives it a role",
        request=forms.ScimGroupIn,
        answer=forms.ScimGroupOut,
        parameters=[forms.ScimAttributes],
        status=201,
        errors=(409,),
        example=GROUP_EXAMPLE,
        request_example={"schemas": [forms.GROUP_SCHEMA], "displayName": "Data engineers"},
    )
    def post(self, request: Request) -> Response:
        return self.create(request)


class OneGroup(ResourceView):
    resource_types = ("Groups",)

    @scim_operation(
        "scim_groups_get",
        summary="Show a group with its members",
        answer=forms.ScimGroupOut,
        parameters=[forms.ScimAttributes],
        errors=(404,),
        example=GROUP_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self.read(request, pk)

    @scim_operation(
        "scim_groups_replace",
        summary="Replace a group",
        request=forms.ScimGroupIn,
        answer=forms.ScimGroupOut,
        parameters=[forms.ScimAttributes],
        errors=(404, 409),
        example=GROUP_EXAMPLE,
        request_example={"schemas": [forms.GROUP_SCHEMA], "displayName": "Data engineers"},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        return self.replace(request, pk)

    @scim_operation(
        "scim_groups_patch",
        summary="Patch a group: rename it, add or remove members",
        request=forms.ScimPatch,
        answer=forms.ScimGroupOut,
        parameters=[forms.ScimAttributes],
        errors=(404, 409),
        example=GROUP_EXAMPLE,
        request_example={
            "schemas": [forms.PATCH_SCHEMA],
            "Operations": [
                {"op": "add", "path": "members", "value": [{"value": USER_EXAMPLE["id"]}]}
            ],
        },
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        return self.change(request, pk)

    @scim_operation(
        "scim_groups_delete",
        summary="Delete a group; roles that it granted are removed",
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        return self.remove(pk)


class UserSearch(ScimView):
    resource_types = ("Users",)

    @scim_operation(
        "scim_users_search",
        summary="Search users",
        request=forms.ScimSearch,
        answer=forms.ScimUserList,
        example=list_example(USER_EXAMPLE),
        request_example=SEARCH_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        return self.search_response(dict(request.data))


class GroupSearch(ScimView):
    resource_types = ("Groups",)

    @scim_operation(
        "scim_groups_search",
        summary="Search groups",
        request=forms.ScimSearch,
        answer=forms.ScimGroupList,
        example=list_example(GROUP_EXAMPLE),
        request_example=SEARCH_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        return self.search_response(dict(request.data))


class Search(ScimView):
    resource_types = ("Users", "Groups")

    @scim_operation(
        "scim_search",
        summary="Search users and groups together",
        request=forms.ScimSearch,
        answer=forms.ScimObjectList,
        example=list_example(USER_EXAMPLE),
        request_example=SEARCH_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        return self.search_response(dict(request.data))
