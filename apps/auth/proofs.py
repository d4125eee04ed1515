"""What is on its way to someone and will prove something about them: links by mail, challenges, stream tickets.

All of it stops working as soon as what it would prove has changed: the address, the password, a second factor, a
provider that vouches, or who is logged in. What is kept outside these tables, as a job of the queue or a signed
cookie, carries the user's `proof_version` and is compared with it when it comes back.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import F

from apps.auth.models import Challenge, MailedLink, StreamTicket, User


def forget(user_id: UUID) -> None:
    """Nothing that is on its way to this user works any more. Call it in the transaction of the change."""
    User.objects.filter(pk=user_id).update(proof_version=F("proof_version") + 1)
    MailedLink.objects.filter(user_id=user_id).delete()
    Challenge.objects.filter(user_id=user_id).delete()
    StreamTicket.objects.filter(claims__user_id=str(user_id)).delete()


def hold(user_id: UUID, version: int) -> User | None:
    """The active user, locked until the transaction ends, so that nothing can change between a check and its
    effect; None when something was forgotten since `version`."""
    alive = User.objects.filter(pk=user_id, is_active=True, proof_version=version)
    return alive.select_for_update(no_key=True).first()
