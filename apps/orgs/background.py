"""Register what the worker process runs for this app."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from apps.background.registry import Export, add_exports, add_sweep, add_worker_part
from apps.background.sweeping import remove_in_batches
from apps.orgs.members import erasure
from apps.orgs.models import AuditEvent, Domain, DomainRole, Membership
from apps.web.metrics import pushing

RESPONSE_RETENTION = timedelta(hours=24)  # of responses that are stored for an Idempotency-Key

add_exports(
    Export(
        "member",
        Membership,
        ("id", "user__email", "user__name", "user__kind", "role", "created_at"),
    ),
    Export("domain", Domain, ("id", "name", "created_at")),
    Export("domain_role", DomainRole, ("id", "domain_id", "membership_id", "role")),
    Export(
        "audit_event",
        AuditEvent,
        (
            "id",
            "at",
            "actor_kind",
            "actor_id",
            "actor_label",
            "on_behalf_of",
            "action",
            "object_kind",
            "object_id",
            "object_label",
            "changes",
            "ip",
        ),
    ),
)
add_sweep(erasure.erase_due_orgs)
add_worker_part(
    pushing.send_telemetry_of_worker
)  # apps.web is no Django app, and registers nothing


@add_sweep
def delete_old_responses() -> None:
    remove_in_batches("orgs_remove_old_idempotency", timezone.now() - RESPONSE_RETENTION)
