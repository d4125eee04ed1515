"""What the worker process does for this app."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from apps.auth import factors, mail, sessions
from apps.auth.models import LoginAttempt, MailedLink, StreamTicket
from apps.background.registry import Queue, add_queue, swept

LOGINS_KEPT = timedelta(days=1)
SESSIONS_KEPT = timedelta(days=30)

add_queue(Queue(mail.QUEUE, places=2, handed_on=True))


@swept
def forget() -> None:
    """What has expired and proves nothing any more."""
    now = timezone.now()
    StreamTicket.objects.filter(expires_at__lt=now).delete()
    LoginAttempt.objects.filter(at__lt=now - LOGINS_KEPT).delete()
    MailedLink.objects.filter(expires_at__lt=now).delete()
    factors.forget_old_challenges(now)
    sessions.forget_dead(now - SESSIONS_KEPT)
