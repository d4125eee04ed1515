"""Everything an org may take along: one file of JSON lines, without secrets. Each app registers what is its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.request import Request

from apps.background import registry
from apps.background.registry import Export
from apps.orgs import audit
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.orgs.tenancy import org_scope
from apps.web.schema import operation
from apps.web.wire import dumps

CHUNK = 1000  # rows a transaction


class OrgExportView(OrgView):
    permissions = {"get": Permission.AUDIT_VIEW}
    session_methods = frozenset({"get"})

    @operation(
        "org_export",
        tag="organization",
        summary="Everything of the organization but its secrets, as JSON lines",
        answer=str,
        media_type="application/jsonl",
        example='{"record":"domain","id":"01936c61-2b3c-7e21-9f10-0a1b2c3d4e5f","name":"Marketing"}',
    )
    def get(self, request: Request) -> Any:
        """Works until the organization is erased, also while it is suspended."""
        audit.record(
            org=self.org,
            by=self.principal,
            action="org.export",
            object_kind="org",
            object_id=self.org.pk,
            object_label=self.org.name,
        )
        head = {
            "record": "organization",
            "id": self.org.pk,
            "name": self.org.name,
            "at": timezone.now(),
        }
        answer = StreamingHttpResponse(
            _lines(self.org.pk, head), content_type="application/jsonl; charset=utf-8"
        )
        answer["Content-Disposition"] = f'attachment; filename="{self.org.slug}.jsonl"'
        return answer


def _lines(org_id: UUID, head: dict[str, Any]) -> Iterator[bytes]:
    yield dumps(head) + b"\n"
    for export in registry.exports():
        for row in _rows(org_id, export):
            yield dumps({"record": export.record, **row}) + b"\n"


def _rows(org_id: UUID, export: Export) -> Iterator[dict[str, Any]]:
    """By keyset, one short transaction a chunk: a slow reader holds nothing."""
    last: UUID | None = None
    while True:
        with org_scope(org_id):
            rows = export.model.objects.for_org(org_id).order_by("id").values(*export.columns)
            chunk = list((rows.filter(id__gt=last) if last else rows)[:CHUNK])
        yield from chunk
        if len(chunk) < CHUNK:
            return
        last = chunk[-1]["id"]
