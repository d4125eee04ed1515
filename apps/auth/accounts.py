"""The verbs of an account: make it, recognise its owner, change its password and its address."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.auth import attempts, sessions
from apps.auth.exceptions import BadCredentials, LinkSpent, RegistrationRefused, WeakPassword
from apps.auth.mailing import links, mail
from apps.auth.models import MailedLink, User

Purpose = MailedLink.Purpose
RECENT = timedelta(minutes=10)


def create_account(*, email: str, password: str | None, name: str) -> User:
    """A new user; call inside a transaction. Raises RegistrationRefused for a taken address."""
    try:
        with transaction.atomic():
            return User.objects.create_user(email=email, password=password, name=name)
    except IntegrityError:
        raise RegistrationRefused from None


def password_faults(password: str, *, email: str, name: str) -> list[str]:
    """Why this password is too weak, as sentences; empty when it will do."""
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as error:
        return list(error.messages)
    return []


def recognise(*, email: str, password: str, ip: str | None) -> User:
    """The user with this address and password.

    Raises BadCredentials after the same work whether or not the address is known, and TooManyAttempts.
    """
    email = email.strip().lower()
    tries = attempts.begin_login(email, ip)
    user = User.objects.filter(email=email).first()
    if user is None:
        User().set_password(password)  # one bcrypt, as for a known address
        raise BadCredentials
    if not user.check_password(password) or not user.is_active:  # a service account has none
        raise BadCredentials
    attempts.forgive(tries)
    return user


def reauthenticate(*, user: User, password: str, began: datetime, ip: str | None) -> bool:
    """Whether it is still the same person at the keyboard: their password, or a session younger than 10 minutes
    for who has none. Raises TooManyAttempts."""
    if not user.has_usable_password():
        return timezone.now() - began < RECENT
    tries = attempts.begin_login(user.email, ip)
    if not user.check_password(password):
        return False
    attempts.forgive(tries)
    return True


def change_password(*, user: User, password: str, keep_session: UUID | None) -> None:
    """Set the password and end every session but `keep_session`."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        sessions.end_all(user.pk, reason="password change", but=keep_session)
        mail.ask_for_notice(user.email, "password-changed")


def note_changed_password(*, email: str) -> None:
    """Somebody set the password of whoever has this address without showing the old one: every session ends."""
    user = User.objects.get_by_natural_key(email)
    sessions.end_all(user.pk, reason="password change")


def ask_to_reset(email: str, ip: str | None) -> None:
    """Mail a link that sets a new password, if there is such an account; takes the same work if not.

    Raises TooManyAttempts for the asking address; an address that is written to often is spared in silence.
    """
    email = email.strip().lower()
    attempts.begin_mail(ip)
    user = User.objects.filter(email=email, kind=User.Kind.PERSON, is_active=True).first()
    spared = attempts.mailed_enough(email)
    mail.ask_for_link(None if spared else user, Purpose.RESET, email)


def reset_password(*, token: str, password: str, ip: str | None) -> None:
    """Spend a reset link. Every session ends; the address is proven. Raises LinkSpent, WeakPassword, TooManyAttempts."""
    attempts.begin_mail(ip)
    _reset_password(token, password)


@transaction.atomic
def _reset_password(token: str, password: str) -> None:
    proof = links.spend(token, Purpose.RESET)
    user = proof.user
    if faults := password_faults(password, email=user.email, name=user.name):
        raise WeakPassword(faults)
    if user.email_verified_at is None:
        user.email_verified_at = timezone.now()
    user.token_version += 1
    user.save(update_fields=["email_verified_at", "token_version"])
    change_password(user=user, password=password, keep_session=None)


def awaits_owner(email: str) -> bool:
    """Whether there is an account with this address that nobody has proven or can log in to: an org's identity
    provider named it, and its owner has yet to come."""
    found = User.objects.filter(email=email.strip().lower(), kind=User.Kind.PERSON).first()
    return found is not None and not found.email_verified_at and not found.has_usable_password()


def ask_to_verify(user: User) -> None:
    """Mail a link that proves the address of this account, unless one was sent often enough."""
    if not attempts.mailed_enough(user.email):
        mail.ask_for_link(user, Purpose.VERIFY, user.email)


def ask_to_verify_again(*, user: User, ip: str | None) -> None:
    """The same for somebody who asks for it; nothing for an address that is proven. Raises TooManyAttempts."""
    attempts.begin_mail(ip)
    if user.email_verified_at is None:
        ask_to_verify(user)


def ask_to_change_email(*, user: User, email: str, ip: str | None) -> None:
    """Mail a link to the new address; nothing changes until it is followed. Raises TooManyAttempts for the asking
    address; one that is written to often, or is somebody's already, is spared in silence."""
    attempts.begin_mail(ip)
    email = email.strip().lower()
    spared = attempts.mailed_enough(email) or User.objects.filter(email=email).exists()
    mail.ask_for_link(None if spared else user, Purpose.CHANGE, email)
    mail.ask_for_notice(user.email, "email-changing")


@transaction.atomic
def verify_email(token: str) -> str | None:
    """Spend a link of either kind: the address is proven, and becomes the account's when it was to change.

    A changed address ends every session. Answers the proven address that was given up, if any. Raises LinkSpent,
    also when someone else took the address meanwhile.
    """
    proof = links.spend(token, Purpose.VERIFY, Purpose.CHANGE)
    user, changes = proof.user, proof.purpose is Purpose.CHANGE
    before = user.email if changes and user.email_verified_at else None
    user.email, user.email_verified_at = proof.email, timezone.now()
    try:
        with transaction.atomic():
            user.save(update_fields=["email", "email_verified_at"])
    except IntegrityError:
        raise LinkSpent from None
    if changes:
        sessions.end_all(user.pk, reason="e-mail change")
    return before


def rename(*, user: User, name: str) -> None:
    """Change what a user is called."""
    User.objects.filter(pk=user.pk).update(name=name)
    user.name = name
