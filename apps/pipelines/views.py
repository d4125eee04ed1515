"""Pipelines over HTTP: parse, one domain call, render."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.serializers import Empty
from apps.orgs.http.views import OrgView, one
from apps.orgs.placement import placed, visible
from apps.orgs.roles import Permission
from apps.pipelines import examples, listing, rendering, services
from apps.pipelines.models import Pipeline, Schedule
from apps.pipelines.serializers import (
    DuplicateRequest,
    PipelineCreate,
    PipelineDetail,
    PipelineFilter,
    PipelineRow,
    PipelineUpdate,
)
from apps.web.paging import Cursor, limit_of
from apps.web.problems import Problem
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import data_of, etag, query_of, require_match


class PipelineView(OrgView):
    """What the views of pipelines share: which ones this principal may see and change."""

    def pipelines(self) -> Any:
        return visible(Pipeline.objects.for_org(self.org), self.principal)

    def readable(self, pk: UUID) -> Pipeline:
        found: Pipeline = one(self.pipelines().select_related("domain"), pk)
        return found

    def changeable(self, pk: UUID, permission: Permission = Permission.PIPELINES_EDIT) -> Pipeline:
        """The pipeline, locked, if the principal holds `permission` on it.

        Its schedule is locked first, as the scheduler does, so that neither waits for the other.
        """
        list(Schedule.objects.for_org(self.org).filter(pipeline_id=pk).select_for_update())
        found: Pipeline = one(self.pipelines().select_related("domain"), pk, lock=True)
        self.principal.require(permission, domain_id=found.domain_id)
        return found

    def answer(self, pipeline: Pipeline, status: int = 200) -> Response:
        body = rendering.detail(self.org, pipeline)
        return Response(body, status=status, headers={"ETag": etag(pipeline.etag)})

    def place(self, domain_id: UUID | None) -> None:
        placed(
            org=self.org,
            principal=self.principal,
            permission=Permission.PIPELINES_EDIT,
            domain_id=domain_id,
        )


class Pipelines(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_list",
        tag="pipelines",
        summary="Pipelines, without their definitions",
        answer=page_of(PipelineRow),
        parameters=[PipelineFilter, *PAGE_PARAMETERS, order_of(listing.ORDERS, listing.DEFAULT)],
        example={"results": [examples.ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        filters = listed_filters(query_of(PipelineFilter, request))
        if self.principal.only_domain is not None:
            filters["only_domain"] = self.principal.only_domain
        limit = limit_of(request)
        cursor, order = place_of(request)
        found = listing.find(self.org.pk, filters, order=order, cursor=cursor, limit=limit)
        return Response(listing.page_of(found, order=order, cursor=cursor))

    @operation(
        "pipelines_create",
        tag="pipelines",
        summary="Make a pipeline with its first version",
        request=PipelineCreate,
        answer=PipelineDetail,
        status=201,
        errors=(409, 422),
        example=examples.DETAIL,
        request_example=examples.CREATE,
    )
    def post(self, request: Request) -> Response:
        data = data_of(PipelineCreate, request)
        self.place(data["domain_id"])
        made = services.create(org=self.org, by=self.principal, **data)
        return self.answer(made, 201)


class PipelineById(PipelineView):
    permissions = {
        "patch": Permission.PIPELINES_EDIT,
        "put": Permission.PIPELINES_EDIT,
        "delete": Permission.PIPELINES_DELETE,
    }

    @operation(
        "pipelines_retrieve",
        tag="pipelines",
        summary="A pipeline with its definition, secrets masked",
        answer=PipelineDetail,
        errors=(404,),
        example=examples.DETAIL,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self.answer(self.readable(pk))

    @operation(
        "pipelines_update",
        tag="pipelines",
        summary="Change a pipeline; a changed definition makes a new version",
        request=PipelineUpdate,
        answer=PipelineDetail,
        errors=(404, 409, 412, 422),
        parameters=[IF_MATCH],
        example=examples.DETAIL,
        request_example={"tags": ["daily"], "schedule": {"timezone": "Europe/Paris"}},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        return self.change(request, pk, data_of(PipelineUpdate, request), patch=True)

    @operation(
        "pipelines_replace",
        tag="pipelines",
        summary="Replace a pipeline; secrets that are left out are kept",
        request=PipelineCreate,
        answer=PipelineDetail,
        errors=(404, 409, 412, 422),
        parameters=[IF_MATCH],
        example=examples.DETAIL,
        request_example=examples.CREATE,
    )
    def put(self, request: Request, pk: UUID) -> Response:
        return self.change(request, pk, data_of(PipelineCreate, request), patch=False)

    @operation(
        "pipelines_delete",
        tag="pipelines",
        summary="Delete a pipeline with its versions, schedule and runs",
        status=204,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        pipeline = self.changeable(pk, Permission.PIPELINES_DELETE)
        require_match(request, pipeline.etag)
        services.delete(org=self.org, by=self.principal, pipeline=pipeline)
        return Response(status=204)

    def change(
        self, request: Request, pk: UUID, changes: dict[str, Any], *, patch: bool
    ) -> Response:
        pipeline = self.changeable(pk)
        require_match(request, pipeline.etag)
        if changes.get("domain_id", pipeline.domain_id) != pipeline.domain_id:
            self.place(changes["domain_id"])
        services.update(
            org=self.org, by=self.principal, pipeline=pipeline, changes=changes, patch=patch
        )
        return self.answer(pipeline)


class Duplicate(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_duplicate",
        tag="pipelines",
        summary="Make a disabled copy with its own state",
        request=DuplicateRequest,
        answer=PipelineDetail,
        status=201,
        errors=(404, 409, 422),
        example=examples.DETAIL,
        request_example={"name": "Flights (copy)"},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data = data_of(DuplicateRequest, request)
        pipeline = self.readable(pk)
        self.place(pipeline.domain_id)
        copy = services.duplicate(
            org=self.org, by=self.principal, pipeline=pipeline, name=data.get("name")
        )
        return self.answer(copy, 201)


class Enable(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_enable",
        tag="pipelines",
        summary="Let a pipeline run, also by its schedule",
        request=Empty,
        answer=PipelineDetail,
        errors=(404,),
        example=examples.DETAIL,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        pipeline = self.changeable(pk)
        services.set_enabled(org=self.org, by=self.principal, pipeline=pipeline, enabled=True)
        return self.answer(pipeline)


class Disable(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_disable",
        tag="pipelines",
        summary="Keep a pipeline from running",
        request=Empty,
        answer=PipelineDetail,
        errors=(404,),
        example={**examples.DETAIL, "enabled": False, "next_run_at": None},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        pipeline = self.changeable(pk)
        services.set_enabled(org=self.org, by=self.principal, pipeline=pipeline, enabled=False)
        return self.answer(pipeline)


def listed_filters(wanted: dict[str, Any]) -> dict[str, Any]:
    """The query's words as the list's filters."""
    filters = {name: value for name, value in wanted.items() if value != ""}
    if "tag" in filters:
        tags = [tag.strip().lower() for tag in filters.pop("tag").split(",")]
        filters["tags"] = [tag for tag in tags if tag]
    return filters


def place_of(request: Request) -> tuple[Cursor | None, str]:
    """The cursor and the order of a list; a cursor brings its own. Raises 400."""
    text = request.query_params.get("cursor")
    cursor = Cursor.decode(text) if text else None
    order = cursor.order if cursor else request.query_params.get("order", listing.DEFAULT)
    if order not in listing.ORDERS:
        message = f"order must be one of {', '.join(listing.ORDERS)}."
        raise Problem(400, message, "malformed", [("order", message, "invalid")])
    if cursor and not listing.fits(order, cursor.value):
        message = "This is not a cursor of this list."
        raise Problem(400, message, "malformed", [("cursor", message, "invalid")])
    return cursor, order
