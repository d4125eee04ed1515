"""Record audit events. Call `record` inside the transaction of the change, so that both are stored or neither is."""

from __future__ import annotations

from uuid import UUID

from apps.auth import names
from apps.json import JsonObject
from apps.orgs.models import AuditEvent, Org
from apps.orgs.principals import Actor, Principal

MAX_LABEL_LENGTH = 254  # characters


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
    actor = by.actor
    AuditEvent.unscoped.create(
        org_id=org if isinstance(org, UUID) else org.pk,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=_clean_label(actor),
        on_behalf_of=_represented_person(actor.on_behalf_of),
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        object_label=names.clean_name(object_label, max_length=MAX_LABEL_LENGTH),
        changes=dict(changes or {}),
        ip=actor.ip,
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
