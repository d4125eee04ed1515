"""Whether a pipeline starts when new files arrive, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.pipelines.file_watches import services
from apps.pipelines.file_watches.serializers import FileWatchSerializer, FileWatchUpdate
from apps.pipelines.file_watches.services import WatchedFiles
from apps.web.schema import IF_MATCH, operation
from apps.web.views import data_of, etag, match_of

EXAMPLE: dict[str, Any] = {
    "possible": True,
    "enabled": True,
    "minutes": 5,
    "next_look_at": "2026-11-22T08:10:00Z",
    "looked_at": "2026-11-22T08:05:00Z",
    "files": 12,
    "problem": "",
    "waiting": True,
    "reason": "The files have changed. They start the pipeline if the next look finds the same files.",
}


class FileWatchOfPipeline(OrgView):
    permissions = {"put": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_file_watch",
        tag="pipelines",
        summary="Show whether a pipeline starts when new files arrive, and what the last look has found",
        answer=FileWatchSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return _response(*services.show(org=self.org, by=self.principal, pipeline_id=pk))

    @operation(
        "pipelines_file_watch_replace",
        tag="pipelines",
        summary="Let a pipeline start when new files arrive, or not",
        request=FileWatchUpdate,
        answer=FileWatchSerializer,
        errors=(404, 412, 422),
        parameters=[IF_MATCH],
        example=EXAMPLE,
        request_example={"enabled": True, "minutes": 5},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        changed = services.replace(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            match=match_of(request),
            **data_of(FileWatchUpdate, request),
        )
        return _response(*changed)


def _response(watch: WatchedFiles, version: int) -> Response:
    """Return the watch. Its version is that of the pipeline."""
    return Response(watch, headers={"ETag": etag(version)})
