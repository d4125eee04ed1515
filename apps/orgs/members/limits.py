"""Limit the number of an org's members. The org's other limits are checked where the objects are created."""

from __future__ import annotations

from django.utils import timezone

from apps.auth.models import User
from apps.orgs.exceptions import LimitReached
from apps.orgs.models import Invitation, Membership, Org


def require_room_for_members(org: Org, *, except_invitation: Invitation | None = None) -> None:
    """Raise LimitReached unless the org may have one more member.

    Valid invitations count as members, except `except_invitation`. Service accounts do not count.
    """
    if org.max_members is None:
        return
    person_count = Membership.objects.for_org(org).filter(user__kind=User.Kind.PERSON).count()
    pending = Invitation.objects.for_org(org).unaccepted().filter(expires_at__gt=timezone.now())
    if except_invitation is not None:
        pending = pending.exclude(pk=except_invitation.pk)
    if person_count + pending.count() >= org.max_members:
        raise LimitReached("members", org.max_members)
