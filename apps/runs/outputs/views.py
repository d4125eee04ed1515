"""Files a run published: the list, and their downloads."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpResponseRedirect
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.exceptions import NotFound
from apps.orgs.http.views import OrgView, one
from apps.runs import visibility as access
from apps.runs.models import Output
from apps.runs.outputs import storage
from apps.runs.serializers import DownloadQuery, OutputListSerializer
from apps.web.schema import operation
from apps.web.slow import Slowly
from apps.web.views import query_of
from apps.web.wire import JSONRenderer


class OutputListView(OrgView):
    @operation(
        "runs_outputs_list",
        tag="runs",
        summary="Files the run published into Drover's storage",
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
        one(access.runs(self.org, self.principal), pk)
        rows = Output.objects.for_org(self.org).filter(run_id=pk).order_by("name")
        shown = rows.values("name", "bytes", "rows", "media_type", "created_at")
        return Response({"results": list(shown)})


class AnyRenderer(JSONRenderer):
    """Whatever the client accepts: a file is what it is. Problems stay JSON."""

    media_type = "*/*"
    format = "file"


class OutputView(OrgView):
    renderer_classes = [AnyRenderer]

    @operation(
        "runs_outputs_get",
        tag="runs",
        summary="Download one file",
        answer=OpenApiTypes.BINARY,
        media_type="application/octet-stream",
        also={302: "The file is at a link of the object store that works for a few minutes."},
        errors=(404,),
        parameters=[
            OpenApiParameter("name", str, OpenApiParameter.PATH),
            DownloadQuery,
        ],
    )
    def get(self, request: Request, pk: UUID, name: str) -> Slowly:
        """The file as an attachment, or a redirect to a link of the object store that works for a few minutes."""
        wanted = query_of(DownloadQuery, request)
        one(access.runs(self.org, self.principal), pk)
        output = Output.objects.for_org(self.org).filter(run_id=pk, name=name).first()
        if output is None:
            raise NotFound

        def fetch() -> Any:
            link = storage.signed_url(output.key, name=_file_name(output))
            return link if link and wanted["redirect"] else _open(output.key)

        return Slowly(fetch, then=lambda found: _answer(found, output))


def _open(key: str) -> Any:
    try:
        return default_storage.open(key, "rb")
    except FileNotFoundError:
        raise NotFound from None


def _answer(found: Any, output: Output) -> Response:
    """A redirect to a link, or the open file as an attachment."""
    if isinstance(found, str):
        return cast(Response, HttpResponseRedirect(found))
    answer = FileResponse(
        found, as_attachment=True, filename=_file_name(output), content_type=output.media_type
    )
    answer["X-Content-Type-Options"] = "nosniff"
    return cast(Response, answer)


def _file_name(output: Output) -> str:
    return output.name.rpartition("/")[2]
