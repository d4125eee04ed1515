"""Encrypt every org's data key, and users' second factors, with the newest platform key.

The secrets that are encrypted with data keys do not change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken
from django.db import connections, transaction

from apps.auth.sealing import is_newest, rewrap
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope


@dataclass(frozen=True, slots=True)
class Rotation:
    """The number of secrets per outcome: one per org, and those of second factors."""

    rewrapped: int
    already: int
    unreadable: int


def rotate_all() -> Rotation:
    """Rotate each org in its own short transaction; safe to stop, to repeat, and to run concurrently."""
    try:
        ids = list(Org.objects.using("ops").order_by("id").values_list("id", flat=True))
    finally:
        connections["ops"].close()
    outcomes = Counter(_rotate(org_id) for org_id in ids)
    outcomes.update(_rotate_factors())
    return Rotation(outcomes["rewrapped"], outcomes["already"], outcomes["unreadable"])


def _rotate(org_id: UUID) -> str:
    with org_scope(org_id):
        org = Org.objects.select_for_update().filter(pk=org_id).first()
        if org is None or is_newest(org.data_key):
            return "already"
        try:
            wrapped = rewrap(org.data_key)
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


def _rotate_factors() -> Iterator[str]:
    """Rotate the secrets of second factors, which belong to users and not to orgs."""
    for pk in Authenticator.objects.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            factor = Authenticator.objects.select_for_update().filter(pk=pk).first()
            name = SECRETS.get(factor.type) if factor else None
            if factor is None or name is None or is_newest(factor.data[name]):
                yield "already"
                continue
            try:
                factor.data[name] = rewrap(factor.data[name])
            except InvalidToken:
                yield "unreadable"
                continue
            factor.save(update_fields=["data"])
            yield "rewrapped"


# The secret fields in allauth's data, by type of factor; a passkey's data is all public.
SECRETS = {"totp": "secret", "recovery_codes": "seed"}
