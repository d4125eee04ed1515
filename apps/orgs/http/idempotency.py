"""Store an org's Idempotency-Keys: one row per key. The org's data key encrypts the response."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from apps.orgs import vault
from apps.orgs.models import IdempotencyRecord, Org
from apps.orgs.walls.scope import org_scope
from apps.web.idempotency import ExistingClaim, KeyedRequest, StoredResponse

RECORD_LIFETIME = timedelta(hours=24)
# A claim without a response counts as abandoned after this time, because its process has probably crashed.
CLAIM_TIMEOUT = timedelta(seconds=60)
SEAL_KIND = "idempotency"


class OrgIdempotencyStore:
    """The `Store` of one org, for one request. The row's id identifies the request that owns the claim."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.record = IdempotencyRecord(org=org)

    def claim(self, request: KeyedRequest) -> ExistingClaim | None:
        self._delete_old(request.key)
        self.record = IdempotencyRecord(
            org=self.org, key=request.key, operation=request.operation, body_digest=request.digest
        )
        IdempotencyRecord.unscoped.bulk_create([self.record], ignore_conflicts=True)
        stored = IdempotencyRecord.objects.for_org(self.org).filter(key=request.key).first()
        if stored is None:  # Another request has just released the key.
            return ExistingClaim(request.operation, request.digest, None)
        return None if stored.pk == self.record.pk else self._existing_claim(stored)

    def lock_claim(self) -> bool:
        return self._own_claim().select_for_update().first() is not None

    def store_response(self, response: StoredResponse) -> None:
        text = base64.b64encode(response.body).decode()
        self.record.status = response.status
        self.record.headers = dict(response.headers)
        self.record.body = vault.seal(self.org, SEAL_KIND, self.record.pk, text).encode()
        self.record.save(update_fields=["status", "body", "headers"])

    def delete_claim(self) -> None:
        self._own_claim().delete()

    def release(self) -> None:
        with org_scope(self.org.pk):
            self.delete_claim()

    def _own_claim(self) -> Any:
        """Return the claim of this request if it has no response yet and no other request has taken it over."""
        claims = IdempotencyRecord.objects.for_org(self.org)
        return claims.filter(pk=self.record.pk, status__isnull=True)

    def _delete_old(self, key: str) -> None:
        now = timezone.now()
        is_abandoned = Q(status__isnull=True, created_at__lt=now - CLAIM_TIMEOUT)
        is_expired = Q(created_at__lt=now - RECORD_LIFETIME)
        rows = IdempotencyRecord.objects.for_org(self.org).filter(key=key)
        rows.filter(is_abandoned | is_expired).delete()

    def _existing_claim(self, record: IdempotencyRecord) -> ExistingClaim:
        response = None
        if record.status is not None:
            text = vault.unseal(self.org, SEAL_KIND, record.pk, bytes(record.body).decode())
            response = StoredResponse(record.status, record.headers, base64.b64decode(text))
        return ExistingClaim(record.operation, bytes(record.body_digest), response)
