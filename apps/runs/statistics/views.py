"""The statistics of a pipeline over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID
from zoneinfo import ZoneInfo

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.runs.statistics import services
from apps.runs.statistics.serializers import StatisticsQuery, StatisticsSerializer
from apps.web.schema import operation
from apps.web.views import query_of

EXAMPLE_ID = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11"
EXAMPLE = {
    "runs": [
        {
            "id": EXAMPLE_ID,
            "status": "failed",
            "trigger": "schedule",
            "version": 4,
            "created_at": "2026-03-01T06:00:00Z",
            "started_at": "2026-03-01T06:00:00Z",
            "finished_at": "2026-03-01T06:00:06Z",
            "records": 0,
            "rejected": 0,
            "failure_class": "authentication",
        }
    ],
    "days": [
        {
            "date": "2026-02-28",
            "succeeded": 24,
            "failed": 0,
            "cancelled": 0,
            "records": 336776,
        }
    ],
    "since": "2025-09-01",
    "failing": {
        "last_success_at": "2026-02-28T06:00:00Z",
        "first_failure_id": EXAMPLE_ID,
        "first_failure_at": "2026-03-01T06:00:00Z",
        "failures": 1,
        "versions": [{"number": 4, "created_at": "2026-03-01T05:50:00Z", "author": "Mia"}],
    },
    "freshness": {
        "points": [
            {
                "at": "2026-03-01T06:00:06Z",
                "freshness": "failing",
                "age_seconds": 3600.0,
                "late_after_seconds": 5400.0,
            }
        ],
        "fresh_share": 0.98,
    },
}


class PipelineStatisticsView(OrgView):
    reads_from_replica = True

    @operation(
        "stats_pipeline",
        tag="runs",
        summary="Show the newest runs and the days of a pipeline, for charts",
        answer=StatisticsSerializer,
        errors=(404,),
        parameters=[StatisticsQuery],
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        query = query_of(StatisticsQuery, request)
        statistics = services.describe(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            zone=ZoneInfo(query["timezone"]),
            limit=query["runs"],
        )
        return Response(asdict(statistics))
