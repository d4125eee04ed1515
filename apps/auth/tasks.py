"""What Procrastinate calls to send mail. A mail server that is away is tried again for a day."""

from __future__ import annotations

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from apps.auth import links, mail
from apps.auth.exceptions import LinkSpent
from apps.auth.models import MailedLink, User

PATIENTLY = RetryStrategy(max_attempts=12, exponential_wait=2)  # seconds: 2, 4 ... over an hour

PAGES = {
    MailedLink.Purpose.VERIFY: "verify-email",
    MailedLink.Purpose.CHANGE: "verify-email",
    MailedLink.Purpose.RESET: "reset-password",
}


@app.task(name=mail.LINK, queue=mail.QUEUE, retry=PATIENTLY)
def mail_link(*, user_id: str, purpose: str, email: str, version: int = 1) -> None:
    """A link for this user, or nothing when there is none, or what it would prove has changed since it was asked for
    (`version`; jobs of older releases have none)."""
    alive = User.objects.filter(is_active=True, proof_version=version)
    user = alive.filter(pk=user_id).first() if user_id else None
    if user is None:
        return
    wanted = MailedLink.Purpose(purpose)
    if wanted is MailedLink.Purpose.VERIFY and user.email_verified_at is not None:
        return
    try:
        link = mail.page(PAGES[wanted], links.issue(user, wanted, email))
    except LinkSpent:
        return
    hours = int(links.LIFETIMES[wanted].total_seconds() // 3600)
    mail.send(email, wanted.value, link=link, hours=hours)


@app.task(name=mail.NOTICE, queue=mail.QUEUE, retry=PATIENTLY)
def mail_notice(*, email: str, template: str) -> None:
    """A notice without a link."""
    mail.send(email, template, email=email)
