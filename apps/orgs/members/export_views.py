"""Export an org over HTTP, as one JSON Lines file without secrets."""

from __future__ import annotations

from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from apps.orgs.http.views import OrgView
from apps.orgs.members import exports
from apps.orgs.roles import Permission
from apps.web.schema import operation
from apps.web.wire import dumps


class OrgExportView(OrgView):
    permissions = {"get": Permission.AUDIT_VIEW}
    session_methods = frozenset({"get"})

    @operation(
        "org_export",
        tag="organization",
        summary="Export everything of the organization except its secrets, as JSON Lines",
        answer=str,
        media_type="application/jsonl",
        example='{"record":"domain","id":"01936c61-2b3c-7e21-9f10-0a1b2c3d4e5f","name":"Marketing"}',
    )
    def get(self, request: Request) -> Any:
        """Available until the organization is erased, even while it is suspended."""
        records = exports.export_org(org=self.org, by=self.principal)
        response = StreamingHttpResponse(
            (dumps(record) + b"\n" for record in records),
            content_type="application/jsonl; charset=utf-8",
        )
        response["Content-Disposition"] = f'attachment; filename="{self.org.slug}.jsonl"'
        return response
