"""Stream tickets: EventSource cannot send headers, so a single-use pass of 30 s travels in the address."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from apps.auth.models import StreamTicket
from apps.auth.tokens import Claims

LIFETIME = timedelta(seconds=30)


def issue(claims: Claims) -> str:
    """A ticket that stands once for these claims."""
    text = secrets.token_urlsafe(24)
    stored = {
        name: value if name == "token_version" else str(value)
        for name, value in asdict(claims).items()
    }
    StreamTicket.objects.create(
        digest=_digest(text), claims=stored, expires_at=timezone.now() + LIFETIME
    )
    return text


def redeem(text: str) -> Claims | None:
    """What the ticket stands for; None when it is unknown, used or older than 30 s. Call outside a transaction."""
    ticket = StreamTicket.objects.filter(digest=_digest(text)).first()
    if ticket is None or not StreamTicket.objects.filter(pk=ticket.pk).delete()[0]:
        return None  # unknown, or another request was quicker
    if ticket.expires_at <= timezone.now():
        return None
    return Claims(
        user_id=UUID(ticket.claims["user_id"]),
        org_id=UUID(ticket.claims["org_id"]),
        session_id=UUID(ticket.claims["session_id"]),
        token_version=ticket.claims["token_version"],
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
