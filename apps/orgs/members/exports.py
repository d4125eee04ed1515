"""Export an org's audit log, or the whole org except its secrets. The audit log records each export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from apps.background import registry
from apps.background.registry import Export
from apps.orgs import audit
from apps.orgs.models import AuditEvent, Org
from apps.orgs.principals import Principal
from apps.orgs.queries import AuditEventColumns, AuditEventQuerySet
from apps.orgs.roles import Permission
from apps.orgs.walls.scope import org_scope
from apps.web.paging import RowT

CHUNK_SIZE = 1000  # rows per transaction

Row = dict[str, Any]


def events(org: Org) -> AuditEventQuerySet:
    """Return the audit events of the org."""
    return AuditEvent.objects.for_org(org)


def export_audit_log(
    *, org: Org, by: Principal, file_format: str, filters: Mapping[str, Any]
) -> Iterator[AuditEventColumns]:
    """Yield the events that match `filters` up to now, oldest first.

    The rows are read while the caller iterates, each chunk in its own transaction.
    """
    by.require(Permission.AUDIT_VIEW)
    audit.record(
        org=org,
        by=by,
        action="audit.export",
        object_kind="audit",
        object_id=None,
        changes={"format": [None, file_format]},
    )
    until: datetime = filters.get("until") or timezone.now()
    return _read_in_chunks(org.pk, events(org).matching(**{**filters, "until": until}).rows())


def export_org(*, org: Org, by: Principal) -> Iterator[Row]:
    """Yield the record of the org, then the records that each app has registered for exports.

    The rows are read while the caller iterates, each chunk in its own transaction.
    """
    by.require_person()
    by.require(Permission.AUDIT_VIEW)
    audit.record(
        org=org,
        by=by,
        action="org.export",
        object_kind="org",
        object_id=org.pk,
        object_label=org.name,
    )
    org_record = {"record": "organization", "id": org.pk, "name": org.name, "at": timezone.now()}
    return _read_records(org.pk, org_record)


def _read_records(org_id: UUID, org_record: Row) -> Iterator[Row]:
    yield org_record
    for export in registry.exports():
        for row in _read_in_chunks(org_id, _rows(org_id, export)):
            yield {"record": export.record_type, **row}


def _rows(org_id: UUID, export: Export) -> QuerySet[Any, Row]:
    rows: QuerySet[Any, Row] = export.model.objects.for_org(org_id).values(*export.columns)
    return rows


def _read_in_chunks(org_id: UUID, rows: QuerySet[Any, RowT]) -> Iterator[RowT]:
    """Yield the rows in the order of their ids, and read each chunk in its own short transaction.

    A slow reader therefore holds no locks.
    """
    last_id: UUID | None = None
    while True:
        with org_scope(org_id):
            next_rows = rows.filter(id__gt=last_id) if last_id else rows
            chunk = list(next_rows.order_by("id")[:CHUNK_SIZE])
        yield from chunk
        if len(chunk) < CHUNK_SIZE:
            return
        last_id = chunk[-1]["id"]
