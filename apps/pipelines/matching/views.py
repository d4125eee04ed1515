"""Views of the streams of a pipeline, and of the streams that patterns choose."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.pipelines import examples
from apps.pipelines.matching import previews, services
from apps.pipelines.serializers import (
    MatchAnswer,
    MatchRequest,
    PipelineDetail,
    StreamDecision,
    StreamsOfPipeline,
    StreamsOfPipelineQuery,
)
from apps.pipelines.views import PipelineView
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import data_of, query_of

STREAM_EXAMPLE = {
    "stream": "sales.orders",
    "table": "sales_orders",
    "named": False,
    "state": "included",
    "missing": False,
    "sync_mode": "full_refresh",
    "write_mode": "replace",
}
STREAMS_EXAMPLE = {
    "results": [STREAM_EXAMPLE],
    "count": 1,
    "next_offset": None,
    "counts": {"included": 1, "waiting": 0, "ignored": 0, "missing": 0},
}
MATCH_EXAMPLE = {
    "ok": True,
    "streams": [
        {
            "stream": "sales.orders",
            "table": "sales_orders",
            "sync_mode": "full_refresh",
            "cursor_field": None,
            "primary_key": ["id"],
        }
    ],
    "total": 2,
    "failure": None,
}


class StreamsOfPipelineView(OrgView):
    @operation(
        "pipelines_streams",
        tag="pipelines",
        summary="List the streams of a pipeline: those that it names, and those that its patterns have chosen",
        answer=StreamsOfPipeline,
        parameters=[StreamsOfPipelineQuery],
        errors=(404,),
        example=STREAMS_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        query = {"state": None, **query_of(StreamsOfPipelineQuery, request)}
        return Response(
            services.list_streams(org=self.org, by=self.principal, pipeline_id=pk, **query)
        )


class Decide(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_streams_decide",
        tag="pipelines",
        summary="Add or ignore streams that the patterns have found, from the next run on",
        request=StreamDecision,
        answer=PipelineDetail,
        errors=(404, 422),
        example=examples.DETAIL,
        request_example={"decision": "add", "streams": ["sales.returns"]},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data = data_of(StreamDecision, request)
        pipeline = services.decide(org=self.org, by=self.principal, pipeline_id=pk, **data)
        return self.pipeline_response(pipeline)


class MatchDraft(OrgView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_match",
        tag="pipelines",
        summary="Show which streams the patterns of an unsaved definition choose, and their tables",
        request=MatchRequest,
        answer=MatchAnswer,
        errors=(409, 422),
        example=MATCH_EXAMPLE,
        request_example={
            "config": {
                "source": {"connector_id": examples.CONNECTOR_ID},
                "patterns": {"match": ["sales.*", "!*_tmp"]},
            }
        },
    )
    def post(self, request: Request) -> SlowResponse:
        data = data_of(MatchRequest, request)
        return self.wait_for(previews.match(org=self.org, by=self.principal, **data))
