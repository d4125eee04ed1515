"""Sessions: one session is one login on one device. Refresh tokens extend it, and each token works once.

If a token is used a second time, it was probably copied, so the session ends. A second use within a short time is
allowed, because two tabs may refresh at the same time, or a response may be lost.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from apps.auth import names, proofs
from apps.auth.exceptions import SessionEnded
from apps.auth.mailing import access_notices as access
from apps.auth.models import RefreshFamily, RefreshToken, User


@dataclass(frozen=True, slots=True)
class Session:
    """The state of a session after logging in or refreshing.

    `refresh_token` is known only now. It is None if a parallel request has just rotated the token, because the
    new token is in the response to that request. `only_org` limits the session to one org. `second_factor` is
    True if a second factor was verified.
    """

    id: UUID
    user: User
    refresh_token: str | None
    only_org: UUID | None = None
    second_factor: bool = False
    ip: str | None = None


def begin(
    *,
    user: User,
    ip: str | None,
    user_agent: str,
    method: str = "password",
    second_factor: bool = False,
    only_org: UUID | None = None,
) -> Session:
    """Create a session of this user, who logged in by `method`.

    Raises SessionEnded if all sessions of the user were ended after `user` was read. An example is a login with
    the old password while the password is being changed.
    """
    with transaction.atomic():
        if proofs.lock_user(user.pk, user.proof_version) is None:
            raise SessionEnded
        family = RefreshFamily.objects.create(
            user=user,
            ip=ip,
            user_agent=names.clean_name(user_agent, max_length=200),
            method=method,
            second_factor_at=timezone.now() if second_factor else None,
            only_org=only_org,
        )
        return session_of_family(family, _add_token(family))


def session_of_family(family: RefreshFamily, token: str | None = None) -> Session:
    """Return the session of this row. `token` is its new refresh token, if there is one."""
    return Session(
        id=family.pk,
        user=family.user,
        refresh_token=token,
        only_org=family.only_org,
        second_factor=family.second_factor_at is not None,
        ip=family.ip,
    )


def refresh(token: str, *, ip: str | None = None) -> Session | None:
    """Rotate a refresh token. Returns None if it is unknown, expired, revoked or was already used.

    A token that was used within REFRESH_TOKEN_LEEWAY still gets its session, without a new token. Of any number of
    parallel calls with one token, exactly one gets the next token. The function returns None instead of raising, so
    that the caller's transaction commits the revocation after a replay.
    """
    with transaction.atomic():
        if _mark_token_used(token):
            family = _family_of_token(token)
            family.last_used_at, family.ip = timezone.now(), ip
            family.save(update_fields=["last_used_at", "ip"])
            return session_of_family(family, _add_token(family)) if _is_active(family) else None
        return _handle_second_use(token)


def active_sessions(user_id: UUID) -> QuerySet[RefreshFamily]:
    """Return the active sessions of a user."""
    usable_tokens = RefreshToken.objects.filter(
        family_id=OuterRef("pk"), used_at__isnull=True, expires_at__gt=timezone.now()
    )
    return RefreshFamily.objects.filter(
        Exists(usable_tokens), user_id=user_id, revoked_at__isnull=True
    )


def end(session_id: UUID, *, reason: str) -> None:
    """End one session: its refresh tokens, access tokens and open streams stop working at once."""
    _revoke_families(RefreshFamily.objects.filter(pk=session_id), reason)
    access.recheck_streams(session_id)


def end_own_session(user_id: UUID, session_id: UUID) -> bool:
    """End a session of this user. Returns whether the user has it."""
    if not active_sessions(user_id).filter(pk=session_id).exists():
        return False
    end(session_id, reason="ended by its owner")
    return True


def end_all(user_id: UUID, *, reason: str, keep_session: UUID | None = None) -> None:
    """End every session of a user except `keep_session`, and invalidate pending proofs."""
    proofs.invalidate_proofs(user_id)
    families = RefreshFamily.objects.filter(user_id=user_id)
    _revoke_families(families.exclude(pk=keep_session) if keep_session else families, reason)
    access.recheck_streams(user_id)


def end_single_sign_on_sessions(org_id: UUID, *, reason: str) -> None:
    """End the sessions that began with this org's own identity provider."""
    _revoke_families(RefreshFamily.objects.filter(only_org=org_id), reason)
    access.recheck_streams(org_id)


def _revoke_families(families: QuerySet[RefreshFamily], reason: str) -> None:
    families.filter(revoked_at__isnull=True).update(
        revoked_at=timezone.now(), revoked_reason=reason
    )


def end_by_token(token: str, *, reason: str) -> None:
    """End the session of this refresh token, if any."""
    row = RefreshToken.objects.filter(digest=_digest(token)).values_list("family_id").first()
    if row:
        end(row[0], reason=reason)


def delete_ended_sessions(before: datetime) -> None:
    """Delete sessions that ended, or whose last refresh token expired, before this time."""
    unexpired_tokens = RefreshToken.objects.filter(family_id=OuterRef("pk"), expires_at__gte=before)
    expired_families = RefreshFamily.objects.filter(
        ~Exists(unexpired_tokens), last_used_at__lt=before
    )
    expired_families.delete()
    RefreshFamily.objects.filter(revoked_at__lt=before).delete()


def _mark_token_used(token: str) -> bool:
    """Mark the token as used. Returns whether this call was the first use.

    Only one of several parallel calls is the first, because PostgreSQL checks the columns of this table again after
    waiting for a row lock. It does not check the subquery on families again, so callers must check the family.
    """
    now = timezone.now()
    active_families = RefreshFamily.objects.filter(
        pk=OuterRef("family_id"), revoked_at__isnull=True
    )
    unused_tokens = RefreshToken.objects.filter(
        Exists(active_families), digest=_digest(token), used_at__isnull=True, expires_at__gt=now
    )
    return unused_tokens.update(used_at=now) == 1


def _handle_second_use(token: str) -> Session | None:
    row = RefreshToken.objects.filter(digest=_digest(token), used_at__isnull=False).first()
    if row is None or row.used_at is None:
        return None
    if timezone.now() - row.used_at > settings.REFRESH_TOKEN_LEEWAY:
        end(row.family_id, reason="refresh token used twice")
        return None
    family = _family_of_token(token)
    return session_of_family(family) if _is_active(family) else None


def _is_active(family: RefreshFamily) -> bool:
    return family.revoked_at is None and family.user.is_active


def _family_of_token(token: str) -> RefreshFamily:
    return RefreshFamily.objects.select_related("user").get(tokens__digest=_digest(token))


def _add_token(family: RefreshFamily) -> str:
    token = secrets.token_urlsafe(32)
    RefreshToken.objects.create(
        family=family,
        digest=_digest(token),
        expires_at=timezone.now() + settings.REFRESH_TOKEN_LIFETIME,
    )
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
