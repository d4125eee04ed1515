"""Delete expired credentials, links and attempts."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from apps.auth import factors, sessions
from apps.auth.models import LoginAttempt, MailedLink, StreamTicket

LOGIN_ATTEMPT_RETENTION = timedelta(days=1)
SESSION_RETENTION = timedelta(days=30)


def delete_expired() -> None:
    """Delete all expired rows of this app."""
    now = timezone.now()
    StreamTicket.objects.filter(expires_at__lt=now).delete()
    LoginAttempt.objects.filter(at__lt=now - LOGIN_ATTEMPT_RETENTION).delete()
    MailedLink.objects.filter(expires_at__lt=now).delete()
    factors.delete_expired_challenges(now)
    sessions.delete_ended_sessions(now - SESSION_RETENTION)
