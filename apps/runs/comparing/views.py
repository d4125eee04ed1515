"""The comparison of two runs over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.runs.comparing import services
from apps.runs.comparing.serializers import ComparisonSerializer
from apps.runs.views import EXAMPLE_ROW, EXAMPLE_STREAM
from apps.web.schema import operation
from apps.web.slow import SlowResponse


class RunComparisonView(OrgView):
    @operation(
        "runs_compare",
        tag="runs",
        summary="Compare a run with another run of its pipeline: settings, counts, durations, log",
        answer=ComparisonSerializer,
        errors=(404,),
        example={
            "run": {**EXAMPLE_ROW, "version": 4},
            "other": EXAMPLE_ROW,
            "changes": [
                {
                    "field": "streams.0.write_mode",
                    "before": "replace",
                    "after": "merge",
                    "secret": False,
                }
            ],
            "streams": [{"stream": "public.flights", "run": EXAMPLE_STREAM, "other": None}],
            "streams_total": 1,
            "only_in_run": [{"line": 14, "level": "error", "message": "password is wrong"}],
            "only_in_other": [],
        },
    )
    def get(self, request: Request, pk: UUID, other: UUID) -> SlowResponse:
        call = services.compare(org=self.org, by=self.principal, run_id=pk, other_id=other)
        return self.wait_for(call, lambda comparison: Response(asdict(comparison)))
