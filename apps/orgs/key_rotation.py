"""Move every org's data key under the newest platform key. What the data keys seal is not touched."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import connections

from apps.orgs import audit, vault
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.tenancy import org_scope


@dataclass(frozen=True, slots=True)
class Rotation:
    """How many orgs of each outcome."""

    rewrapped: int
    already: int
    unreadable: int


def rotate_all() -> Rotation:
    """Each org in a short transaction of its own; safe to stop, and to run again or twice at once."""
    try:
        ids = list(Org.objects.using("ops").order_by("id").values_list("id", flat=True))
    finally:
        connections["ops"].close()
    outcomes = Counter(_rotate(org_id) for org_id in ids)
    return Rotation(outcomes["rewrapped"], outcomes["already"], outcomes["unreadable"])


def _rotate(org_id: UUID) -> str:
    with org_scope(org_id):
        org = Org.objects.select_for_update().filter(pk=org_id).first()
        if org is None or _is_newest(org.data_key):
            return "already"
        try:
            wrapped = vault.rewrap(org.data_key)
        except InvalidToken:
            return "unreadable"
        Org.objects.filter(pk=org_id).update(data_key=wrapped)
        audit.record(
            org=org_id,
            by=SYSTEM,
            action="org.rotate_key",
            object_kind="org",
            object_id=org_id,
            object_label=org.name,
        )
        return "rewrapped"


def _is_newest(wrapped: str) -> bool:
    try:
        Fernet(settings.ENCRYPTION_KEYS[0]).decrypt(wrapped.encode())
    except InvalidToken:
        return False
    return True
