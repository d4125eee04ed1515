"""The position of a pipeline's stream over HTTP: show, change, reset."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView, one
from apps.orgs.roles import Permission
from apps.pipelines.models import Pipeline
from apps.runs import visibility as access
from apps.runs.positions import services as positions
from apps.runs.serializers import (
    NothingSerializer,
    PipelineStateSerializer,
    PutStreamStateSerializer,
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
            "updated_at": "2026-03-01T06:00:06Z",
        }
    ]
}


class StateView(OrgView):
    permissions = {"put": Permission.STATE_EDIT}

    @operation(
        "pipelines_state_get",
        tag="runs",
        summary="Where the pipeline's stream is",
        answer=PipelineStateSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        one(access.pipelines(self.org, self.principal), pk)
        return Response(positions.shown(self.org.pk, pk))

    @operation(
        "pipelines_state_put",
        tag="runs",
        summary="Continue the next incremental sync from another position",
        request=PutStreamStateSerializer,
        answer=PipelineStateSerializer,
        errors=(404, 409),
        example=EXAMPLE,
        request_example={"state": {"after": "2026-01-01T00:00:00Z"}},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        wanted = data_of(PutStreamStateSerializer, request)
        pipeline = _editable(self, pk)
        positions.put(org=self.org, pipeline=pipeline, by=self.principal, position=wanted["state"])
        return Response(positions.shown(self.org.pk, pk))


class StateResetView(OrgView):
    permissions = {"post": Permission.STATE_EDIT}

    @operation(
        "pipelines_state_reset",
        tag="runs",
        summary="Read everything again with the next run",
        request=NothingSerializer,
        answer=PipelineStateSerializer,
        errors=(404, 409),
        example=EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data_of(NothingSerializer, request)
        positions.reset(org=self.org, pipeline=_editable(self, pk), by=self.principal)
        return Response(positions.shown(self.org.pk, pk))


def _editable(view: OrgView, pk: UUID) -> Pipeline:
    """The pipeline, locked: a run of it cannot start before the position has changed."""
    pipeline = one(access.pipelines(view.org, view.principal), pk, lock=True)
    view.principal.require(Permission.STATE_EDIT, domain_id=pipeline.domain_id)
    return cast(Pipeline, pipeline)
