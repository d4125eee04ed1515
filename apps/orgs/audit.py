"""Record audit events. Call `record` inside the transaction of the change, so that both are stored or neither is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from apps.auth import names
from apps.json import JsonObject
from apps.orgs.models import AuditEvent, Org
from apps.orgs.principals import Actor, Principal

MAX_LABEL_LENGTH = 254  # characters


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What happened to one object. `changes` is {field: [before, after]}, without secrets."""

    action: str
    object_kind: str
    object_id: UUID | None
    object_label: str = ""
    changes: JsonObject = field(default_factory=dict)


def record(
    *,
    org: Org | UUID,
    by: Principal,
    action: str,
    object_kind: str,
    object_id: UUID | None,
    object_label: str = "",
    changes: JsonObject | None = None,
) -> None:
    """Add one event. `changes` is {field: [before, after]}. It may contain hints of secrets, but never secrets."""
    event = NewEvent(action, object_kind, object_id, object_label, changes or {})
    record_many(org=org, by=by, events=[event])


def record_many(*, org: Org | UUID, by: Principal, events: Sequence[NewEvent]) -> None:
    """Add several events of one actor, by one query."""
    actor = by.actor
    AuditEvent.unscoped.bulk_create(
        AuditEvent(
            org_id=org if isinstance(org, UUID) else org.pk,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_label=_clean_label(actor),
            on_behalf_of=_represented_person(actor.on_behalf_of),
            action=event.action,
            object_kind=event.object_kind,
            object_id=event.object_id,
            object_label=names.clean_name(event.object_label, max_length=MAX_LABEL_LENGTH),
            changes=dict(event.changes),
            ip=actor.ip,
        )
        for event in events
    )


def _clean_label(actor: Actor) -> str:
    return names.clean_name(actor.label, max_length=MAX_LABEL_LENGTH)


def _represented_person(actor: Actor | None) -> dict[str, str | None] | None:
    if actor is None:
        return None
    return {
        "kind": actor.kind,
        "id": str(actor.id) if actor.id else None,
        "name": _clean_label(actor),
    }
