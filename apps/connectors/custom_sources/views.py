"""Views of custom sources: edit, validate, preview, approve and restore them."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors import engine
from apps.connectors.custom_sources import cookbook, diffs, rendering, trials
from apps.connectors.custom_sources import services as custom_sources
from apps.connectors.custom_sources.checked_code import CheckedCode
from apps.connectors.custom_sources.examples import (
    CODE,
    DETAIL,
    PREVIEW_ANSWER,
    REPORT,
    ROW,
    VERSION,
    VERSION_ROW,
)
from apps.connectors.custom_sources.serializers import (
    CodeReport,
    CodeRequest,
    Cookbook,
    CustomSourceCreate,
    CustomSourceDetail,
    CustomSourceDiff,
    CustomSourceDiffQuery,
    CustomSourceFilter,
    CustomSourceRow,
    CustomSourceUpdate,
    CustomSourceVersionDetail,
    CustomSourceVersionRow,
    TryAnswer,
    TryRequest,
)
from apps.connectors.models import CustomSource
from apps.connectors.serializers import Empty
from apps.orgs.http.views import OrgView, respond_after_check
from apps.orgs.roles import Permission
from apps.web.paging import Order, newest_first, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.slow import SlowResponse
from apps.web.views import data_of, etag, match_of, query_of

ORDERS = {"newest": newest_first(), "name": Order("name"), "updated": newest_first("updated_at")}
VERSION_ORDERS = {"newest": Order("number", descending=True, parse=int)}


class CustomSourceView(OrgView):
    """Base of these views: finds the visible sources, and renders one of them."""

    def sources(self) -> Any:
        return custom_sources.sources(self.org, self.principal)

    def find_source(self, pk: UUID) -> CustomSource:
        return custom_sources.find_source(org=self.org, by=self.principal, source_id=pk)

    def source_response(self, source: CustomSource, status: int = 200) -> Response:
        body = rendering.render_detail(self.org, source)
        return Response(body, status=status, headers={"ETag": etag(source.etag)})


class CustomSources(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_list",
        tag="custom sources",
        summary="List custom sources, without their code",
        answer=page_of(CustomSourceRow),
        parameters=[CustomSourceFilter, *PAGE_PARAMETERS, order_of(ORDERS, "newest")],
        example={"results": [ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        filters = query_of(CustomSourceFilter, request)
        rows = self.sources().matching(**filters).rows()
        return page(request, rows, orders=ORDERS, default="newest", render=rendering.render_row)

    @operation(
        "custom_sources_create",
        tag="custom sources",
        summary="Create a custom source with its first version; it cannot run until it is approved",
        request=CustomSourceCreate,
        answer=CustomSourceDetail,
        status=201,
        errors=(409, 413, 422),
        example=DETAIL,
        request_example={"name": "Shop", "code": CODE, "approve": True},
    )
    def post(self, request: Request) -> Response | SlowResponse:
        data = data_of(CustomSourceCreate, request)

        def create(checked: CheckedCode | None) -> Response:
            source = custom_sources.create(org=self.org, by=self.principal, checked=checked, **data)
            return self.source_response(source, 201)

        return respond_after_check(create)


class CustomSourceById(CustomSourceView):
    permissions = {
        "patch": Permission.CUSTOM_SOURCES_EDIT,
        "delete": Permission.CUSTOM_SOURCES_EDIT,
    }

    @operation(
        "custom_sources_retrieve",
        tag="custom sources",
        summary="Show a custom source with its newest version",
        answer=CustomSourceDetail,
        errors=(404,),
        example=DETAIL,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self.source_response(self.find_source(pk))

    @operation(
        "custom_sources_update",
        tag="custom sources",
        summary="Change a custom source; changed code becomes a new version",
        request=CustomSourceUpdate,
        answer=CustomSourceDetail,
        errors=(404, 409, 412, 413, 422),
        parameters=[IF_MATCH],
        example=DETAIL,
        request_example={"code": CODE, "note": "Orders by date"},
    )
    def patch(self, request: Request, pk: UUID) -> Response | SlowResponse:
        data = data_of(CustomSourceUpdate, request)

        def update(checked: CheckedCode | None) -> Response:
            source = custom_sources.update(
                org=self.org,
                by=self.principal,
                source_id=pk,
                changes=data,
                approve=data.get("approve", False),
                match=match_of(request),
                checked=checked,
            )
            return self.source_response(source)

        return respond_after_check(update)

    @operation(
        "custom_sources_delete",
        tag="custom sources",
        summary="Delete an unused custom source with its versions",
        status=204,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        match = match_of(request)
        custom_sources.delete(org=self.org, by=self.principal, source_id=pk, match=match)
        return Response(status=204)


class Versions(CustomSourceView):
    @operation(
        "custom_sources_versions_list",
        tag="custom sources",
        summary="List the versions of a custom source, newest first",
        answer=page_of(CustomSourceVersionRow),
        errors=(404,),
        parameters=[*PAGE_PARAMETERS, order_of(VERSION_ORDERS, "newest")],
        example={"results": [VERSION_ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        rows = rendering.version_rows(self.org, self.find_source(pk))
        return page(
            request,
            rows,
            orders=VERSION_ORDERS,
            default="newest",
            render=rendering.render_version_row,
        )


class VersionByNumber(CustomSourceView):
    @operation(
        "custom_sources_versions_retrieve",
        tag="custom sources",
        summary="Show a version with its code",
        answer=CustomSourceVersionDetail,
        errors=(404,),
        example=VERSION,
    )
    def get(self, request: Request, pk: UUID, number: int) -> Response:
        return Response(rendering.render_version_detail(self.org, self.find_source(pk), number))


class Diff(CustomSourceView):
    @operation(
        "custom_sources_versions_diff",
        tag="custom sources",
        summary="Compare a version with another: its code, and its hosts",
        answer=CustomSourceDiff,
        errors=(404,),
        parameters=[CustomSourceDiffQuery],
        example={
            "before": 1,
            "after": 2,
            "diff": "--- version 1\n+++ version 2\n@@ -1 +1 @@\n-a\n+b\n",
            "hosts_added": ["api.example.com"],
            "hosts_removed": [],
        },
    )
    def get(self, request: Request, pk: UUID, number: int) -> Response:
        source = self.find_source(pk)
        against = query_of(CustomSourceDiffQuery, request).get("against", number - 1)
        return Response(diffs.diff(org=self.org, source=source, before=against, after=number))


class Restore(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_versions_restore",
        tag="custom sources",
        summary="Restore an old version as a new one",
        request=Empty,
        answer=CustomSourceDetail,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
        example=DETAIL,
    )
    def post(self, request: Request, pk: UUID, number: int) -> Response:
        source = custom_sources.restore(
            org=self.org,
            by=self.principal,
            source_id=pk,
            number=number,
            match=match_of(request),
        )
        return self.source_response(source)


class Approve(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_versions_approve",
        tag="custom sources",
        summary="Approve a version for pipelines, with the hosts it names",
        request=Empty,
        answer=CustomSourceDetail,
        errors=(404, 412),
        parameters=[IF_MATCH],
        example={**DETAIL, "approved_version": 2},
    )
    def post(self, request: Request, pk: UUID, number: int) -> Response:
        source = custom_sources.approve(
            org=self.org,
            by=self.principal,
            source_id=pk,
            number=number,
            match=match_of(request),
        )
        return self.source_response(source)


class Validate(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_validate",
        tag="custom sources",
        summary="Validate code without running it",
        request=CodeRequest,
        answer=CodeReport,
        errors=(413, 422),
        example=REPORT,
        request_example={"code": CODE},
    )
    def post(self, request: Request) -> SlowResponse:
        code = data_of(CodeRequest, request)["code"]
        return SlowResponse(partial(engine.validate, org_id=self.org.pk, code=code), then=Response)


class Try(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_preview",
        tag="custom sources",
        summary="Preview code in the sandbox: a few real records, its requests and log",
        request=TryRequest,
        answer=TryAnswer,
        errors=(404, 413, 422),
        example=PREVIEW_ANSWER,
        request_example={"code": CODE, "stream": "orders", "config": {"token": "t-123"}},
    )
    def post(self, request: Request) -> SlowResponse:
        data = data_of(TryRequest, request)
        call = trials.prepare(
            org=self.org,
            by=self.principal,
            stream=data["stream"],
            config=data.get("config", {}),
            limit=data["max_records"],
            code=data.get("code"),
            source_id=data.get("id"),
            number=data.get("version"),
            connector_id=data.get("connector_id"),
        )
        return self.wait_for(call)


class Recipes(CustomSourceView):
    @operation(
        "custom_sources_cookbook",
        tag="custom sources",
        summary="List example sources, and the packages that code can import",
        answer=Cookbook,
        example={
            "results": [{"name": "bearer", "title": "A bearer token", "code": CODE}],
            "packages": ["requests", "httpx"],
        },
    )
    def get(self, request: Request) -> Response:
        return Response({"results": cookbook.entries(), "packages": cookbook.packages()})
