"""Everything an org may take along: one file of JSON lines, without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.request import Request

from apps.connectors.models import Connector, CustomSource, CustomSourceVersion, Repository
from apps.orgs import audit
from apps.orgs.http.views import OrgView
from apps.orgs.models import AuditEvent, Domain, DomainRole, Membership
from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgOwned, org_scope
from apps.pipelines.models import Pipeline, PipelineVersion, Schedule
from apps.runs.models import Run, Usage
from apps.web.schema import operation
from apps.web.wire import dumps

CHUNK = 1000  # rows a transaction
# What is exported of each kind. Sealed settings and what proves anything stay here.
KINDS: tuple[tuple[str, type[OrgOwned], tuple[str, ...]], ...] = (
    ("member", Membership, ("id", "user__email", "user__name", "user__kind", "role", "created_at")),
    ("domain", Domain, ("id", "name", "created_at")),
    ("domain_role", DomainRole, ("id", "domain_id", "membership_id", "role")),
    (
        "connector",
        Connector,
        ("id", "name", "role", "kind", "config", "domain_id", "description", "created_at"),
    ),
    (
        "repository",
        Repository,
        ("id", "url", "branch", "path", "username", "approves", "commit", "created_at"),
    ),
    (
        "custom_source",
        CustomSource,
        (
            *("id", "name", "description", "origin", "repository_id", "repository_path"),
            *("latest", "approved", "archived_at", "created_at"),
        ),
    ),
    (
        "custom_source_version",
        CustomSourceVersion,
        (
            *("id", "source_id", "number", "code", "note", "commit", "author", "created_at"),
            "approved_at",
        ),
    ),
    (
        "pipeline",
        Pipeline,
        ("id", "name", "description", "enabled", "domain_id", "tags", "version", "created_at"),
    ),
    (
        "pipeline_version",
        PipelineVersion,
        ("id", "pipeline_id", "number", "definition", "created_at"),
    ),
    (
        "schedule",
        Schedule,
        ("id", "pipeline_id", "cron", "interval_seconds", "timezone", "overlap", "misfire"),
    ),
    (
        "run",
        Run,
        (
            *("id", "pipeline_id", "version", "status", "trigger", "attempt", "created_at"),
            *("started_at", "finished_at", "records_read", "records_written", "records_rejected"),
            *("bytes", "failure_class", "failure_message"),
        ),
    ),
    ("usage", Usage, ("id", "month", "rows", "bytes", "runs")),
    (
        "audit_event",
        AuditEvent,
        (
            *("id", "at", "actor_kind", "actor_id", "actor_label", "action", "object_kind"),
            *("object_id", "object_label", "changes", "ip"),
        ),
    ),
)


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
            by=self.principal.actor,
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
    for record, model, columns in KINDS:
        for row in _rows(org_id, model, columns):
            yield dumps({"record": record, **row}) + b"\n"


def _rows(
    org_id: UUID, model: type[OrgOwned], columns: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """By keyset, one short transaction a chunk: a slow reader holds nothing."""
    last: UUID | None = None
    while True:
        with org_scope(org_id):
            rows = model.objects.for_org(org_id).order_by("id").values(*columns)
            chunk = list((rows.filter(id__gt=last) if last else rows)[:CHUNK])
        yield from chunk
        if len(chunk) < CHUNK:
            return
        last = chunk[-1]["id"]
