"""Stream tickets: single-use tokens for opening a stream, valid for 30 s.

Browsers cannot send headers with an EventSource or a websocket. An EventSource sends its ticket in the URL, and a
websocket as one of the subprotocols that it offers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed

from apps.auth.models import StreamTicket
from apps.auth.tokens import Claims
from apps.orgs import credentials
from apps.orgs.http import authentication
from apps.orgs.models import Membership
from apps.orgs.principals import Principal
from apps.web.addresses import client_ip

LIFETIME = timedelta(seconds=30)
SUBPROTOCOL_PREFIX = "drover.ticket."


def issue(*, by: Principal) -> str:
    """Create a ticket that can replace the requester's credential once. Raises SessionNeeded for an API key."""
    members = Membership.objects.for_org(by.require_org()).select_related("user")
    return issue_for(
        Claims(
            user_id=by.require_user(),
            org_id=by.require_org(),
            session_id=by.require_session(),
            token_version=members.get(user_id=by.require_user()).user.token_version,
        )
    )


def issue_for(claims: Claims) -> str:
    """Create a ticket that can be redeemed once for these claims."""
    text = secrets.token_urlsafe(24)
    stored_claims = {
        name: value if name == "token_version" else str(value)
        for name, value in asdict(claims).items()
    }
    StreamTicket.objects.create(
        digest=_digest(text), claims=stored_claims, expires_at=timezone.now() + LIFETIME
    )
    return text


def redeem(text: str) -> Claims | None:
    """Return the claims of a ticket, or None if the ticket is unknown, used or older than 30 s.

    Call this outside of transactions.
    """
    ticket = StreamTicket.objects.filter(digest=_digest(text)).first()
    if ticket is None or not StreamTicket.objects.filter(pk=ticket.pk).delete()[0]:
        return None  # The ticket is unknown, or another request has used it.
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


def read_credential(request: HttpRequest) -> credentials.Credential:
    """Return the credential of a stream: from `?ticket=`, or else from the Authorization header.

    A ticket can be redeemed only once, so call this outside of transactions. Raises AuthenticationFailed.
    """
    ticket = request.GET.get("ticket")
    if ticket is None:
        return authentication.read_credential(request)
    return _redeem_for_credential(ticket, request)


def read_websocket_credential(
    request: HttpRequest, subprotocols: Sequence[str]
) -> credentials.Credential:
    """Return the credential of a websocket: from the subprotocol with a ticket, or else from the Authorization header.

    A ticket in the URL is ignored. Raises AuthenticationFailed.
    """
    for name in subprotocols:
        if name.startswith(SUBPROTOCOL_PREFIX):
            return _redeem_for_credential(name.removeprefix(SUBPROTOCOL_PREFIX), request)
    return authentication.read_credential(request)


def _redeem_for_credential(ticket: str, request: HttpRequest) -> credentials.Credential:
    claims = redeem(ticket)
    if claims is None:
        raise AuthenticationFailed("The stream ticket is unknown, used or older than 30 s.")
    return authentication.credential_from_claims(claims, client_ip(request))
