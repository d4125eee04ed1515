"""The backfills of a pipeline over HTTP: estimate, create, list, show, cancel."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.runs.backfills import services
from apps.runs.backfills.serializers import (
    BackfillListSerializer,
    BackfillSerializer,
    CreatedBackfillsSerializer,
    EstimateSerializer,
    WindowSerializer,
)
from apps.runs.backfills.services import StreamPlan, WindowChoice
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import data_of

REQUEST_EXAMPLE = {"streams": ["flights"], "from": "2026-01-01", "to": "2026-02-01"}
ESTIMATE_EXAMPLE = {
    "results": [
        {
            "stream": "flights",
            "window_mode": "merge",
            "from": "2026-01-01 00:00:00+00",
            "to": "2026-02-01 00:00:00+00",
            "rows": 27004,
            "rows_counted": True,
            "chunks": 1,
        }
    ]
}
EXAMPLE: dict[str, Any] = {
    "id": "019caa57-7cbc-7a47-9e75-d7e5a0a3a6b1",
    "stream": "flights",
    "cursor_field": "departed_at",
    "window_mode": "merge",
    "from": "2026-01-01 00:00:00+00",
    "to": "2026-02-01 00:00:00+00",
    "status": "running",
    "chunks": 1,
    "chunks_done": 0,
    "rows_expected": 27004,
    "rows_counted": True,
    "rows_read": 12000,
    "rows_written": 12000,
    "run_id": "019caa57-61e2-7b0a-8f6c-2f8f0e6f3f0b",
    "failure_message": "",
    "created_by": {"id": "019caa57-0f10-7f6e-8d4c-0f4a5c8f0a11", "name": "Dana"},
    "created_at": "2026-03-01T06:00:06Z",
    "finished_at": None,
}
LIST_EXAMPLE = {
    "results": [EXAMPLE],
    "streams": [
        {
            "stream": "flights",
            "cursor_field": "departed_at",
            "window_mode": "merge",
            "refusal": "",
            "reads_whole": False,
            "latest_end": "2026-02-28 23:59:00+00",
        }
    ],
}


class BackfillListView(OrgView):
    permissions = {"post": Permission.PIPELINES_RUN}

    @operation(
        "pipelines_backfills",
        tag="runs",
        summary="List the newest backfills of a pipeline, and which of its streams can be backfilled",
        answer=BackfillListSerializer,
        errors=(404,),
        example=LIST_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(services.show_all(org=self.org, by=self.principal, pipeline_id=pk))

    @operation(
        "pipelines_backfills_create",
        tag="runs",
        summary="Read a window of streams again, without changing their saved positions",
        request=WindowSerializer,
        answer=CreatedBackfillsSerializer,
        status=201,
        errors=(404, 409, 422, 423),
        example={"results": [EXAMPLE]},
        request_example=REQUEST_EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> SlowResponse:
        def create(plans: list[StreamPlan]) -> Response:
            rows = services.create(org=self.org, by=self.principal, pipeline_id=pk, plans=plans)
            return Response({"results": rows}, status=201)

        return self.wait_for(_plan(self, request, pk), create)


class BackfillEstimateView(OrgView):
    permissions = {"post": Permission.PIPELINES_RUN}

    @operation(
        "pipelines_backfills_estimate",
        tag="runs",
        summary="Estimate the rows of a backfill without creating it",
        request=WindowSerializer,
        answer=EstimateSerializer,
        errors=(404, 422, 423),
        example=ESTIMATE_EXAMPLE,
        request_example=REQUEST_EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> SlowResponse:
        return self.wait_for(
            _plan(self, request, pk), lambda plans: Response(services.render_plans(plans))
        )


class BackfillView(OrgView):
    @operation(
        "pipelines_backfills_get",
        tag="runs",
        summary="Show a backfill and its progress",
        answer=BackfillSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID, backfill: UUID) -> Response:
        return Response(
            services.show(org=self.org, by=self.principal, pipeline_id=pk, backfill_id=backfill)
        )


class BackfillCancelView(OrgView):
    permissions = {"post": Permission.RUNS_CANCEL}

    @operation(
        "pipelines_backfills_cancel",
        tag="runs",
        summary="Cancel a backfill and its run; what was loaded stays",
        answer=BackfillSerializer,
        errors=(404, 409),
        example={**EXAMPLE, "status": "cancelled", "finished_at": "2026-03-01T06:01:00Z"},
    )
    def post(self, request: Request, pk: UUID, backfill: UUID) -> Response:
        return Response(
            services.cancel(org=self.org, by=self.principal, pipeline_id=pk, backfill_id=backfill)
        )


def _plan(view: OrgView, request: Request, pk: UUID) -> SlowCall[list[StreamPlan]]:
    data = data_of(WindowSerializer, request)
    choice = WindowChoice(
        tuple(data["streams"]), data.get("from"), data.get("to"), data["rows_per_chunk"]
    )
    return services.plan(org=view.org, by=view.principal, pipeline_id=pk, choice=choice)
