"""Make an account and recognise its owner by e-mail address and password."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.auth import attempts
from apps.auth.exceptions import BadCredentials, RegistrationRefused
from apps.auth.models import RefreshFamily, User


def create_account(*, email: str, password: str, name: str) -> User:
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
    if not user.check_password(password) or not user.is_active:
        raise BadCredentials
    attempts.forgive(tries)
    return user


def change_password(*, user: User, password: str, keep_session: UUID) -> None:
    """Set the password and end every session but `keep_session`; access tokens of the others stop at once."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        families = RefreshFamily.objects.filter(user=user, revoked_at__isnull=True)
        families.exclude(pk=keep_session).update(
            revoked_at=timezone.now(), revoked_reason="password change"
        )


def rename(*, user_id: UUID, name: str) -> None:
    """Change what a user is called."""
    User.objects.filter(pk=user_id).update(name=name)
