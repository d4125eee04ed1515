"""Actions on accounts: create one, check a password, change the password and the address."""

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
    """Create a user; call it inside a transaction. Raises RegistrationRefused if the address is in use."""
    try:
        with transaction.atomic():
            return User.objects.create_user(email=email, password=password, name=name)
    except IntegrityError:
        raise RegistrationRefused from None


def password_faults(password: str, *, email: str, name: str) -> list[str]:
    """Return the reasons why this password is too weak, as sentences; empty if it is acceptable."""
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as error:
        return list(error.messages)
    return []


def recognise(*, email: str, password: str, ip: str | None) -> User:
    """Return the user with this address and password.

    Takes the same time whether or not the address exists. Raises BadCredentials and TooManyAttempts.
    """
    email = email.strip().lower()
    tries = attempts.begin_login(email, ip)
    user = User.objects.filter(email=email).first()
    if user is None:
        User().set_password(password)  # one bcrypt computation, as for an existing address
        raise BadCredentials
    if not user.check_password(password) or not user.is_active:  # a service account has no password
        raise BadCredentials
    attempts.clear_attempts(tries)
    return user


def reauthenticate(*, user: User, password: str, began: datetime, ip: str | None) -> bool:
    """Check again that the same person is using the session.

    By password; a user without one needs a session younger than 10 minutes. Raises TooManyAttempts.
    """
    if not user.has_usable_password():
        return timezone.now() - began < RECENT
    tries = attempts.begin_login(user.email, ip)
    if not user.check_password(password):
        return False
    attempts.clear_attempts(tries)
    return True


def change_password(*, user: User, password: str, keep_session: UUID | None) -> None:
    """Set the password and end every session except `keep_session`."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        sessions.end_all(user.pk, reason="password change", but=keep_session)
        mail.ask_for_notice(user.email, "password-changed")


def note_changed_password(*, email: str) -> None:
    """Notify the owner that the password was set without the old one, and end every session."""
    user = User.objects.get_by_natural_key(email)
    sessions.end_all(user.pk, reason="password change")


def ask_to_reset(email: str, ip: str | None) -> None:
    """Mail a link for setting a new password if the account exists; otherwise do the same amount of work.

    Raises TooManyAttempts for the requester's IP address. If the account was mailed too often, nothing is sent
    and no error is raised.
    """
    email = email.strip().lower()
    attempts.begin_mail(ip)
    user = User.objects.filter(email=email, kind=User.Kind.PERSON, is_active=True).first()
    spared = attempts.mailed_enough(email)
    mail.ask_for_link(None if spared else user, Purpose.RESET, email)


def reset_password(*, token: str, password: str, ip: str | None) -> None:
    """Use a reset link.

    Every session ends; the address is verified. Raises LinkSpent, WeakPassword, TooManyAttempts.
    """
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
    """Whether this account's address is not verified and nobody can log in: an org's identity provider named it
    first.
    """
    found = User.objects.filter(email=email.strip().lower(), kind=User.Kind.PERSON).first()
    return found is not None and not found.email_verified_at and not found.has_usable_password()


def ask_to_verify(user: User) -> None:
    """Mail a link that verifies the account's address, unless enough were sent recently."""
    if not attempts.mailed_enough(user.email):
        mail.ask_for_link(user, Purpose.VERIFY, user.email)


def ask_to_verify_again(*, user: User, ip: str | None) -> None:
    """Like `ask_to_verify`, on the user's request; does nothing if the address is verified.

    Raises TooManyAttempts.
    """
    attempts.begin_mail(ip)
    if user.email_verified_at is None:
        ask_to_verify(user)


def ask_to_change_email(*, user: User, email: str, ip: str | None) -> None:
    """Mail a link to the new address; nothing changes until it is opened.

    Raises TooManyAttempts for the requester's IP address. If the new address was mailed too often or is in use,
    nothing is sent and no error is raised.
    """
    attempts.begin_mail(ip)
    email = email.strip().lower()
    spared = attempts.mailed_enough(email) or User.objects.filter(email=email).exists()
    mail.ask_for_link(None if spared else user, Purpose.CHANGE, email)
    mail.ask_for_notice(user.email, "email-changing")


@transaction.atomic
def verify_email(token: str) -> str | None:
    """Use a link of either kind: the address is verified, and replaces the account's if it was a change.

    A changed address ends every session. Returns the verified address that was replaced, if any. Raises
    LinkSpent, also if another account has taken the address meanwhile.
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
    """Change a user's name."""
    User.objects.filter(pk=user.pk).update(name=name)
    user.name = name
