"""Views of uploaded data files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.files import limits, services, uploads, users
from apps.connectors.files.serializers import DataFile, FileFilter, FileLimits, UploadQuery
from apps.connectors.models import UploadedFile
from apps.orgs.http.uploads import UploadView
from apps.orgs.http.views import OrgView
from apps.orgs.models import Org
from apps.orgs.roles import Permission
from apps.web.paging import Order, newest_first, page
from apps.web.problems import Problem
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.slow import SlowResponse
from apps.web.uploads import BodyTransfer, announced_size
from apps.web.views import etag, match_of, query_of

USER_EXAMPLE = {
    "type": "connector",
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f11",
    "name": "Orders file",
    "by_pattern": False,
}
EXAMPLE = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10",
    "name": "orders.csv",
    "bytes": 48210,
    "version": 2,
    "uploaded_by": "Ada",
    "created_at": "2026-11-22T09:00:00Z",
    "updated_at": "2026-11-23T09:00:00Z",
    "used_by": [USER_EXAMPLE],
}
LIMITS_EXAMPLE = {"max_file_bytes": 1 << 30, "max_bytes": 10 << 30, "used_bytes": 48210}
CONTENT = {"application/octet-stream": OpenApiTypes.BINARY}
CONTENT_EXAMPLE = "id,total\n1,9.50\n"
FORM_REFUSED = "Send the content itself as the body, not a form: with curl `-T FILE`, or `--data-binary @FILE`, instead of `-F`."
ORDERS = {
    "newest": newest_first("updated_at"),
    "name": Order("name"),
    "size": Order("size", descending=True, parse=int),
}


class AnyContent(BaseParser):
    """Accepts any content type, and does not read the body."""

    media_type = "*/*"

    def parse(self, stream: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return {}


def render_row(values: Mapping[str, Any], used_by: Sequence[users.FileUser]) -> dict[str, Any]:
    """Render a file in a list, from `.rows()`."""
    return {
        "id": values["id"],
        "name": values["name"],
        "bytes": values["size"],
        "version": values["version"],
        "uploaded_by": values["uploaded_by__name"],
        "created_at": values["created_at"],
        "updated_at": values["updated_at"],
        "used_by": [
            {"type": use.type, "id": use.id, "name": use.name, "by_pattern": use.by_pattern}
            for use in used_by
        ],
    }


def render_detail(file: UploadedFile, used_by: Sequence[users.FileUser]) -> dict[str, Any]:
    uploader = file.uploaded_by
    name = uploader.name if uploader else None
    return render_row({**file.__dict__, "uploaded_by__name": name}, used_by)


class Files(UploadView):
    permissions = {"post": Permission.CONNECTORS_EDIT}
    parser_classes = [AnyContent]

    @operation(
        "files_list",
        tag="files",
        summary="List the uploaded data files",
        answer=page_of(DataFile),
        parameters=[FileFilter, *PAGE_PARAMETERS, order_of(ORDERS, "newest")],
        example={"results": [EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        filters = query_of(FileFilter, request)
        rows = services.files(self.org, self.principal).matching(**filters).rows()
        return page(request, rows, orders=ORDERS, default="newest", render_all=self._rows)

    def _rows(self, rows: Sequence[Any]) -> list[dict[str, object]]:
        used_by = users.find_users(self.org, [row["name"] for row in rows])
        return [render_row(row, used_by[row["name"]]) for row in rows]

    @operation(
        "files_upload",
        tag="files",
        summary="Upload a new data file; the body is its content",
        request=CONTENT,
        answer=DataFile,
        status=201,
        errors=(409, 411, 413, 422, 423),
        parameters=[UploadQuery],
        example={**EXAMPLE, "version": 1, "used_by": []},
        request_example=CONTENT_EXAMPLE,
    )
    def post(self, request: Request) -> SlowResponse:
        """Upload a new data file.

        The body is the content as it is, in any content type, which is not stored. A form is refused with 415. The file
        appears when all of it has arrived. If the connection is cut, nothing is stored. If a file has this name already,
        the response is 409: replace it with PUT. An Idempotency-Key covers the name, not the content.
        """
        require_no_form(request)
        upload = uploads.begin(
            org=self.org,
            by=self.principal,
            name=query_of(UploadQuery, request)["name"],
            size=announced_size(request._request),
        )
        return receive_content(self, upload, 201)


class FileById(UploadView):
    permissions = {"put": Permission.CONNECTORS_EDIT, "delete": Permission.CONNECTORS_EDIT}
    parser_classes = [AnyContent]

    @operation(
        "files_retrieve",
        tag="files",
        summary="Show an uploaded data file and what reads it",
        answer=DataFile,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        file = services.find_file(org=self.org, by=self.principal, file_id=pk)
        return detail_response(self.org, file)

    @operation(
        "files_replace",
        tag="files",
        summary="Replace the content of an uploaded data file; the body is the new content",
        request=CONTENT,
        answer=DataFile,
        errors=(404, 409, 411, 412, 413, 422, 423),
        parameters=[IF_MATCH],
        example=EXAMPLE,
        request_example=CONTENT_EXAMPLE,
    )
    def put(self, request: Request, pk: UUID) -> SlowResponse:
        """Replace the content of an uploaded data file.

        Runs read the old content until all of the new content has arrived.
        """
        require_no_form(request)
        upload = uploads.begin_replacement(
            org=self.org,
            by=self.principal,
            file_id=pk,
            size=announced_size(request._request),
            match=match_of(request),
        )
        return receive_content(self, upload, 200)

    @operation(
        "files_delete",
        tag="files",
        summary="Delete an uploaded data file that nothing reads by its name",
        status=204,
        errors=(404, 409, 412, 423),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> SlowResponse:
        """Delete an uploaded data file.

        If connectors or pipelines read it by its name, the response is 409 and names them in `used_by`. Those that read it
        by a pattern do not prevent the deletion: they go on with the other files.
        """
        deletion = services.begin_deletion(
            org=self.org, by=self.principal, file_id=pk, match=match_of(request)
        )

        def then(_: None) -> Response:
            deletion.finish(self.principal)
            return Response(status=204)

        return SlowResponse(deletion.remove, then=then, release=deletion.give_up)


class Limits(OrgView):
    @operation(
        "files_limits",
        tag="files",
        summary="Show the limits of uploaded data files, and what they use",
        answer=FileLimits,
        example=LIMITS_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return Response(limits.read(self.org.pk))


def detail_response(org: Org, file: UploadedFile, status: int = 200) -> Response:
    used_by = users.find_users(org, [file.name])[file.name]
    return Response(
        render_detail(file, used_by), status=status, headers={"ETag": etag(file.version)}
    )


def require_no_form(request: Request) -> None:
    """Raise Problem 415 for a form. The names and boundaries of its parts would become a part of the content."""
    if (request.content_type or "").lower().startswith("multipart/"):
        raise Problem(415, FORM_REFUSED, "unsupported_media_type")


def receive_content(view: OrgView, upload: uploads.Upload, status: int) -> SlowResponse:
    """Receive the body, check again whether the file may be stored, store it, and respond."""

    def respond(_: None) -> Response:
        return detail_response(view.org, upload.finish(view.principal), status)

    def store(_: None) -> SlowResponse:
        upload.claim(view.principal)
        return SlowResponse(upload.store, then=respond, once=True)

    transfer = BodyTransfer(upload, view.request._request)
    return SlowResponse(transfer, then=store, once=True)
