"""Users, and the refresh-token families that keep them logged in.

These models are not org-owned, because a user may belong to many orgs.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from uuid_utils.compat import uuid7

from apps.auth import names


def new_id() -> UUID:
    """Return a UUIDv7, which is hard to guess and fast to index."""
    return uuid7()


class UserManager(BaseUserManager["User"]):
    def create_user(
        self, *, email: str, password: str | None, name: str = "", **extra: Any
    ) -> User:
        user = self.model(email=email.strip().lower(), name=name, **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person, or a service account. Nobody can log in as a service account.

    `token_version` increases to invalidate all access tokens; `proof_version` increases to invalidate all
    links, challenges and tickets (`apps.auth.proofs`).
    """

    class Kind(models.TextChoices):
        PERSON = "person"
        SERVICE = "service"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PERSON)
    email_verified_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    token_version = models.PositiveIntegerField(default=1)
    proof_version = models.PositiveIntegerField(default=1, db_default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="identity_user_email_lower"
            ),
            names.plain_text_check("name", name="identity_user_name_plain"),
        ]

    def __str__(self) -> str:
        return self.email

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return the hash that a web session of the operators' site must match.

        The hash contains `proof_version`, so that web sessions end together with all other sessions.
        """
        key = "apps.auth.models.User.session"
        content = f"{self.password} {self.proof_version}"
        return salted_hmac(key, content, secret=secret, algorithm="sha256").hexdigest()


class RefreshFamily(models.Model):
    """One login on one device: a chain of single-use refresh tokens. Its id is the session id of access tokens.

    `only_org` is set if an org's own identity provider logged the user in. The session is then limited to this org,
    because the provider is trusted only there. Such a session cannot change the account either.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="refresh_families")
    user_agent = models.CharField(max_length=200, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)  # address of the last use
    method = models.CharField(max_length=60, default="password")  # how the user logged in
    second_factor_at = models.DateTimeField(null=True, blank=True)
    only_org = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=40, blank=True)

    class Meta:
        verbose_name = "session"
        constraints = [names.plain_text_check("user_agent", name="identity_session_agent_plain")]


class RefreshToken(models.Model):
    """One token of a family. Only the SHA-256 of the opaque token is stored; `used_at` is set exactly once."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    family = models.ForeignKey(RefreshFamily, models.CASCADE, related_name="tokens")
    digest = models.BinaryField(max_length=32, unique=True)
    used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)


class MailedLink(models.Model):
    """A single-use link that proves access to the mailbox it was sent to. Only its SHA-256 is stored."""

    class Purpose(models.TextChoices):
        VERIFY = "verify"  # the address of the account
        RESET = "reset"  # the password
        CHANGE = "change"  # to another address

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=10, choices=Purpose.choices)
    email = models.EmailField(max_length=254)  # the address it was sent to
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()


class Challenge(models.Model):
    """The server's state between the two requests that set up or verify a factor. Single use, valid for minutes."""

    digest = models.BinaryField(primary_key=True, max_length=32)
    purpose = models.CharField(max_length=20)
    user = models.ForeignKey(User, models.CASCADE, related_name="+", null=True)
    state = models.TextField()  # encrypted
    expires_at = models.DateTimeField(db_index=True)


class StreamTicket(models.Model):
    """A single-use token, valid for 30 s, for an EventSource or a websocket, which cannot send headers.

    `claims` are the claims of the access token with which it was requested.
    """

    digest = models.BinaryField(primary_key=True, max_length=32)
    claims = models.JSONField()
    expires_at = models.DateTimeField(db_index=True)


class LoginAttempt(models.Model):
    """A failed attempt to log in, or another action with a rate limit.

    `key` is the limit's name and a hash of its subject, such as an e-mail address and an IP network.
    """

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=80)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["key", "at"], name="identity_attempt_key_at")]
