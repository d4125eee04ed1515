"""Views of pipelines. Each one parses the request, makes one service call, and renders the result."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.serializers import Empty
from apps.orgs.http.views import OrgView, respond_after_check
from apps.orgs.roles import Permission
from apps.pipelines import examples, listing, rendering, services, visibility
from apps.pipelines.listing import Filters, FilterValue
from apps.pipelines.models import Pipeline
from apps.pipelines.serializers import (
    ChangedPipeline,
    DuplicateRequest,
    PipelineCreate,
    PipelineDetail,
    PipelineFilter,
    PipelineRow,
    PipelineUpdate,
)
from apps.pipelines.services import PipelineChanges
from apps.pipelines.transforms import CheckedCode
from apps.web.paging import Cursor, limit_of
from apps.web.problems import Problem
from apps.web.schema import IF_MATCH, operation, order_of, page_of, page_parameters
from apps.web.slow import SlowResponse
from apps.web.views import data_of, etag, match_of, query_of


class PipelineView(OrgView):
    """Base of the views that return a pipeline."""

    def pipeline_response(self, pipeline: Pipeline, status: int = 200) -> Response:
        body = rendering.render_detail(self.org, self.principal, pipeline)
        return Response(body, status=status, headers={"ETag": etag(pipeline.etag)})


class Pipelines(PipelineView):
    reads_from_replica = True
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_list",
        tag="pipelines",
        summary="List pipelines, without their definitions",
        answer=page_of(PipelineRow),
        parameters=[
            PipelineFilter,
            *page_parameters(listing.MAX_LIMIT),
            order_of(listing.ORDERS, listing.DEFAULT_ORDER),
        ],
        example={"results": [examples.ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        filters = filters_from_query(query_of(PipelineFilter, request))
        limit = limit_of(request, listing.MAX_LIMIT)
        cursor, order = cursor_and_order(request)
        page = listing.fetch_page(
            org=self.org,
            by=self.principal,
            filters=filters,
            order=order,
            cursor=cursor,
            limit=limit,
        )
        return Response(listing.render_page(page, order=order, cursor=cursor))

    @operation(
        "pipelines_create",
        tag="pipelines",
        summary="Create a pipeline with its first version",
        request=PipelineCreate,
        answer=PipelineDetail,
        status=201,
        errors=(409, 422),
        example=examples.DETAIL,
        request_example=examples.CREATE_REQUEST,
    )
    def post(self, request: Request) -> Response | SlowResponse:
        return respond_after_check(partial(self.create, data_of(PipelineCreate, request)))

    def create(self, data: dict[str, Any], checked: CheckedCode | None) -> Response:
        pipeline = services.create(org=self.org, by=self.principal, checked=checked, **data)
        return self.pipeline_response(pipeline, 201)


class PipelineById(PipelineView):
    permissions = {
        "patch": Permission.PIPELINES_EDIT,
        "put": Permission.PIPELINES_EDIT,
        "delete": Permission.PIPELINES_DELETE,
    }

    @operation(
        "pipelines_retrieve",
        tag="pipelines",
        summary="Show a pipeline with its definition, secrets masked",
        answer=PipelineDetail,
        errors=(404,),
        example=examples.DETAIL,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        pipeline = visibility.find_pipeline(org=self.org, by=self.principal, pipeline_id=pk)
        return self.pipeline_response(pipeline)

    @operation(
        "pipelines_update",
        tag="pipelines",
        summary="Change a pipeline; a changed definition adds a version",
        request=PipelineUpdate,
        answer=ChangedPipeline,
        errors=(404, 409, 412, 422),
        parameters=[IF_MATCH],
        example=examples.CHANGED,
        request_example={"tags": ["daily"], "schedule": {"timezone": "Europe/Paris"}},
    )
    def patch(self, request: Request, pk: UUID) -> Response | SlowResponse:
        return self.update(request, pk, data_of(PipelineUpdate, request), patch=True)

    @operation(
        "pipelines_replace",
        tag="pipelines",
        summary="Replace a pipeline; secrets that are left out are kept",
        request=PipelineCreate,
        answer=ChangedPipeline,
        errors=(404, 409, 412, 422),
        parameters=[IF_MATCH],
        example=examples.CHANGED,
        request_example=examples.CREATE_REQUEST,
    )
    def put(self, request: Request, pk: UUID) -> Response | SlowResponse:
        return self.update(request, pk, data_of(PipelineCreate, request), patch=False)

    @operation(
        "pipelines_delete",
        tag="pipelines",
        summary="Delete a pipeline with its versions, schedule and runs",
        status=204,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        services.delete(org=self.org, by=self.principal, pipeline_id=pk, match=match_of(request))
        return Response(status=204)

    def update(
        self, request: Request, pk: UUID, changes: PipelineChanges, *, patch: bool
    ) -> Response | SlowResponse:
        def change(checked: CheckedCode | None) -> Response:
            pipeline = services.update(
                org=self.org,
                by=self.principal,
                pipeline_id=pk,
                changes=changes,
                patch=patch,
                match=match_of(request),
                checked=checked,
            )
            body = rendering.render_changed(
                self.org, self.principal, pipeline, is_definition_sent="config" in changes
            )
            return Response(body, headers={"ETag": etag(pipeline.etag)})

        return respond_after_check(change)


class Duplicate(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_duplicate",
        tag="pipelines",
        summary="Duplicate a pipeline; the copy is disabled and has its own state",
        request=DuplicateRequest,
        answer=PipelineDetail,
        status=201,
        errors=(404, 409, 422),
        example=examples.DETAIL,
        request_example={"name": "Flights (copy)"},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data = data_of(DuplicateRequest, request)
        copy = services.duplicate(
            org=self.org, by=self.principal, pipeline_id=pk, name=data.get("name")
        )
        return self.pipeline_response(copy, 201)


class Enable(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_enable",
        tag="pipelines",
        summary="Enable a pipeline and its schedule",
        request=Empty,
        answer=PipelineDetail,
        errors=(404,),
        example=examples.DETAIL,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        pipeline = services.set_enabled(
            org=self.org, by=self.principal, pipeline_id=pk, enabled=True
        )
        return self.pipeline_response(pipeline)


class Disable(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_disable",
        tag="pipelines",
        summary="Disable a pipeline and its schedule",
        request=Empty,
        answer=PipelineDetail,
        errors=(404,),
        example={**examples.DETAIL, "enabled": False, "next_run_at": None},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        pipeline = services.set_enabled(
            org=self.org, by=self.principal, pipeline_id=pk, enabled=False
        )
        return self.pipeline_response(pipeline)


def filters_from_query(query: Filters) -> dict[str, FilterValue]:
    """Return the validated query parameters as filters of the list."""
    filters = {name: value for name, value in query.items() if value != ""}
    if "tag" in filters:
        tags = [tag.strip().lower() for tag in str(filters.pop("tag")).split(",")]
        filters["tags"] = [tag for tag in tags if tag]
    return filters


def cursor_and_order(request: Request) -> tuple[Cursor | None, str]:
    """Return the cursor and the order of the list. A cursor contains its order. Raises Problem 400."""
    text = request.query_params.get("cursor")
    cursor = Cursor.decode(text) if text else None
    order = cursor.order if cursor else request.query_params.get("order", listing.DEFAULT_ORDER)
    if order not in listing.ORDERS:
        message = f"order must be one of {', '.join(listing.ORDERS)}."
        raise Problem(400, message, "malformed", [("order", message, "invalid")])
    if cursor and not listing.is_valid_cursor_value(order, cursor.value):
        message = "This is not a cursor of this list."
        raise Problem(400, message, "malformed", [("cursor", message, "invalid")])
    return cursor, order
