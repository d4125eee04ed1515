"""Rate limits for credentials: counted per account and IP address, and per IP address.

They are not counted per account alone, so that nobody can lock another user out. An attempt is recorded before
the password is checked, so that parallel attempts count; a successful one is deleted again.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from apps.auth.exceptions import TooManyAttempts
from apps.auth.models import LoginAttempt


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `tries` failed attempts within `window`."""

    name: str
    tries: int
    window: timedelta


ACCOUNT = Limit("account", tries=5, window=timedelta(minutes=5))
ADDRESS = Limit("address", tries=30, window=timedelta(minutes=1))
REGISTRATION = Limit("registration", tries=30, window=timedelta(hours=1))
MAIL = Limit("mail", tries=20, window=timedelta(hours=1))  # per IP address
MAILBOX = Limit("mailbox", tries=5, window=timedelta(hours=1))  # per recipient
CODE = Limit("code", tries=10, window=timedelta(minutes=15))  # per account, from any IP address
INVITATION = Limit("invitation", tries=100, window=timedelta(days=1))  # per org
INVITED = Limit("invited", tries=5, window=timedelta(hours=1))  # per recipient and org
DOMAIN_CHECK = Limit("domain check", tries=60, window=timedelta(hours=1))  # per org
LONGEST = max(
    each.window
    for each in (
        ACCOUNT,
        ADDRESS,
        REGISTRATION,
        MAIL,
        MAILBOX,
        CODE,
        INVITATION,
        INVITED,
        DOMAIN_CHECK,
    )
)


def begin_login(email: str, ip: str | None) -> list[LoginAttempt]:
    """Record the attempt. Raises TooManyAttempts if it exceeds a limit."""
    return [_begin(ADDRESS, _place(ip)), _begin(ACCOUNT, f"{email}|{_place(ip)}")]


def begin_registration(ip: str | None) -> None:
    """Record a registration.

    Raises TooManyAttempts. Successful ones count too, because each computes a bcrypt hash.
    """
    _begin(REGISTRATION, _place(ip))


def begin_mail(ip: str | None) -> None:
    """Record a request for a mail. Raises TooManyAttempts for too many from one IP address."""
    _begin(MAIL, _place(ip))


def begin_passkey(ip: str | None) -> None:
    """Record a passkey attempt. Raises TooManyAttempts."""
    _begin(ADDRESS, _place(ip))


def begin_code(user_id: UUID, ip: str | None) -> None:
    """Record a second-factor attempt. Raises TooManyAttempts.

    Counted per account too: at this point the password was right, so only the owner or an attacker who knows it
    can use up the attempts.
    """
    _begin(ADDRESS, _place(ip))
    _begin(CODE, str(user_id))


def clear_code_attempts(user_id: UUID) -> None:
    """Delete the failed attempts before a correct code."""
    LoginAttempt.objects.filter(key=_key(CODE, str(user_id))).delete()


def begin_invitation(org_id: UUID, email: str) -> None:
    """Record an org's invitation.

    Raises TooManyAttempts, so that nobody can send mass mail or flood one mailbox.
    """
    _begin(INVITED, f"{org_id}|{email}")
    _begin(INVITATION, str(org_id))


def begin_domain_check(org_id: UUID) -> None:
    """Record a DNS check of an org. Raises TooManyAttempts."""
    _begin(DOMAIN_CHECK, str(org_id))


def mailed_enough(email: str) -> bool:
    """Whether this mailbox got enough mail recently. Never expose: reveals whether the account exists."""
    try:
        _begin(MAILBOX, email)
    except TooManyAttempts:
        return True
    return False


def clear_attempts(tries: list[LoginAttempt]) -> None:
    """Delete this attempt and the failed ones before it, because the credential was right."""
    address, account = tries
    LoginAttempt.objects.filter(key=account.key).delete()
    address.delete()


def _begin(limit: Limit, subject: str) -> LoginAttempt:
    key = _key(limit, subject)
    now = timezone.now()
    attempt = LoginAttempt.objects.create(key=key)
    recent = LoginAttempt.objects.filter(key=key, at__gt=now - limit.window, id__lte=attempt.pk)
    newest = list(recent.order_by("-id").values_list("at", flat=True)[: limit.tries + 1])
    if len(newest) > limit.tries:
        attempt.delete()  # Refused attempts do not prolong the wait.
        raise TooManyAttempts(_seconds_until(newest[-1] + limit.window, now))
    return attempt


def _key(limit: Limit, subject: str) -> str:
    return f"{limit.name}:{hashlib.sha256(subject.encode()).hexdigest()}"


def _seconds_until(moment: datetime, now: datetime) -> int:
    return max(1, math.ceil((moment - now).total_seconds()))


def _place(ip: str | None) -> str:
    """Return the IP address, or the /64 of an IPv6 address, because a customer has at least that many."""
    if not ip:
        return "unknown"
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
