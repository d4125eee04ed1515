"""A run's log over HTTP: pages, where lines match, and a download."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.runs.outputs import log_pages
from apps.runs.outputs.log_pages import LogResult, MatchesResult
from apps.runs.serializers import (
    LogMatchesQuery,
    LogMatchesSerializer,
    LogPageSerializer,
    LogQuery,
)
from apps.web.problems import Problem
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import query_of


class RunLogsView(OrgView):
    @operation(
        "runs_logs",
        tag="runs",
        summary="Read log lines from an offset on, even while the run is running",
        answer=LogPageSerializer,
        errors=(404,),
        parameters=[LogQuery],
        example={
            "offset": 0,
            "lines": [
                {
                    "line": 0,
                    "at": "2026-03-01T06:00:00Z",
                    "level": "info",
                    "message": "Starting a new sync",
                    "fields": {},
                }
            ],
            "next_offset": None,
            "total": 1,
            "complete": True,
            "removed": 0,
            "note": "",
        },
    )
    def get(self, request: Request, pk: UUID) -> SlowResponse:
        query = query_of(LogQuery, request)
        call = log_pages.read(
            org=self.org,
            by=self.principal,
            run_id=pk,
            offset=query["offset"],
            limit=_log_limit(request),
            level=query.get("level"),
            text=query.get("q", ""),
        )

        def respond(log: LogResult) -> Response:
            return Response(
                {
                    "offset": query["offset"],
                    "lines": log.page.lines,
                    "next_offset": log.next_offset,
                    "total": log.total,
                    "complete": log.complete,
                    "removed": log.removed,
                    "note": log.note,
                }
            )

        return self.wait_for(call, respond)


class RunLogMatchesView(OrgView):
    @operation(
        "runs_logs_matches",
        tag="runs",
        summary="Count the lines of the log that match, part by part",
        answer=LogMatchesSerializer,
        errors=(404,),
        parameters=[LogMatchesQuery],
        example={
            "parts": [{"first_line": 0, "lines": 480, "matches": 3}],
            "next_offset": None,
            "total": 480,
        },
    )
    def get(self, request: Request, pk: UUID) -> SlowResponse:
        """Return where lines match, so that a reader can go to any of them. A long search ends early, and says where."""
        query = query_of(LogMatchesQuery, request)
        call = log_pages.count_matches(
            org=self.org,
            by=self.principal,
            run_id=pk,
            offset=query["offset"],
            level=query.get("level"),
            text=query.get("q", ""),
        )

        def respond(result: MatchesResult) -> Response:
            return Response(
                {
                    "parts": [asdict(part) for part in result.found.parts],
                    "next_offset": result.next_offset,
                    "total": result.total,
                }
            )

        return self.wait_for(call, respond)


class RunLogDownloadView(OrgView):
    @operation(
        "runs_logs_download",
        tag="runs",
        summary="Download the whole log as text",
        answer=str,
        media_type="text/plain",
        errors=(404,),
        example="2026-03-01T06:00:00Z info    Starting a new sync",
    )
    def get(self, request: Request, pk: UUID) -> Any:
        log = log_pages.as_text(org=self.org, by=self.principal, run_id=pk)
        response = StreamingHttpResponse(log.lines, content_type="text/plain; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{log.name}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response


def _log_limit(request: Request) -> int:
    """Parse `limit`, which may be larger for logs than for lists."""
    form = LogQuery(data={"limit": request.query_params.get("limit", "1000")})
    if not form.is_valid():
        raise Problem(
            400,
            "Some query parameters are invalid.",
            "malformed",
            [("limit", "A whole number from 1 to 5000.", "invalid")],
        )
    return int(form.validated_data["limit"])
