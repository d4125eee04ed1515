"""The audit log over HTTP: a list, and an export as CSV or JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.members import exports
from apps.orgs.members import serializers as forms
from apps.orgs.queries import AuditEventColumns
from apps.orgs.roles import Permission
from apps.web.paging import newest_first, oldest_first, page
from apps.web.schema import PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import query_of
from apps.web.wire import csv_line, dumps

EVENT_EXAMPLE = {
    "id": "01936c63-5e6f-7041-9b30-2c3d4e5f6071",
    "at": "2026-11-22T09:00:00Z",
    "actor_kind": "user",
    "actor_id": "01936c5e-7d7a-7c3e-9a62-5a4f0d1c2b3a",
    "actor_label": "ada@example.com",
    "action": "domain.create",
    "object_kind": "domain",
    "object_id": "01936c61-2b3c-7e21-9f10-0a1b2c3d4e5f",
    "object_label": "Marketing",
    "changes": {"name": [None, "Marketing"]},
    "ip": "192.0.2.7",
}
ORDERS = {"newest": newest_first("at"), "oldest": oldest_first("at")}
COLUMNS = (*EVENT_EXAMPLE, "on_behalf_of")
JSON_COLUMNS = ("changes", "on_behalf_of")  # columns that contain JSON


class AuditLog(OrgView):
    reads_from_replica = True
    permissions = {"get": Permission.AUDIT_VIEW}

    @operation(
        "audit_list",
        tag="audit",
        summary="List audit events, with secrets masked",
        answer=page_of(forms.AuditRow),
        parameters=[forms.AuditFilter, *PAGE_PARAMETERS, order_of(ORDERS, "newest")],
        example={"results": [EVENT_EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        filters = query_of(forms.AuditFilter, request)
        rows = exports.events(self.org).matching(**filters).rows()
        return page(request, rows, orders=ORDERS, default="newest", render=_render_event)


class AuditExport(OrgView):
    permissions = {"get": Permission.AUDIT_VIEW}

    @operation(
        "audit_export",
        tag="audit",
        summary="Export the audit log as a file, oldest event first",
        answer=str,
        media_type="text/csv",
        other_media_types=("application/jsonl",),
        parameters=[forms.AuditExportFilter],
        example="id,at,actor_kind,actor_id,actor_label,action",
    )
    def get(self, request: Request) -> Any:
        filters = query_of(forms.AuditExportFilter, request)
        file_format = filters.pop("format")
        rows = exports.export_audit_log(
            org=self.org, by=self.principal, file_format=file_format, filters=filters
        )
        media_type, lines = (
            ("text/csv", _csv_lines) if file_format == "csv" else ("application/jsonl", _json_lines)
        )
        response = StreamingHttpResponse(lines(rows), content_type=f"{media_type}; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="audit.{file_format}"'
        return response


def _render_event(row: AuditEventColumns) -> dict[str, object]:
    """Render an event. `on_behalf_of` is left out if it is null."""
    return {
        name: value for name, value in row.items() if name != "on_behalf_of" or value is not None
    }


def _json_lines(rows: Iterator[AuditEventColumns]) -> Iterator[bytes]:
    for row in rows:
        yield dumps(_render_event(row)) + b"\n"


def _csv_lines(rows: Iterator[AuditEventColumns]) -> Iterator[str]:
    yield csv_line(COLUMNS)
    for event in rows:
        row: dict[str, object] = {**event}
        texts = {name: dumps(row[name]).decode() for name in JSON_COLUMNS if row[name] is not None}
        yield csv_line({**row, **texts}[column] for column in COLUMNS)
