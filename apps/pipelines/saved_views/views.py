"""Saved views of the list of pipelines. They belong to a person, so an API key cannot use them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.texts import NameField
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.pipelines.models import SavedView
from apps.pipelines.saved_views import services
from apps.web import paging
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, page_of
from apps.web.views import data_of, etag, match_of

MAX_FILTERS = 20
ORDERS = {"name": paging.Order("name")}
COLUMNS = ("id", "name", "filter", "created_at", "updated_at")
EXAMPLE: dict[str, Any] = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f55",
    "name": "Failing in marketing",
    "filter": {"status": "failed", "domain": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f22"},
    "created_at": "2026-11-20T08:00:00Z",
    "updated_at": "2026-11-20T08:00:00Z",
}


class FilterField(serializers.DictField):
    """Parameters of the dashboard's list of pipelines. The list ignores those that it does not know."""

    def __init__(self, **options: Any) -> None:
        help_text = f"Up to {MAX_FILTERS} parameters of the address of the list."
        super().__init__(
            child=serializers.CharField(max_length=200), help_text=help_text, **options
        )

    def to_internal_value(self, data: Any) -> dict[Any, Any]:
        value = super().to_internal_value(data)
        is_named = all(name.isascii() and name.isidentifier() and len(name) <= 40 for name in value)
        if len(value) > MAX_FILTERS or not is_named:
            raise serializers.ValidationError(f"Up to {MAX_FILTERS} parameters with plain names.")
        return value


class ViewUpdate(serializers.Serializer[Any]):
    name = NameField(max_length=80, required=False)
    filter = FilterField(required=False)


class ViewCreate(serializers.Serializer[Any]):
    name = NameField(max_length=80)
    filter = FilterField()


class ViewRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    filter = FilterField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class SavedViewBase(OrgView):
    session_methods = frozenset({"get", "post", "patch", "delete"})
    permissions = dict.fromkeys(("get", "post", "patch", "delete"), Permission.READ)

    def view_response(self, view: SavedView, status: int = 200) -> Response:
        body = {column: getattr(view, column) for column in COLUMNS}
        return Response(body, status=status, headers={"ETag": etag(view.etag)})


class SavedViews(SavedViewBase):
    @operation(
        "views_list",
        tag="views",
        summary="List your saved views of the list of pipelines",
        answer=page_of(ViewRow),
        parameters=[*PAGE_PARAMETERS],
        example={"results": [EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        rows = services.views(self.org, self.principal).values(*COLUMNS)
        return paging.page(request, rows, orders=ORDERS, default="name")

    @operation(
        "views_create",
        tag="views",
        summary="Save a filter of the list of pipelines under a name",
        request=ViewCreate,
        answer=ViewRow,
        status=201,
        errors=(409, 422),
        example=EXAMPLE,
        request_example={"name": "Failing", "filter": {"status": "failed"}},
    )
    def post(self, request: Request) -> Response:
        fields = data_of(ViewCreate, request)
        return self.view_response(
            services.create(org=self.org, by=self.principal, values=fields), status=201
        )


class SavedViewById(SavedViewBase):
    @operation(
        "views_get",
        tag="views",
        summary="Show a saved view",
        answer=ViewRow,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self.view_response(services.find_view(org=self.org, by=self.principal, view_id=pk))

    @operation(
        "views_update",
        tag="views",
        summary="Rename a saved view, or change its filter",
        request=ViewUpdate,
        answer=ViewRow,
        errors=(404, 409, 412, 422),
        parameters=[IF_MATCH],
        example=EXAMPLE,
        request_example={"name": "Failing in marketing"},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        view = services.update(
            org=self.org,
            by=self.principal,
            view_id=pk,
            changes=data_of(ViewUpdate, request),
            match=match_of(request),
        )
        return self.view_response(view)

    @operation(
        "views_delete",
        tag="views",
        summary="Delete a saved view",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        services.delete(org=self.org, by=self.principal, view_id=pk, match=match_of(request))
        return Response(status=204)
