"""Record who did what. Called inside the transaction of the change, so neither exists without the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apps.auth import names
from apps.orgs.models import AuditEvent, Org
from apps.orgs.principals import Actor

LABEL = 254  # characters


def record(
    *,
    org: Org | UUID,
    by: Actor,
    action: str,
    object_kind: str,
    object_id: UUID | None,
    object_label: str = "",
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Add one event. `changes` is {field: [before, after]} with secrets already replaced by their hints."""
    AuditEvent.unscoped.create(
        org_id=org if isinstance(org, UUID) else org.pk,
        actor_kind=by.kind,
        actor_id=by.id,
        actor_label=names.cleaned(by.label, longest=LABEL),
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        object_label=names.cleaned(object_label, longest=LABEL),
        changes=dict(changes or {}),
        ip=by.ip,
    )
