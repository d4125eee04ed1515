"""Store an org's Idempotency-Keys: one row per key, with the response encrypted by the org's data key."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from apps.orgs import vault
from apps.orgs.models import IdempotencyRecord, Org
from apps.orgs.walls.scope import org_scope
from apps.web.idempotency import Answer, ExistingClaim, KeyedRequest

LIFETIME = timedelta(hours=24)
GIVEN_UP = timedelta(
    seconds=60
)  # age of a claim without a response after which its process counts as crashed
SEALED_FOR = "idempotency"


class OrgStore:
    """The `Store` of one org, for one request. The row's id identifies the request that owns the claim."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.record = IdempotencyRecord(org=org)

    def claim(self, asked: KeyedRequest) -> ExistingClaim | None:
        self._forget_old(asked.key)
        self.record = IdempotencyRecord(
            org=self.org, key=asked.key, operation=asked.operation, body_digest=asked.digest
        )
        IdempotencyRecord.unscoped.bulk_create([self.record], ignore_conflicts=True)
        found = IdempotencyRecord.objects.for_org(self.org).filter(key=asked.key).first()
        if found is None:  # Another request has just released it.
            return ExistingClaim(asked.operation, asked.digest, None)
        return None if found.pk == self.record.pk else self._earlier(found)

    def hold(self) -> bool:
        return self._ours().select_for_update().first() is not None

    def keep(self, answer: Answer) -> None:
        text = base64.b64encode(answer.body).decode()
        self.record.status = answer.status
        self.record.headers = dict(answer.headers)
        self.record.body = vault.seal(self.org, SEALED_FOR, self.record.pk, text).encode()
        self.record.save(update_fields=["status", "body", "headers"])

    def drop(self) -> None:
        self._ours().delete()

    def release(self) -> None:
        with org_scope(self.org.pk):
            self.drop()

    def _ours(self) -> Any:
        """Return our claim, if it has no response and nobody has taken it over."""
        claims = IdempotencyRecord.objects.for_org(self.org)
        return claims.filter(pk=self.record.pk, status__isnull=True)

    def _forget_old(self, key: str) -> None:
        now = timezone.now()
        given_up = Q(status__isnull=True, created_at__lt=now - GIVEN_UP)
        too_old = Q(created_at__lt=now - LIFETIME)
        rows = IdempotencyRecord.objects.for_org(self.org).filter(key=key)
        rows.filter(given_up | too_old).delete()

    def _earlier(self, record: IdempotencyRecord) -> ExistingClaim:
        answer = None
        if record.status is not None:
            text = vault.unseal(self.org, SEALED_FOR, record.pk, bytes(record.body).decode())
            answer = Answer(record.status, record.headers, base64.b64decode(text))
        return ExistingClaim(record.operation, bytes(record.body_digest), answer)
