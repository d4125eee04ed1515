"""The hooks of a pipeline over HTTP. apps.runs.hooks has the address that programs call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.serializers import Empty
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.pipelines.hooks import services
from apps.pipelines.hooks.serializers import HookCreate, HookRow, HookUpdate, HookWithSecret
from apps.pipelines.models import Hook
from apps.web.paging import Order, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, page_of
from apps.web.views import data_of, etag, match_of

COLUMNS = ("id", "name", "credential", "secret_last4", "enabled", "last_used_at", "created_at")
ORDERS = {"name": Order("name")}
ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f66"
EXAMPLE: dict[str, Any] = {
    "id": ID,
    "name": "Shop",
    "url": f"https://drover.example.com/api/v1/hooks/{ID}",
    "credential": "token",
    "secret_last4": "x4Qz",
    "enabled": True,
    "last_used_at": None,
    "created_at": "2026-11-22T08:00:00Z",
}
EXAMPLE_WITH_SECRET = {**EXAMPLE, "secret": "drvh_…"}


def render(row: Any) -> dict[str, Any]:
    return {**{name: row[name] for name in COLUMNS}, "url": services.address(row["id"])}


class HookView(OrgView):
    permissions = dict.fromkeys(("post", "patch", "delete"), Permission.PIPELINES_EDIT)

    def hook_response(self, hook: Hook, status: int = 200, **secret: str) -> Response:
        row = {name: getattr(hook, name) for name in COLUMNS}
        body = {**render(row), **secret}
        return Response(body, status=status, headers={"ETag": etag(hook.etag)})


class Hooks(HookView):
    @operation(
        "hooks_list",
        tag="pipelines",
        summary="List the hooks with which programs start the pipeline",
        answer=page_of(HookRow),
        errors=(404,),
        parameters=[*PAGE_PARAMETERS],
        example={"results": [EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        rows = services.hooks(org=self.org, by=self.principal, pipeline_id=pk).values(*COLUMNS)
        return page(request, rows, orders=ORDERS, default="name", render=render)

    @operation(
        "hooks_create",
        tag="pipelines",
        summary="Create a hook with which a program starts the pipeline; its secret is shown once",
        request=HookCreate,
        answer=HookWithSecret,
        status=201,
        errors=(404, 409, 422),
        example=EXAMPLE_WITH_SECRET,
        request_example={"name": "Shop", "credential": "token"},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        fields = data_of(HookCreate, request)
        hook, secret = services.create(org=self.org, by=self.principal, pipeline_id=pk, **fields)
        return self.hook_response(hook, 201, secret=secret)


class HookById(HookView):
    @operation(
        "hooks_get",
        tag="pipelines",
        summary="Show a hook",
        answer=HookRow,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID, hook: UUID) -> Response:
        found = services.find_hook(org=self.org, by=self.principal, pipeline_id=pk, hook_id=hook)
        return self.hook_response(found)

    @operation(
        "hooks_update",
        tag="pipelines",
        summary="Rename, enable or disable a hook",
        request=HookUpdate,
        answer=HookRow,
        errors=(404, 409, 412, 422),
        parameters=[IF_MATCH],
        example={**EXAMPLE, "enabled": False},
        request_example={"enabled": False},
    )
    def patch(self, request: Request, pk: UUID, hook: UUID) -> Response:
        changed = services.update(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            hook_id=hook,
            changes=data_of(HookUpdate, request),
            match=match_of(request),
        )
        return self.hook_response(changed)

    @operation(
        "hooks_delete",
        tag="pipelines",
        summary="Delete a hook",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID, hook: UUID) -> Response:
        services.delete(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            hook_id=hook,
            match=match_of(request),
        )
        return Response(status=204)


class RotateHook(HookView):
    @operation(
        "hooks_rotate",
        tag="pipelines",
        summary="Give a hook a new secret, shown once; the old one stops working at once",
        request=Empty,
        answer=HookWithSecret,
        errors=(404,),
        example=EXAMPLE_WITH_SECRET,
    )
    def post(self, request: Request, pk: UUID, hook: UUID) -> Response:
        data_of(Empty, request)
        changed, secret = services.rotate(
            org=self.org, by=self.principal, pipeline_id=pk, hook_id=hook
        )
        return self.hook_response(changed, secret=secret)
