"""The positions of a pipeline's streams over HTTP: show, change, reset."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.runs.positions import services as positions
from apps.runs.serializers import (
    PipelineStateSerializer,
    PutStreamStateSerializer,
    ResetStateSerializer,
)
from apps.web.schema import operation
from apps.web.views import data_of

EXAMPLE = {
    "streams": [
        {
            "stream": "flights",
            "sync_mode": "incremental",
            "status": "succeeded",
            "state": {"after": "2026-02-28T23:59:00Z"},
            "batches": 4,
            "written": 336776,
            "rejected": 0,
            "skipped": 0,
            "updated_at": "2026-03-01T06:00:06Z",
        }
    ]
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
        request_example={"stream": "flights", "state": {"after": "2026-01-01T00:00:00Z"}},
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
