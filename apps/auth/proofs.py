"""Invalidate pending proofs about a user: mailed links, challenges, stream tickets.

They stop working as soon as the account changes: its address, password, second factors, linked providers or
sessions. Proofs outside these tables, such as jobs of the queue or signed cookies, contain the user's
`proof_version`, which is compared when they are used.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import F

from apps.auth.models import Challenge, MailedLink, StreamTicket, User


def forget(user_id: UUID) -> None:
    """Invalidate all pending proofs of this user. Call it in the transaction of the change."""
    User.objects.filter(pk=user_id).update(proof_version=F("proof_version") + 1)
    MailedLink.objects.filter(user_id=user_id).delete()
    Challenge.objects.filter(user_id=user_id).delete()
    StreamTicket.objects.filter(claims__user_id=str(user_id)).delete()


def hold(user_id: UUID, version: int) -> User | None:
    """Return the active user, locked until the transaction ends, so that nothing changes between a check and its
    effect.

    Returns None if proofs were invalidated since `version`.
    """
    alive = User.objects.filter(pk=user_id, is_active=True, proof_version=version)
    return alive.select_for_update(no_key=True).first()
