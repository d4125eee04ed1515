"""Rate limits for credentials, registrations, mails, invitations and DNS checks.

Passwords have a limit per IP address, and a limit per pair of account and IP address. They have no limit per account
alone, so that nobody can lock another user out. An attempt is recorded before the password is checked, so that parallel
attempts count. If the password is right, its attempt is deleted again.
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
    """At most `tries` attempts within `window`."""

    name: str
    tries: int
    window: timedelta


ACCOUNT_LIMIT = Limit("account", tries=5, window=timedelta(minutes=5))
IP_LIMIT = Limit("address", tries=30, window=timedelta(minutes=1))
REGISTRATION_LIMIT = Limit("registration", tries=30, window=timedelta(hours=1))
MAIL_LIMIT = Limit("mail", tries=20, window=timedelta(hours=1))  # per IP address
MAILBOX_LIMIT = Limit("mailbox", tries=5, window=timedelta(hours=1))  # per recipient
# Per account, from any IP address.
CODE_LIMIT = Limit("code", tries=10, window=timedelta(minutes=15))
ORG_INVITATION_LIMIT = Limit("invitation", tries=100, window=timedelta(days=1))  # per org
# Per recipient and org.
RECIPIENT_INVITATION_LIMIT = Limit("invited", tries=5, window=timedelta(hours=1))
DOMAIN_CHECK_LIMIT = Limit("domain check", tries=60, window=timedelta(hours=1))  # per org
LONGEST_WINDOW = max(
    limit.window
    for limit in (
        ACCOUNT_LIMIT,
        IP_LIMIT,
        REGISTRATION_LIMIT,
        MAIL_LIMIT,
        MAILBOX_LIMIT,
        CODE_LIMIT,
        ORG_INVITATION_LIMIT,
        RECIPIENT_INVITATION_LIMIT,
        DOMAIN_CHECK_LIMIT,
    )
)


def record_login(email: str, ip: str | None) -> list[LoginAttempt]:
    """Record an attempt to log in. Raises TooManyAttempts if it exceeds a limit."""
    return [
        _record_attempt(IP_LIMIT, client_network(ip)),
        _record_attempt(ACCOUNT_LIMIT, f"{email}|{client_network(ip)}"),
    ]


def record_registration(ip: str | None) -> None:
    """Record a registration.

    Raises TooManyAttempts. Successful registrations count too, because each one computes a bcrypt hash.
    """
    _record_attempt(REGISTRATION_LIMIT, client_network(ip))


def record_mail_request(ip: str | None) -> None:
    """Record a request for a mail. Raises TooManyAttempts for too many requests from one IP address."""
    _record_attempt(MAIL_LIMIT, client_network(ip))


def record_attempt_of_ip(ip: str | None) -> None:
    """Record an attempt to log in by passkey or identity provider. Raises TooManyAttempts."""
    _record_attempt(IP_LIMIT, client_network(ip))


def record_code_attempt(user_id: UUID, ip: str | None) -> None:
    """Record a second-factor attempt. Raises TooManyAttempts.

    There is also a limit per account. Only a person who knows the password can reach it, because the password was
    checked before.
    """
    _record_attempt(IP_LIMIT, client_network(ip))
    _record_attempt(CODE_LIMIT, str(user_id))


def delete_code_attempts(user_id: UUID) -> None:
    """Delete the attempts that count towards the user's limit, because the code was right."""
    LoginAttempt.objects.filter(key=_key(CODE_LIMIT, str(user_id))).delete()


def record_invitation(org_id: UUID, email: str) -> None:
    """Record an invitation of an org.

    Raises TooManyAttempts, so that nobody can send mass mail or flood a mailbox.
    """
    _record_attempt(RECIPIENT_INVITATION_LIMIT, f"{org_id}|{email}")
    _record_attempt(ORG_INVITATION_LIMIT, str(org_id))


def record_domain_check(org_id: UUID) -> None:
    """Record a DNS check of an org. Raises TooManyAttempts."""
    _record_attempt(DOMAIN_CHECK_LIMIT, str(org_id))


def record_mail_within_limit(email: str) -> bool:
    """Record a mail to this address. Returns False if too many mails were sent to it recently.

    Never expose the result, because it reveals whether the account exists.
    """
    try:
        _record_attempt(MAILBOX_LIMIT, email)
    except TooManyAttempts:
        return False
    return True


def delete_login_attempts(recorded_attempts: list[LoginAttempt]) -> None:
    """Delete this attempt, and the earlier attempts for this account and IP address, because the password was right."""
    by_ip, by_account_and_ip = recorded_attempts
    LoginAttempt.objects.filter(key=by_account_and_ip.key).delete()
    by_ip.delete()


def _record_attempt(limit: Limit, subject: str) -> LoginAttempt:
    key = _key(limit, subject)
    now = timezone.now()
    attempt = LoginAttempt.objects.create(key=key)
    recent = LoginAttempt.objects.filter(key=key, at__gt=now - limit.window, id__lte=attempt.pk)
    newest_times = list(recent.order_by("-id").values_list("at", flat=True)[: limit.tries + 1])
    if len(newest_times) > limit.tries:
        attempt.delete()  # A rejected attempt does not make the wait longer.
        raise TooManyAttempts(_seconds_until(newest_times[-1] + limit.window, now))
    return attempt


def _key(limit: Limit, subject: str) -> str:
    return f"{limit.name}:{hashlib.sha256(subject.encode()).hexdigest()}"


def _seconds_until(moment: datetime, now: datetime) -> int:
    return max(1, math.ceil((moment - now).total_seconds()))


def client_network(ip: str | None) -> str:
    """Return the IP address, or the /64 network of an IPv6 address: one client usually has a whole /64 network."""
    if not ip:
        return "unknown"
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
