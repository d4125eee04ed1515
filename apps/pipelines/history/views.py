"""Views of the versions of a pipeline's definition."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.serializers import Empty
from apps.orgs.roles import Permission
from apps.pipelines import examples, rendering
from apps.pipelines import services as pipelines
from apps.pipelines.history import services, versions
from apps.pipelines.serializers import (
    DiffQuery,
    PipelineDetail,
    VersionDetail,
    VersionDiff,
    VersionRow,
)
from apps.pipelines.views import PipelineView
from apps.web.paging import Order, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import match_of, query_of

ROW_EXAMPLE = {
    "number": 2,
    "note": "Restored version 1",
    "created_at": "2026-11-22T10:00:00Z",
    "created_by": {"id": examples.ID, "name": "Ada"},
}


def _parse_number(text: str) -> int:
    number = int(text)
    if not 0 <= number <= versions.MAX_VERSION_NUMBER:
        raise ValueError("the number is out of range")
    return number


ORDERS = {
    "newest": Order("number", descending=True, parse=_parse_number),
    "oldest": Order("number", parse=_parse_number),
}


class Versions(PipelineView):
    @operation(
        "pipelines_versions_list",
        tag="pipelines",
        summary="List the versions of the definition, newest first",
        answer=page_of(VersionRow),
        errors=(404,),
        parameters=[*PAGE_PARAMETERS, order_of(ORDERS, "newest")],
        example={"results": [ROW_EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        versions_of_pipeline = services.list_versions(
            org=self.org, by=self.principal, pipeline_id=pk
        )
        rows = versions_of_pipeline.values(
            "id", "number", "note", "created_at", "created_by", "created_by__name",
            "created_by__email",
        )  # fmt: skip
        return page(request, rows, orders=ORDERS, default="newest", render=_render_row)


class VersionByNumber(PipelineView):
    @operation(
        "pipelines_versions_retrieve",
        tag="pipelines",
        summary="Show a version with its definition, secrets masked",
        answer=VersionDetail,
        errors=(404,),
        example={**ROW_EXAMPLE, "config": examples.CONFIG},
    )
    def get(self, request: Request, pk: UUID, number: int) -> Response:
        version = services.find_version(
            org=self.org, by=self.principal, pipeline_id=pk, number=number
        )
        body = rendering.render_version(version)
        return Response({**body, "config": rendering.masked_config(version)})


class Diff(PipelineView):
    @operation(
        "pipelines_versions_diff",
        tag="pipelines",
        summary="Compare a version with another, field by field, secrets masked",
        answer=VersionDiff,
        errors=(404,),
        parameters=[DiffQuery],
        example={
            "before": 1,
            "after": 2,
            "changes": [
                {
                    "field": "streams.0.write_mode",
                    "before": "replace",
                    "after": "merge",
                    "secret": False,
                }
            ],
        },
    )
    def get(self, request: Request, pk: UUID, number: int) -> Response:
        before = query_of(DiffQuery, request).get("against", number - 1)
        changes = services.compare_versions(
            org=self.org, by=self.principal, pipeline_id=pk, before=before, after=number
        )
        return Response({"before": before, "after": number, "changes": changes})


class Restore(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_versions_restore",
        tag="pipelines",
        summary="Restore an old version as a new one, secrets included",
        request=Empty,
        answer=PipelineDetail,
        errors=(404, 412, 422),
        parameters=[IF_MATCH],
        example={**examples.DETAIL, "version": 3},
    )
    def post(self, request: Request, pk: UUID, number: int) -> Response:
        restored = pipelines.restore(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            number=number,
            match=match_of(request),
        )
        return self.pipeline_response(restored)


def _render_row(values: dict[str, Any]) -> dict[str, Any]:
    pk = values["created_by"]
    name = values["created_by__name"] or values["created_by__email"]
    return {
        "number": values["number"],
        "note": values["note"],
        "created_at": values["created_at"],
        "created_by": {"id": pk, "name": name} if pk else None,
    }
