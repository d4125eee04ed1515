"""The overview and the timeline over HTTP."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.runs.overview.queue import read_queue
from apps.runs.overview.serializers import (
    OverviewSerializer,
    QueueSerializer,
    TimelineQuery,
    TimelineSerializer,
)
from apps.runs.overview.summary import summarize
from apps.runs.overview.timeline import read_timeline
from apps.runs.views import EXAMPLE_ROW
from apps.web.schema import operation
from apps.web.views import query_of

PIPELINE = EXAMPLE_ROW["pipeline"]
RUN_ID = EXAMPLE_ROW["id"]
OVERVIEW_EXAMPLE: dict[str, Any] = {
    "runs": 48,
    "succeeded": 46,
    "failed": 1,
    "cancelled": 1,
    "success_rate": 0.9787,
    "records": 1200000,
    "running": 2,
    "waiting": 0,
    "waiting_reason": None,
    "freshness": {"failing": 1, "late": 0, "fresh": 11, "none": 2},
    "attention": [
        {
            "kind": "failing",
            "id": PIPELINE["id"],
            "name": PIPELINE["name"],
            "cause": "The source has closed the connection.",
            "since": "2026-03-01T06:00:07Z",
            "pipeline_id": PIPELINE["id"],
            "run_id": RUN_ID,
            "failure_class": "source",
            "retrying": False,
            "fixes": [
                {"action": "retry", "id": RUN_ID, "name": ""},
                {"action": "open_run", "id": RUN_ID, "name": ""},
            ],
        }
    ],
    "attention_has_more": False,
    "queue": [],
    "hours": [
        {
            "start": "2026-03-01T06:00:00Z",
            "succeeded": 2,
            "failed": 1,
            "cancelled": 0,
            "records": 336776,
            "bytes": 43107328,
            "average_seconds": 5.6,
            "longest_seconds": 6.1,
        }
    ],
}
QUEUE_EXAMPLE: dict[str, Any] = {
    "running": 1,
    "waiting": 1,
    "waiting_since": "2026-03-01T06:00:00Z",
    "max_running": 1,
    "workers": 1,
    "has_worker": True,
    "running_runs": [EXAMPLE_ROW],
    "waiting_runs": [
        {
            **EXAMPLE_ROW,
            "status": "pending",
            "attempt": 0,
            "waiting_reason": "org limit 1/1",
            "place_in_line": 1,
            "started_at": None,
        }
    ],
}
TIMELINE_EXAMPLE: dict[str, Any] = {
    "pipelines": [PIPELINE],
    "runs": [
        {
            "id": RUN_ID,
            "pipeline": 0,
            "status": "succeeded",
            "start": "2026-03-01T06:00:00Z",
            "end": "2026-03-01T06:00:06Z",
            "records": 336776,
        }
    ],
    "has_more": False,
}


class OverviewView(OrgView):
    reads_from_replica = True

    @operation(
        "stats_overview",
        tag="runs",
        summary="Show the freshness of the pipelines, what needs attention, the queue and the last 24 hours",
        answer=OverviewSerializer,
        example=OVERVIEW_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return Response(summarize(self.org, self.principal))


class QueueView(OrgView):
    @operation(
        "queue_get",
        tag="runs",
        summary="Show what runs now, and which runs wait, in which order and why",
        answer=QueueSerializer,
        example=QUEUE_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return Response(read_queue(self.org, self.principal))


class TimelineView(OrgView):
    reads_from_replica = True

    @operation(
        "stats_timeline",
        tag="runs",
        summary="List the runs of the last 24 hours by pipeline, for a timeline",
        answer=TimelineSerializer,
        parameters=[TimelineQuery],
        example=TIMELINE_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        query = query_of(TimelineQuery, request)
        return Response(read_timeline(org=self.org, by=self.principal, **query))
