"""Sessions: a login on one device, kept alive by refresh tokens that are each used once.

If a token is used a second time, it was probably copied, and the whole family ends, including the copy. A second
use within a short leeway is allowed (two tabs at the same time, a lost response).
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

    `refresh_token` is shown only once; None if a parallel request has just rotated it: the
    new token is in the response to that request.
    `only_org` limits the session to one org; `second_factor` tells whether one was verified.
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

    Raises SessionEnded if all sessions were ended since `user` was read: for example a
    login with the old password while the password is being changed.
    """
    with transaction.atomic():
        if proofs.hold(user.pk, user.proof_version) is None:
            raise SessionEnded
        family = RefreshFamily.objects.create(
            user=user,
            ip=ip,
            user_agent=names.cleaned(user_agent, longest=200),
            method=method,
            second_factor_at=timezone.now() if second_factor else None,
            only_org=only_org,
        )
        return of(family, _add_token(family))


def of(family: RefreshFamily, token: str | None = None) -> Session:
    """Return the session of a row."""
    return Session(
        id=family.pk,
        user=family.user,
        refresh_token=token,
        only_org=family.only_org,
        second_factor=family.second_factor_at is not None,
        ip=family.ip,
    )


def refresh(token: str, *, ip: str | None = None) -> Session | None:
    """Rotate a refresh token; None if it is unknown, expired, revoked or was already used.

    Of any number of parallel calls with one token, exactly one gets the next token. It returns None instead of
    raising, so that the revocation after a replay is committed by the caller's transaction.
    """
    with transaction.atomic():
        if _spend(token):
            family = _family_of(token)
            family.last_used_at, family.ip = timezone.now(), ip
            family.save(update_fields=["last_used_at", "ip"])
            return of(family, _add_token(family)) if _alive(family) else None
        return _second_use(token)


def alive_of(user_id: UUID) -> QuerySet[RefreshFamily]:
    """Return the active sessions of a user."""
    usable = RefreshToken.objects.filter(
        family_id=OuterRef("pk"), used_at__isnull=True, expires_at__gt=timezone.now()
    )
    return RefreshFamily.objects.filter(Exists(usable), user_id=user_id, revoked_at__isnull=True)


def end(session_id: UUID, *, reason: str) -> None:
    """End one session: its refresh tokens, access tokens and open streams stop working at once."""
    _end(RefreshFamily.objects.filter(pk=session_id), reason)
    access.changed(session_id)


def end_own(user_id: UUID, session_id: UUID) -> bool:
    """End a session of this user. Returns whether the user has it."""
    if not alive_of(user_id).filter(pk=session_id).exists():
        return False
    end(session_id, reason="ended by its owner")
    return True


def end_all(user_id: UUID, *, reason: str, but: UUID | None = None) -> None:
    """End every session of a user, except `but`, as `end` does, and invalidate pending proofs."""
    proofs.forget(user_id)
    families = RefreshFamily.objects.filter(user_id=user_id)
    _end(families.exclude(pk=but) if but else families, reason)
    access.changed(user_id)


def end_of_org(org_id: UUID, *, reason: str) -> None:
    """End the sessions that began with this org's own identity provider."""
    _end(RefreshFamily.objects.filter(only_org=org_id), reason)
    access.changed(org_id)


def _end(families: QuerySet[RefreshFamily], reason: str) -> None:
    families.filter(revoked_at__isnull=True).update(
        revoked_at=timezone.now(), revoked_reason=reason
    )


def end_by_token(token: str, *, reason: str) -> None:
    """End the session of this refresh token, if any."""
    row = RefreshToken.objects.filter(digest=_digest(token)).values_list("family_id").first()
    if row:
        end(row[0], reason=reason)


def forget_dead(before: datetime) -> None:
    """Delete sessions that ended, or whose last refresh token expired, before this time."""
    alive = RefreshToken.objects.filter(family_id=OuterRef("pk"), expires_at__gte=before)
    unused = RefreshFamily.objects.filter(~Exists(alive), last_used_at__lt=before)
    unused.delete()
    RefreshFamily.objects.filter(revoked_at__lt=before).delete()


def _spend(token: str) -> bool:
    """Mark the token as used; returns whether this call was the first.

    Only one of several calls is the first: after waiting for a row lock, PostgreSQL checks the columns of this
    table again. The subquery on families is not checked again, so callers look at the family afterwards.
    """
    now = timezone.now()
    alive = RefreshFamily.objects.filter(pk=OuterRef("family_id"), revoked_at__isnull=True)
    unused = RefreshToken.objects.filter(
        Exists(alive), digest=_digest(token), used_at__isnull=True, expires_at__gt=now
    )
    return unused.update(used_at=now) == 1


def _second_use(token: str) -> Session | None:
    row = RefreshToken.objects.filter(digest=_digest(token), used_at__isnull=False).first()
    if row is None or row.used_at is None:
        return None
    if timezone.now() - row.used_at > settings.REFRESH_TOKEN_LEEWAY:
        end(row.family_id, reason="refresh token used twice")
        return None
    family = _family_of(token)
    return of(family) if _alive(family) else None


def _alive(family: RefreshFamily) -> bool:
    return family.revoked_at is None and family.user.is_active


def _family_of(token: str) -> RefreshFamily:
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
