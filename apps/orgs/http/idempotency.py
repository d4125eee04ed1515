"""Idempotency-Key: the first answer to a key is kept for 24 h and replayed, never made twice.

The record is written in the transaction of the request, before its handler runs: a parallel twin waits on the
unique row until the first has committed, and an error leaves no record, because it left nothing else either.
Bodies may hold secrets, so they are kept as a keyed digest and the answer is sealed.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import vault
from apps.orgs.models import IdempotencyRecord, Org
from apps.orgs.principals import Principal
from apps.web.problems import Problem
from apps.web.slow import Slowly
from apps.web.wire import JSONRenderer, dumps

LIFETIME = timedelta(hours=24)
HEADER = "Idempotency-Key"
KEPT_HEADERS = {"ETag", "Location"}  # the content type is known only once an answer is rendered


def answer_once(
    request: Request,
    key: str,
    org: Org,
    principal: Principal,
    handler: Callable[[], Response | Slowly],
) -> Response | Slowly:
    """The answer of `handler`, or the kept one when this key was answered before.

    Raises Problem 400 for a bad key, 422 for a key that was used for another request.
    """
    if not (1 <= len(key) <= 200 and key.isprintable()):
        message = "1 to 200 printable characters."
        raise Problem(400, f"Bad {HEADER}.", "malformed", [(HEADER, message, "invalid")])
    operation = f"{request.method} {request.path}"[:200]
    digest = _digest(request, principal)
    record, made = _reserve(org, key, operation, digest)
    if not made:
        return _replay(org, record, operation, digest)
    response = handler()
    if isinstance(
        response, Slowly
    ):  # looks at something and makes nothing: asked again, it looks again
        record.delete()
        return response
    _keep(org, record, response)
    return response


def _digest(request: Request, principal: Principal) -> bytes:
    said = [str(principal.actor.id), request.get_full_path(), request.data]
    key = settings.SECRET_KEY.encode()
    return hmac.digest(key, b"idempotency:" + dumps(said), "sha256")


def _reserve(org: Org, key: str, operation: str, digest: bytes) -> tuple[IdempotencyRecord, bool]:
    mine = IdempotencyRecord.objects.for_org(org).filter(key=key)
    mine.filter(created_at__lt=timezone.now() - LIFETIME).delete()
    fresh = IdempotencyRecord(org=org, key=key, operation=operation, body_digest=digest)
    IdempotencyRecord.unscoped.bulk_create([fresh], ignore_conflicts=True)
    kept: IdempotencyRecord = mine.get()
    return kept, kept.pk == fresh.pk


def _keep(org: Org, record: IdempotencyRecord, response: Response) -> None:
    text = base64.b64encode(JSONRenderer().render(response.data)).decode()
    record.status = response.status_code
    record.body = vault.seal(org, "idempotency", record.pk, text).encode()
    record.headers = {k: v for k, v in response.headers.items() if k in KEPT_HEADERS}
    if response.content_type:
        record.headers["Content-Type"] = response.content_type
    record.save(update_fields=["status", "body", "headers"])


def _replay(org: Org, record: IdempotencyRecord, operation: str, digest: bytes) -> Response:
    if record.operation != operation or bytes(record.body_digest) != digest:
        message = f"This {HEADER} was used for another request."
        raise Problem(422, message, "idempotency_key_reused", [(HEADER, message, "reused")])
    text = vault.unseal(org, "idempotency", record.pk, bytes(record.body).decode())
    headers = dict(record.headers)
    content_type = headers.pop("Content-Type", None)
    body = base64.b64decode(text) or None
    replay = Response(body, status=record.status, headers=headers, content_type=content_type)
    replay["Idempotency-Replayed"] = "true"
    return replay
