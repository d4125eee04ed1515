"""Single-use links sent by mail: opening one proves access to the mailbox."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps.auth import proofs
from apps.auth.exceptions import LinkSpent
from apps.auth.mailing import mail
from apps.auth.models import MailedLink, User

Purpose = MailedLink.Purpose
LIFETIMES = {
    Purpose.VERIFY: timedelta(days=3),
    Purpose.RESET: timedelta(hours=1),
    Purpose.CHANGE: timedelta(hours=1),
}

PAGES = {
    Purpose.VERIFY: "verify-email",
    Purpose.CHANGE: "verify-email",
    Purpose.RESET: "reset-password",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """What a used link proves: this user receives mail at this address."""

    user: User
    purpose: MailedLink.Purpose
    email: str


@transaction.atomic
def issue(user: User, purpose: MailedLink.Purpose, email: str) -> str:
    """Create a link and return its secret. Earlier links of the same purpose stop working.

    Raises LinkSpent if the account has changed since `user` was read.
    """
    if proofs.lock_user(user.pk, user.proof_version) is None:
        raise LinkSpent
    MailedLink.objects.filter(user=user, purpose=purpose).delete()
    secret = new_secret()
    MailedLink.objects.create(
        user=user,
        purpose=purpose,
        email=email,
        digest=digest(secret),
        expires_at=timezone.now() + LIFETIMES[purpose],
    )
    return secret


def deliver(*, user_id: str, purpose: MailedLink.Purpose, email: str, version: int) -> None:
    """Mail a new link to this user.

    Does nothing if there is no such user, if the account has changed since the link was requested, or if the address
    to verify is verified already.
    """
    users = User.objects.filter(is_active=True, proof_version=version)
    user = users.filter(pk=user_id).first() if user_id else None
    if user is None or (purpose is Purpose.VERIFY and user.email_verified_at is not None):
        return
    try:
        link = mail.page_url(PAGES[purpose], issue(user, purpose, email))
    except LinkSpent:
        return
    hours = int(LIFETIMES[purpose].total_seconds() // 3600)
    mail.send(email, purpose.value, link=link, hours=hours)


def use_link(secret: str, *purposes: MailedLink.Purpose) -> Proof:
    """Mark the link with this secret as used, and lock its user until the transaction ends.

    Raises LinkSpent if the link is unknown, used, expired or has another purpose, if the user is disabled, or if the
    address of the account has changed since the link was sent.
    """
    usable_links = MailedLink.objects.filter(
        digest=digest(secret), purpose__in=purposes, expires_at__gt=timezone.now()
    )
    link = usable_links.first()
    if link is None:
        raise LinkSpent
    users = User.objects.filter(pk=link.user_id, is_active=True)
    # Lock the user before the link, as `proofs.invalidate_proofs` does, to avoid deadlocks.
    user = users.select_for_update(no_key=True).first()
    if user is None or not usable_links.filter(pk=link.pk).delete()[0]:
        raise LinkSpent
    if link.purpose != Purpose.CHANGE and link.email != user.email:
        raise LinkSpent
    return Proof(user, MailedLink.Purpose(link.purpose), link.email)


def new_secret() -> str:
    """Return 256 random bits, encoded for URLs."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """Return the digest to store for a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()
