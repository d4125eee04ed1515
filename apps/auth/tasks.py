"""What Procrastinate calls to send mail. A mail server that is away is tried again for a day."""

from __future__ import annotations

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from apps.auth.mailing import links, mail
from apps.auth.mailing.links import Purpose

PATIENTLY = RetryStrategy(max_attempts=12, exponential_wait=2)  # seconds: 2, 4 ... over an hour


@app.task(name=mail.LINK, queue=mail.QUEUE, retry=PATIENTLY)
def mail_link(*, user_id: str, purpose: str, email: str, version: int = 1) -> None:
    """`version` says what the link would prove; jobs of older releases have none."""
    links.deliver(user_id=user_id, purpose=Purpose(purpose), email=email, version=version)


@app.task(name=mail.NOTICE, queue=mail.QUEUE, retry=PATIENTLY)
def mail_notice(*, email: str, template: str) -> None:
    """A notice without a link."""
    mail.send(email, template, email=email)
