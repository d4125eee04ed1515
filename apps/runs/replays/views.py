"""The rejected records of a run over HTTP: which can be sent again, and send them again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.runs import snapshots
from apps.runs.replays import services
from apps.runs.replays.serializers import ReplayableStreamListSerializer, ReplaySerializer
from apps.runs.serializers import RunSerializer
from apps.runs.views import EXAMPLE
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import data_of

EXAMPLE_LIST: dict[str, Any] = {
    "results": [
        {
            "stream": "public.flights",
            "rejected": 12,
            "sendable": 12,
            "refusal": "",
            "replay_id": None,
        }
    ]
}
EXAMPLE_RUN = {
    **EXAMPLE,
    "status": "pending",
    "trigger": "replay",
    "replay_of": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a10",
}


class ReplayView(OrgView):
    permissions = {"post": Permission.PIPELINES_RUN}

    @operation(
        "runs_rejected_replayable",
        tag="runs",
        summary="Show for which streams of a run the rejected records can be sent again",
        answer=ReplayableStreamListSerializer,
        errors=(404,),
        example=EXAMPLE_LIST,
    )
    def get(self, request: Request, pk: UUID) -> SlowResponse:
        call = services.show(org=self.org, by=self.principal, run_id=pk)
        return self.wait_for(call, lambda found: Response({"results": found.results}))

    @operation(
        "runs_rejected_replay",
        tag="runs",
        summary="Start a run that sends the rejected records of a run again",
        request=ReplaySerializer,
        answer=RunSerializer,
        status=201,
        errors=(404, 409, 422, 423),
        example=EXAMPLE_RUN,
        request_example={"streams": ["public.flights"]},
    )
    def post(self, request: Request, pk: UUID) -> SlowResponse:
        streams = data_of(ReplaySerializer, request).get("streams")

        def start(counts: services.Counts) -> Response:
            run = services.start(
                org=self.org, by=self.principal, run_id=pk, streams=streams, counts=counts
            )
            return Response(snapshots.run(org_id=self.org.pk, run_id=run.pk), status=201)

        return SlowResponse(_count(self, pk).run, then=start, once=True)


def _count(view: OrgView, pk: UUID) -> SlowCall[services.Counts]:
    return services.count(org=view.org, by=view.principal, run_id=pk)
