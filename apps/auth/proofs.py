"""Invalidate pending proofs about a user: mailed links, challenges, stream tickets.

Pending proofs become invalid when the address, password, second factors, linked providers or sessions of the account
change. Proofs outside these tables, such as jobs and signed cookies, contain the user's `proof_version`. It is
compared with the current version when such a proof is used.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import F

from apps.auth.models import Challenge, MailedLink, StreamTicket, User


def invalidate_proofs(user_id: UUID) -> None:
    """Invalidate all pending proofs of this user. Call it in the transaction of the change."""
    User.objects.filter(pk=user_id).update(proof_version=F("proof_version") + 1)
    MailedLink.objects.filter(user_id=user_id).delete()
    Challenge.objects.filter(user_id=user_id).delete()
    StreamTicket.objects.filter(claims__user_id=str(user_id)).delete()


def lock_user(user_id: UUID, proof_version: int) -> User | None:
    """Lock the user until the transaction ends, and return the user.

    Returns None if the user is not active, or if the proofs of this version were invalidated.
    """
    active_users = User.objects.filter(pk=user_id, is_active=True, proof_version=proof_version)
    return active_users.select_for_update(no_key=True).first()
