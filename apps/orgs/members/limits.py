"""Limit the number of an org's members. Its other limits are checked where the objects are created."""

from __future__ import annotations

from django.utils import timezone

from apps.auth.models import User
from apps.orgs.exceptions import LimitReached
from apps.orgs.models import Invitation, Membership, Org


def require_room_for_members(org: Org, *, besides: Invitation | None = None) -> None:
    """Raise LimitReached unless one more member fits, counting all invitations `besides` this one."""
    if org.max_members is None:
        return
    people = Membership.objects.for_org(org).filter(user__kind=User.Kind.PERSON).count()
    opened = Invitation.objects.for_org(org).open().filter(expires_at__gt=timezone.now())
    if besides is not None:
        opened = opened.exclude(pk=besides.pk)
    if people + opened.count() >= org.max_members:
        raise LimitReached("members", org.max_members)
