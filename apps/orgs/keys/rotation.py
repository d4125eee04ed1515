"""Re-encrypt every org's data key, and the secrets of second factors, with the newest platform key.

The data keys themselves do not change, so the secrets that they encrypt do not change either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken
from django.db import connections, transaction

from apps.auth.sealing import reencrypt_with_newest_key, uses_newest_key
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope


@dataclass(frozen=True, slots=True)
class RotationCounts:
    """The number of data keys and second factors for each outcome."""

    reencrypted: int
    already_newest: int
    unreadable: int


def rotate_all() -> RotationCounts:
    """Re-encrypt each key and secret in its own short transaction. Safe to stop, to repeat, and to run concurrently."""
    try:
        org_ids = list(Org.objects.using("ops").order_by("id").values_list("id", flat=True))
    finally:
        connections["ops"].close()
    outcomes = Counter(_rotate_org(org_id) for org_id in org_ids)
    outcomes.update(_rotate_factors())
    return RotationCounts(
        outcomes["reencrypted"], outcomes["already_newest"], outcomes["unreadable"]
    )


def _rotate_org(org_id: UUID) -> str:
    with org_scope(org_id):
        org = Org.objects.select_for_update().filter(pk=org_id).first()
        if org is None or uses_newest_key(org.data_key):
            return "already_newest"
        try:
            encrypted_key = reencrypt_with_newest_key(org.data_key)
        except InvalidToken:
            return "unreadable"
        Org.objects.filter(pk=org_id).update(data_key=encrypted_key)
        audit.record(
            org=org_id,
            by=SYSTEM,
            action="org.rotate_key",
            object_kind="org",
            object_id=org_id,
            object_label=org.name,
        )
        return "reencrypted"


def _rotate_factors() -> Iterator[str]:
    """Re-encrypt the secrets of second factors, which belong to users and not to orgs."""
    for pk in Authenticator.objects.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            factor = Authenticator.objects.select_for_update().filter(pk=pk).first()
            name = SECRET_FIELDS.get(factor.type) if factor else None
            if factor is None or name is None or uses_newest_key(factor.data[name]):
                yield "already_newest"
                continue
            try:
                factor.data[name] = reencrypt_with_newest_key(factor.data[name])
            except InvalidToken:
                yield "unreadable"
                continue
            factor.save(update_fields=["data"])
            yield "reencrypted"


# The secret field in allauth's data, by type of factor. The data of a passkey contains no secret.
SECRET_FIELDS = {"totp": "secret", "recovery_codes": "seed"}
