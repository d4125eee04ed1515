"""The files that a run published: the list, and downloads."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.http import FileResponse, HttpResponseRedirect
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.runs.outputs import files, left_out
from apps.runs.outputs.files import Download
from apps.runs.outputs.left_out import LeftOutPage
from apps.runs.serializers import (
    DownloadQuery,
    LeftOutQuery,
    LeftOutSerializer,
    OutputListSerializer,
)
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import query_of
from apps.web.wire import JSONRenderer


class OutputListView(OrgView):
    @operation(
        "runs_outputs_list",
        tag="runs",
        summary="List the files that the run published to Drover's storage",
        answer=OutputListSerializer,
        errors=(404,),
        example={
            "results": [
                {
                    "name": "flights.parquet",
                    "bytes": 4100000,
                    "rows": 336776,
                    "media_type": "application/vnd.apache.parquet",
                    "created_at": "2026-03-01T06:00:06Z",
                }
            ]
        },
    )
    def get(self, request: Request, pk: UUID) -> Response:
        rows = files.list_files(org=self.org, by=self.principal, run_id=pk)
        results = rows.values("name", "bytes", "rows", "media_type", "created_at")
        return Response({"results": list(results)})


class LeftOutView(OrgView):
    @operation(
        "runs_rejected_list",
        tag="runs",
        summary="List the first records that the run rejected or skipped",
        answer=LeftOutSerializer,
        errors=(404,),
        parameters=[LeftOutQuery],
        example={
            "kind": "rejected",
            "count": 1,
            "kept": 1,
            "results": [
                {
                    "number": 0,
                    "reason": "the record has no fields",
                    "position": "page 3, record 17",
                    "record": "{}",
                    "complete": True,
                }
            ],
            "next_offset": None,
            "note": "",
        },
    )
    def get(self, request: Request, pk: UUID) -> SlowResponse:
        query = query_of(LeftOutQuery, request)
        call = left_out.read(org=self.org, by=self.principal, run_id=pk, **query)

        def respond(page: LeftOutPage) -> Response:
            return Response(
                {
                    "kind": query["kind"],
                    "count": page.count,
                    "kept": page.kept,
                    "results": page.records,
                    "next_offset": page.next_offset,
                    "note": page.note,
                }
            )

        return self.wait_for(call, respond)


class AnyMediaTypeRenderer(JSONRenderer):
    """Accepts any media type, because each file has its own type. Problems are rendered as JSON."""

    media_type = "*/*"
    format = "file"


class OutputView(OrgView):
    permissions = {"get": Permission.DATA_VIEW}
    renderer_classes = [AnyMediaTypeRenderer]

    @operation(
        "runs_outputs_get",
        tag="runs",
        summary="Download one file",
        answer=OpenApiTypes.BINARY,
        media_type="application/octet-stream",
        other_responses={302: "Redirect to a short-lived download link of the object store."},
        errors=(404, 409),
        parameters=[
            OpenApiParameter("name", str, OpenApiParameter.PATH),
            DownloadQuery,
        ],
    )
    def get(self, request: Request, pk: UUID, name: str) -> SlowResponse:
        """Return the file as an attachment, or a redirect to a short-lived download link of the object store."""
        query = query_of(DownloadQuery, request)
        call = files.prepare_download(
            org=self.org, by=self.principal, run_id=pk, name=name, link=query["redirect"]
        )
        return self.wait_for(call, _download_response)


def _download_response(download: Download) -> Response:
    """Return a redirect to a link, or the open file as an attachment."""
    if download.file is None:
        return cast(Response, HttpResponseRedirect(download.url or ""))
    response = FileResponse(
        download.file, as_attachment=True, filename=download.name, content_type=download.media_type
    )
    response["X-Content-Type-Options"] = "nosniff"
    return cast(Response, response)
