"""Actions on accounts: create an account, check a password, change the password or the e-mail address."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.auth import attempts, sessions
from apps.auth.constraints import is_duplicate
from apps.auth.exceptions import BadCredentials, LinkSpent, RegistrationRefused, WeakPassword
from apps.auth.mailing import links, mail
from apps.auth.models import MailedLink, User

Purpose = MailedLink.Purpose
MAX_LOGIN_AGE = timedelta(minutes=10)  # for users without a password, see `reauthenticate`


def create_account(*, email: str, password: str | None, name: str) -> User:
    """Create a user; call it inside a transaction. Raises RegistrationRefused if the address is in use."""
    try:
        with transaction.atomic():
            return User.objects.create_user(email=email, password=password, name=name)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise RegistrationRefused from None


def password_faults(password: str, *, email: str, name: str) -> list[str]:
    """Return the reasons why this password is too weak, as sentences; empty if it is acceptable."""
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as error:
        return list(error.messages)
    return []


def authenticate(*, email: str, password: str, ip: str | None) -> User:
    """Return the user with this e-mail address and password.

    The call takes the same time whether or not the address exists. Raises BadCredentials and TooManyAttempts.
    """
    email = email.strip().lower()
    recorded_attempts = attempts.record_login(email, ip)
    user = User.objects.filter(email=email).first()
    if user is None:
        User().set_password(password)  # one bcrypt computation, as for an existing address
        raise BadCredentials
    if not user.check_password(password) or not user.is_active:  # a service account has no password
        raise BadCredentials
    attempts.delete_login_attempts(recorded_attempts)
    return user


def reauthenticate(*, user: User, password: str, session_began: datetime, ip: str | None) -> bool:
    """Return whether the person who uses this session is still its owner.

    The password proves it. For a user without a password, a session younger than 10 minutes is enough. Raises
    TooManyAttempts.
    """
    if not user.has_usable_password():
        return timezone.now() - session_began < MAX_LOGIN_AGE
    recorded_attempts = attempts.record_login(user.email, ip)
    if not user.check_password(password):
        return False
    attempts.delete_login_attempts(recorded_attempts)
    return True


def change_password(*, user: User, password: str, keep_session: UUID | None) -> None:
    """Set the password and end every session except `keep_session`."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        sessions.end_all(user.pk, reason="password change", keep_session=keep_session)
        mail.request_notice(user.email, "password-changed")


def end_sessions_after_password_change(*, email: str) -> None:
    """End every session of this user, after a command has set the password."""
    user = User.objects.get_by_natural_key(email)
    sessions.end_all(user.pk, reason="password change")


def request_password_reset(email: str, ip: str | None) -> None:
    """Mail a link for setting a new password if the account exists; otherwise do the same amount of work.

    Raises TooManyAttempts if the requester's IP address has sent too many requests. If the e-mail address
    has already received too many mails, the function sends nothing and raises nothing.
    """
    email = email.strip().lower()
    attempts.record_mail_request(ip)
    user = User.objects.filter(email=email, kind=User.Kind.PERSON, is_active=True).first()
    may_send = attempts.record_mail_within_limit(email)
    mail.request_link(user if may_send else None, Purpose.RESET, email)


def reset_password(*, token: str, password: str, ip: str | None) -> None:
    """Set a new password with the token of a reset link.

    Ends every session and marks the e-mail address as verified. Raises LinkSpent, WeakPassword, TooManyAttempts.
    """
    attempts.record_mail_request(ip)
    _reset_password(token, password)


@transaction.atomic
def _reset_password(token: str, password: str) -> None:
    proof = links.use_link(token, Purpose.RESET)
    user = proof.user
    if faults := password_faults(password, email=user.email, name=user.name):
        raise WeakPassword(faults)
    if user.email_verified_at is None:
        user.email_verified_at = timezone.now()
    user.token_version += 1
    user.save(update_fields=["email_verified_at", "token_version"])
    change_password(user=user, password=password, keep_session=None)


def is_unclaimed(email: str) -> bool:
    """Whether the account with this address has neither a password nor a verified address.

    Such an account was created by the single sign-on of an org. Its owner can claim it by setting a password.
    """
    user = User.objects.filter(email=email.strip().lower(), kind=User.Kind.PERSON).first()
    return user is not None and not user.email_verified_at and not user.has_usable_password()


def request_verification(user: User) -> None:
    """Mail a link that verifies the account's address, unless too many mails were sent to it recently."""
    if attempts.record_mail_within_limit(user.email):
        mail.request_link(user, Purpose.VERIFY, user.email)


def resend_verification(*, user: User, ip: str | None) -> None:
    """Mail the verification link again because the user requested it. Does nothing if the address is verified.

    Raises TooManyAttempts.
    """
    attempts.record_mail_request(ip)
    if user.email_verified_at is None:
        request_verification(user)


def request_email_change(*, user: User, email: str, ip: str | None) -> None:
    """Mail a link to the new address. The address of the account changes when the link is opened.

    Raises TooManyAttempts if the requester's IP address has sent too many requests. If the new address is in use
    or has already received too many mails, the function does not send the link and raises nothing.
    """
    attempts.record_mail_request(ip)
    email = email.strip().lower()
    may_send = (
        attempts.record_mail_within_limit(email) and not User.objects.filter(email=email).exists()
    )
    mail.request_link(user if may_send else None, Purpose.CHANGE, email)
    mail.request_notice(user.email, "email-changing")


@transaction.atomic
def verify_email(token: str) -> str | None:
    """Verify an e-mail address with the token of a mailed link.

    A link for a new address also replaces the account's address and ends every session. Returns the old address
    if it was verified and has been replaced. Raises LinkSpent, also if another account uses the address now.
    """
    proof = links.use_link(token, Purpose.VERIFY, Purpose.CHANGE)
    user, is_change = proof.user, proof.purpose is Purpose.CHANGE
    replaced_address = user.email if is_change and user.email_verified_at else None
    user.email, user.email_verified_at = proof.email, timezone.now()
    try:
        with transaction.atomic():
            user.save(update_fields=["email", "email_verified_at"])
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise LinkSpent from None
    if is_change:
        sessions.end_all(user.pk, reason="e-mail change")
    return replaced_address


def rename(*, user: User, name: str) -> None:
    """Change a user's name."""
    User.objects.filter(pk=user.pk).update(name=name)
    user.name = name
