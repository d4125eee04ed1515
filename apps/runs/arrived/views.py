"""Records at the destination over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.runs.arrived import services
from apps.runs.arrived.serializers import MAX_OFFSET, RowsQuery, RowsSerializer
from apps.runs.arrived.services import Look, PageRequest
from apps.web import paging
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import query_of

EXAMPLE = {
    "ok": True,
    "stream": "public.flights",
    "table": "flights",
    "destination": "duckdb",
    "run_id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11",
    "written_at": "2026-03-01T06:00:06Z",
    "columns": [
        {"name": "id", "type": "integer", "stored_as": "BIGINT"},
        {"name": "carrier", "type": "string", "stored_as": "VARCHAR"},
    ],
    "records": [["1", "UA"], ["2", None]],
    "cut": [],
    "total": 336776,
    "next_offset": 2,
    "look": "0195d39f:1xYz:abc",
    "streams": ["public.flights"],
    "failure": None,
}
NO_PAGE: dict[str, Any] = {
    "ok": True,
    "columns": [],
    "records": [],
    "cut": [],
    "total": None,
    "next_offset": None,
    "failure": None,
}


class PipelineRows(OrgView):
    permissions = {"get": Permission.DATA_VIEW}

    @operation(
        "pipelines_rows",
        tag="runs",
        summary="Show the records at the destination that the last run of a stream has written",
        answer=RowsSerializer,
        parameters=[RowsQuery],
        errors=(404, 409),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> SlowResponse:
        stream, page = _parse(request)
        call = services.look_at_pipeline(
            org=self.org, by=self.principal, pipeline_id=pk, stream=stream, page=page
        )
        return self.wait_for(call, _render)


class RunRows(OrgView):
    permissions = {"get": Permission.DATA_VIEW}

    @operation(
        "runs_rows",
        tag="runs",
        summary="Show the records of a table that the run has written, as it is now",
        answer=RowsSerializer,
        parameters=[RowsQuery],
        errors=(404, 409),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> SlowResponse:
        stream, page = _parse(request)
        call = services.look_at_run(
            org=self.org, by=self.principal, run_id=pk, stream=stream, page=page
        )
        return self.wait_for(call, _render)


def _parse(request: Request) -> tuple[str | None, PageRequest]:
    query = {**query_of(RowsQuery, request), "limit": paging.limit_of(request)}
    stream = query.pop("stream", None)
    return stream, PageRequest(**query)


def _render(look: Look) -> Response:
    page = {**(look.page or NO_PAGE)}
    if page["next_offset"] is not None and page["next_offset"] > MAX_OFFSET:
        page["next_offset"] = None
    return Response(
        {
            "stream": look.stream,
            "table": look.table,
            "destination": look.kind,
            "run_id": look.run_id,
            "written_at": look.written_at,
            **page,
            "look": look.token,
            "streams": look.streams,
        }
    )
