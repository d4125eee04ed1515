"""Actions on many pipelines, and the newest runs of many pipelines."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.pipelines.bulk.changes import Outcome
from apps.runs.bulk import services
from apps.runs.bulk.recent import recent_runs
from apps.runs.bulk.serializers import BulkAnswer, BulkRequest, RecentRunsAnswer, RecentRunsQuery
from apps.web.problems import as_problem
from apps.web.schema import operation
from apps.web.views import data_of, query_of

EXAMPLE: dict[str, Any] = {
    "results": [
        {"id": "0195d39f-11aa-7f00-8000-1d2f3a4b5c6d", "ok": True, "problem": None},
        {
            "id": "0195d39f-11aa-7f00-8000-1d2f3a4b5c6e",
            "ok": False,
            "problem": {
                "status": 423,
                "code": "disabled",
                "detail": "The pipeline is disabled: enable it, or run it once with force.",
            },
        },
    ],
    "succeeded": 1,
    "failed": 1,
}
RECENT_EXAMPLE: dict[str, Any] = {
    "results": [
        {
            "pipeline_id": "0195d39f-11aa-7f00-8000-1d2f3a4b5c6d",
            "runs": [
                {
                    "id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11",
                    "status": "succeeded",
                    "created_at": "2026-03-01T06:00:00Z",
                    "duration_seconds": 5.6,
                    "records": 336776,
                }
            ],
        }
    ]
}


class Bulk(OrgView):
    permissions = {"post": Permission.PIPELINES_EDIT}
    other_permissions = frozenset({Permission.PIPELINES_RUN})

    @operation(
        "pipelines_bulk",
        tag="pipelines",
        summary="Run, retry, enable, disable or tag many pipelines",
        request=BulkRequest,
        answer=BulkAnswer,
        errors=(422,),
        example=EXAMPLE,
        request_example={
            "ids": ["0195d39f-11aa-7f00-8000-1d2f3a4b5c6d", "0195d39f-11aa-7f00-8000-1d2f3a4b5c6e"],
            "action": "run",
        },
    )
    def post(self, request: Request) -> Response:
        """Each id has a result of its own. A pipeline that you cannot see is answered like one that does not exist."""
        data = data_of(BulkRequest, request)
        ids = list(dict.fromkeys(data["ids"]))
        outcome = services.act(
            org=self.org,
            by=self.principal,
            action=data["action"],
            ids=ids,
            tags=data.get("tags", ()),
        )
        return Response(_render(ids, outcome))


class RecentRuns(OrgView):
    @operation(
        "pipelines_recent_runs",
        tag="pipelines",
        summary="List the newest runs of each of many pipelines",
        answer=RecentRunsAnswer,
        parameters=[RecentRunsQuery],
        example=RECENT_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Up to 14 runs of each pipeline. Pipelines that you cannot see are left out."""
        ids = query_of(RecentRunsQuery, request)["pipelines"]
        found = recent_runs(org=self.org, by=self.principal, pipeline_ids=ids)
        return Response({"results": found})


def _render(ids: list[UUID], outcome: Outcome) -> dict[str, Any]:
    results = [_render_result(pk, outcome.failures.get(pk)) for pk in ids]
    failed = len(outcome.failures)
    return {"results": results, "succeeded": len(results) - failed, "failed": failed}


def _render_result(pk: UUID, error: Exception | None) -> dict[str, Any]:
    if error is None:
        return {"id": pk, "ok": True, "problem": None}
    problem = as_problem(error)
    if problem is None:
        raise error
    messages = [message for _, message, _ in problem.errors]
    rendered = {
        "status": problem.status,
        "code": problem.code,
        "detail": " ".join(messages) or problem.detail,
    }
    return {"id": pk, "ok": False, "problem": rendered}
