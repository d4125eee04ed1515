"""Export an org's audit log, and everything except its secrets. An export is recorded in the audit log too."""

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

CHUNK = 1000  # rows per transaction

Row = dict[str, Any]


def events(org: Org) -> AuditEventQuerySet:
    """The audit log of the org."""
    return AuditEvent.objects.for_org(org)


def trail(
    *, org: Org, by: Principal, kind: str, wanted: Mapping[str, Any]
) -> Iterator[AuditEventColumns]:
    """Yield the events that match `wanted` up to now, oldest first.

    The rows are read while the caller iterates, each chunk in its own transaction.
    """
    by.require(Permission.AUDIT_VIEW)
    audit.record(
        org=org,
        by=by,
        action="audit.export",
        object_kind="audit",
        object_id=None,
        changes={"format": [None, kind]},
    )
    until: datetime = wanted.get("until") or timezone.now()
    return _in_chunks(org.pk, events(org).matching(**{**wanted, "until": until}).rows())


def everything(*, org: Org, by: Principal) -> Iterator[Row]:
    """Yield the records: the org, then what each app has registered.

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
    head = {"record": "organization", "id": org.pk, "name": org.name, "at": timezone.now()}
    return _records(org.pk, head)


def _records(org_id: UUID, head: Row) -> Iterator[Row]:
    yield head
    for export in registry.exports():
        for row in _in_chunks(org_id, _rows(org_id, export)):
            yield {"record": export.record, **row}


def _rows(org_id: UUID, export: Export) -> QuerySet[Any, Row]:
    found: QuerySet[Any, Row] = export.model.objects.for_org(org_id).values(*export.columns)
    return found


def _in_chunks(org_id: UUID, rows: QuerySet[Any, RowT]) -> Iterator[RowT]:
    """Read by keyset, in one short transaction per chunk, so that a slow reader holds no locks."""
    last: UUID | None = None
    while True:
        with org_scope(org_id):
            following = rows.filter(id__gt=last) if last else rows
            chunk = list(following.order_by("id")[:CHUNK])
        yield from chunk
        if len(chunk) < CHUNK:
            return
        last = chunk[-1]["id"]
