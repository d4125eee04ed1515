"""Record audit events. Call it inside the transaction of the change, so that neither exists without the other."""

from __future__ import annotations

from uuid import UUID

from apps.auth import names
from apps.json import JsonObject
from apps.orgs.models import AuditEvent, Org
from apps.orgs.principals import Actor, Principal

LABEL = 254  # characters


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
    """Add one event. `changes` is {field: [before, after]}, with secrets already replaced by their hints."""
    actor = by.actor
    AuditEvent.unscoped.create(
        org_id=org if isinstance(org, UUID) else org.pk,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=_label(actor),
        on_behalf_of=_person(actor.on_behalf_of),
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        object_label=names.cleaned(object_label, longest=LABEL),
        changes=dict(changes or {}),
        ip=actor.ip,
    )


def _label(actor: Actor) -> str:
    return names.cleaned(actor.label, longest=LABEL)


def _person(actor: Actor | None) -> dict[str, str | None] | None:
    if actor is None:
        return None
    return {
        "kind": actor.kind,
        "id": str(actor.id) if actor.id else None,
        "name": _label(actor),
    }
