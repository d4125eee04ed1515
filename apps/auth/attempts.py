"""How often a credential may be tried: counted per account and address, and per address.

Never per account alone, so that nobody can lock another person out from elsewhere. A try is written down
before the password is looked at, so parallel guesses count each other; a good one is taken back.
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
    """At most `tries` that did not succeed within `window`."""

    name: str
    tries: int
    window: timedelta


ACCOUNT = Limit("account", tries=5, window=timedelta(minutes=5))
ADDRESS = Limit("address", tries=30, window=timedelta(minutes=1))
REGISTRATION = Limit("registration", tries=30, window=timedelta(hours=1))
MAIL = Limit("mail", tries=20, window=timedelta(hours=1))  # from one place
MAILBOX = Limit("mailbox", tries=5, window=timedelta(hours=1))  # to one address
CODE = Limit("code", tries=10, window=timedelta(minutes=15))  # of one account, from anywhere
INVITATION = Limit("invitation", tries=100, window=timedelta(days=1))  # by one org
INVITED = Limit("invited", tries=5, window=timedelta(hours=1))  # one address by one org
DOMAIN_CHECK = Limit("domain check", tries=60, window=timedelta(hours=1))  # by one org
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
    """Write the try down; raises TooManyAttempts when this one is over a limit."""
    return [_begin(ADDRESS, _place(ip)), _begin(ACCOUNT, f"{email}|{_place(ip)}")]


def begin_registration(ip: str | None) -> None:
    """Write a registration down; raises TooManyAttempts. Made accounts count too: each costs a bcrypt."""
    _begin(REGISTRATION, _place(ip))


def begin_mail(ip: str | None) -> None:
    """Write down that mail was asked for; raises TooManyAttempts for one place that asks too often."""
    _begin(MAIL, _place(ip))


def begin_passkey(ip: str | None) -> None:
    """Write down that a passkey is asked for; raises TooManyAttempts."""
    _begin(ADDRESS, _place(ip))


def begin_code(user_id: UUID, ip: str | None) -> None:
    """Write down that a second factor is tried; raises TooManyAttempts. Per account as well: whoever gets here
    knows the password, so only its owner and a thief can use the tries up."""
    _begin(ADDRESS, _place(ip))
    _begin(CODE, str(user_id))


def forgive_codes(user_id: UUID) -> None:
    """The code was good: the typing errors before it do not count."""
    LoginAttempt.objects.filter(key=_key(CODE, str(user_id))).delete()


def begin_invitation(org_id: UUID, email: str) -> None:
    """Write an org's invitation down; raises TooManyAttempts: nobody sends mail to the world from here, nor a
    flood to one mailbox."""
    _begin(INVITED, f"{org_id}|{email}")
    _begin(INVITATION, str(org_id))


def begin_domain_check(org_id: UUID) -> None:
    """Write down that an org has DNS asked; raises TooManyAttempts."""
    _begin(DOMAIN_CHECK, str(org_id))


def mailed_enough(email: str) -> bool:
    """Whether this mailbox was written to often enough lately. Never expose: reveals whether the account exists."""
    try:
        _begin(MAILBOX, email)
    except TooManyAttempts:
        return True
    return False


def forgive(tries: list[LoginAttempt]) -> None:
    """The credential was good: this try does not count, nor do the typing errors before it."""
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
        attempt.delete()  # refused tries do not prolong the wait
        raise TooManyAttempts(_seconds_until(newest[-1] + limit.window, now))
    return attempt


def _key(limit: Limit, subject: str) -> str:
    return f"{limit.name}:{hashlib.sha256(subject.encode()).hexdigest()}"


def _seconds_until(moment: datetime, now: datetime) -> int:
    return max(1, math.ceil((moment - now).total_seconds()))


def _place(ip: str | None) -> str:
    """The address, or the /64 of an IPv6 one: a customer owns at least that many addresses."""
    if not ip:
        return "unknown"
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
