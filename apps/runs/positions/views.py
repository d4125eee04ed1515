"""The positions of a pipeline's streams over HTTP: show, change, reset."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.runs.positions import history
from apps.runs.positions import services as positions
from apps.runs.positions.serializers import (
    HistoryQuery,
    PipelineStateSerializer,
    PositionHistorySerializer,
    PutStreamStateSerializer,
    ResetStateSerializer,
    RestorePositionSerializer,
)
from apps.web.schema import operation
from apps.web.views import data_of, query_of

POSITION = {
    "cursor_field": "time_hour",
    "key": ["id"],
    "after": ["2026-02-28 23:00:00+00", "336776"],
    "ties": [["336775"], ["336776"]],
}
EARLIER_POSITION = {**POSITION, "after": ["2026-02-27 23:00:00+00", "335000"], "ties": None}
EXAMPLE = {
    "streams": [
        {
            "stream": "flights",
            "sync_mode": "incremental",
            "status": "succeeded",
            "state": POSITION,
            "batches": 4,
            "written": 336776,
            "rejected": 0,
            "skipped": 0,
            "updated_at": "2026-03-01T06:00:06Z",
            "columns": [{"name": "flight", "type": "bigint"}],
        }
    ]
}
EXAMPLE_CHANGE = {
    "id": "019caa57-7cbc-7a47-9e75-d7e5a0a3a6a9",
    "stream": "flights",
    "at": "2026-03-01T06:00:06Z",
    "cause": "run",
    "run_id": "019caa57-61e2-7b0a-8f6c-2f8f0e6f3f0b",
    "changed_by": None,
    "before": EARLIER_POSITION,
    "after": POSITION,
    "complete": True,
}


class StateView(OrgView):
    permissions = {"put": Permission.STATE_EDIT}

    @operation(
        "pipelines_state_get",
        tag="runs",
        summary="Show the positions of the pipeline's streams",
        answer=PipelineStateSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(positions.read_positions(org=self.org, by=self.principal, pipeline_id=pk))

    @operation(
        "pipelines_state_put",
        tag="runs",
        summary="Continue the next incremental sync of a stream from another position",
        request=PutStreamStateSerializer,
        answer=PipelineStateSerializer,
        errors=(404, 409, 422),
        example=EXAMPLE,
        request_example={"stream": "flights", "state": EARLIER_POSITION},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        data = data_of(PutStreamStateSerializer, request)
        streams = positions.set_position(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            position=data["state"],
            stream=data.get("stream"),
        )
        return Response(streams)


class StateResetView(OrgView):
    permissions = {"post": Permission.STATE_EDIT}

    @operation(
        "pipelines_state_reset",
        tag="runs",
        summary="Read everything again with the next run, of one stream or of all",
        request=ResetStateSerializer,
        answer=PipelineStateSerializer,
        errors=(404, 409, 422),
        example=EXAMPLE,
        request_example={"stream": "flights"},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data = data_of(ResetStateSerializer, request)
        streams = positions.reset_position(
            org=self.org, by=self.principal, pipeline_id=pk, stream=data.get("stream")
        )
        return Response(streams)


class StateHistoryView(OrgView):
    @operation(
        "pipelines_state_history",
        tag="runs",
        summary="Show the changes of the saved positions, newest first",
        answer=PositionHistorySerializer,
        parameters=[HistoryQuery],
        errors=(404,),
        example={"results": [EXAMPLE_CHANGE], "count": 1, "next_offset": None},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        query = {"stream": None, **query_of(HistoryQuery, request)}
        return Response(
            history.read_history(org=self.org, by=self.principal, pipeline_id=pk, **query)
        )


class StateRestoreView(OrgView):
    permissions = {"post": Permission.STATE_EDIT}

    @operation(
        "pipelines_state_restore",
        tag="runs",
        summary="Continue the next incremental sync of a stream from an earlier position",
        request=RestorePositionSerializer,
        answer=PipelineStateSerializer,
        errors=(404, 409, 422),
        example=EXAMPLE,
        request_example={"change": EXAMPLE_CHANGE["id"], "side": "after"},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data = data_of(RestorePositionSerializer, request)
        streams = positions.restore_position(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            change_id=data["change"],
            side=data["side"],
        )
        return Response(streams)
