"""Runs over HTTP: start, list, show, cancel, retry, logs."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.runs import export, queries, services, snapshots, visibility
from apps.runs.serializers import (
    NothingSerializer,
    RunListQuery,
    RunRowSerializer,
    RunSerializer,
    RunStreamListSerializer,
    RunStreamQuery,
    StartSerializer,
)
from apps.web import paging
from apps.web.schema import PAGE_PARAMETERS, operation, page_of
from apps.web.views import data_of, query_of

ORDERS = {
    "-created_at": paging.newest_first(),
    "created_at": paging.Order("created_at", parse=paging.newest_first().parse),
}

EXAMPLE_ROW: dict[str, Any] = {
    "id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11",
    "pipeline": {"id": "0195d39f-11aa-7f00-8000-1d2f3a4b5c6d", "name": "flights"},
    "domain_id": None,
    "version": 3,
    "status": "running",
    "trigger": "manual",
    "kind": "ordinary",
    "triggered_by": "dana@example.com",
    "triggered_by_name": "Dana",
    "schedule_id": None,
    "slot": None,
    "replay_of": None,
    "upstream_runs": [],
    "attempt": 1,
    "max_attempts": 3,
    "waiting_reason": None,
    "place_in_line": None,
    "not_before": None,
    "cancel_requested": False,
    "timeout_seconds": 21600,
    "created_at": "2026-03-01T06:00:00Z",
    "started_at": "2026-03-01T06:00:00Z",
    "finished_at": None,
    "duration_seconds": None,
    "progress": {
        "read": 120000,
        "written": 120000,
        "rejected": 0,
        "skipped": 0,
        "bytes": 15360000,
        "iterations": 12,
        "total": 336776,
        "rate": 61000.0,
        "eta_seconds": 3.6,
        "at": "2026-03-01T06:00:02Z",
    },
    "failure": None,
    "streams_total": 1,
    "streams_failed": 0,
    "streams_succeeded": 0,
    "event_sequence": 9,
    "log_lines": 14,
}
EXAMPLE_STREAM: dict[str, Any] = {
    "position": 0,
    "stream": "public.flights",
    "table": "flights",
    "status": "succeeded",
    "read": 336776,
    "written": 336776,
    "rejected": 0,
    "skipped": 0,
    "bytes": 43107328,
    "total": 336776,
    "cursor_before": None,
    "cursor_after": None,
    "snapshot_at": "2026-03-01T06:00:00Z",
    "started_at": "2026-03-01T06:00:00Z",
    "finished_at": "2026-03-01T06:00:06Z",
    "duration_seconds": 5.6,
    "failure": None,
}
EXAMPLE = {**EXAMPLE_ROW, "attempts": [], "records_readable": True}


class PipelineRunView(OrgView):
    permissions = {"post": Permission.PIPELINES_RUN}

    @operation(
        "pipelines_run",
        tag="runs",
        summary="Start a run of the pipeline",
        request=StartSerializer,
        answer=RunSerializer,
        status=201,
        errors=(404, 409, 423),
        example=EXAMPLE,
        request_example={"force": False},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        options = data_of(StartSerializer, request)
        run = services.start(
            org=self.org, by=self.principal, pipeline_id=pk, force=options["force"]
        )
        return _run_response(self, run.pk, status=201)


class RunListView(OrgView):
    reads_from_replica = True

    @operation(
        "runs_list",
        tag="runs",
        summary="List runs, newest first",
        answer=page_of(RunRowSerializer),
        parameters=[
            RunListQuery,
            *PAGE_PARAMETERS,
            OpenApiParameter(
                "order",
                str,
                enum=list(ORDERS),
                description="Order by time of creation. The default, `-created_at`, is newest first.",
            ),
        ],
        example={"results": [EXAMPLE_ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        rows = queries.filter_runs(
            visibility.runs(self.org, self.principal),
            query_of(RunListQuery, request),
            org_id=self.org.pk,
        )
        render_all = partial(snapshots.render_runs, self.org.pk)
        return paging.page(
            request, rows, orders=ORDERS, default="-created_at", render_all=render_all
        )


class RunExportView(OrgView):
    @operation(
        "runs_export",
        tag="runs",
        summary=f"Export the list of runs as CSV: the newest {export.MAX_RUNS:,} that match, newest first",
        answer=str,
        media_type="text/csv",
        parameters=[RunListQuery],
        example="id,pipeline,status,trigger,triggered_by,created",
    )
    def get(self, request: Request) -> Any:
        rows = queries.filter_runs(
            visibility.runs(self.org, self.principal),
            query_of(RunListQuery, request),
            org_id=self.org.pk,
        )
        lines = export.csv_of_runs(rows, org_id=self.org.pk)
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="runs.csv"'
        return response


class RunView(OrgView):
    @operation(
        "runs_get",
        tag="runs",
        summary="Show a run: state, progress, attempts, failure",
        answer=RunSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        visibility.find_run(org=self.org, by=self.principal, run_id=pk)
        return _run_response(self, pk)


class RunStreamsView(OrgView):
    @operation(
        "runs_streams",
        tag="runs",
        summary="Show the streams of a run: state, counts, cursors, failure",
        answer=RunStreamListSerializer,
        parameters=[RunStreamQuery],
        errors=(404,),
        example={
            "results": [EXAMPLE_STREAM],
            "count": 1,
            "next_offset": None,
            "moments": [{"at": "2026-03-01T06:00:00Z", "streams": 1}],
        },
    )
    def get(self, request: Request, pk: UUID) -> Response:
        query = {"status": None, **query_of(RunStreamQuery, request)}
        return Response(queries.streams(org=self.org, by=self.principal, run_id=pk, **query))


class RunCancelView(OrgView):
    permissions = {"post": Permission.RUNS_CANCEL}

    @operation(
        "runs_cancel",
        tag="runs",
        summary="Cancel the run within ten seconds",
        request=NothingSerializer,
        answer=RunSerializer,
        errors=(404, 409),
        example=EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data_of(NothingSerializer, request)
        services.cancel(org=self.org, by=self.principal, run_id=pk)
        return _run_response(self, pk)


class RunRetryView(OrgView):
    permissions = {"post": Permission.PIPELINES_RUN}

    @operation(
        "runs_retry",
        tag="runs",
        summary="Retry a failed or cancelled run from its last checkpoints",
        request=NothingSerializer,
        answer=RunSerializer,
        errors=(404, 409),
        example=EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data_of(NothingSerializer, request)
        services.retry(org=self.org, by=self.principal, run_id=pk)
        return _run_response(self, pk)


def _run_response(view: OrgView, pk: UUID, *, status: int = 200) -> Response:
    return Response(snapshots.run(org_id=view.org.pk, run_id=pk), status=status)
