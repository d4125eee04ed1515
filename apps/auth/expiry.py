"""Delete expired credentials, links and attempts."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from apps.auth import factors, sessions
from apps.auth.models import LoginAttempt, MailedLink, StreamTicket

LOGINS_KEPT = timedelta(days=1)
SESSIONS_KEPT = timedelta(days=30)


def forget() -> None:
    """Delete everything that has expired."""
    now = timezone.now()
    StreamTicket.objects.filter(expires_at__lt=now).delete()
    LoginAttempt.objects.filter(at__lt=now - LOGINS_KEPT).delete()
    MailedLink.objects.filter(expires_at__lt=now).delete()
    factors.forget_old_challenges(now)
    sessions.forget_dead(now - SESSIONS_KEPT)
