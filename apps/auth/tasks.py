"""Procrastinate tasks that send mail. They are retried for a day if the mail server is not available."""

from __future__ import annotations

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from apps.auth.mailing import links, mail
from apps.auth.mailing.links import Purpose

PATIENTLY = RetryStrategy(max_attempts=12, exponential_wait=2)  # seconds: 2, 4 ... over an hour


@app.task(name=mail.LINK, queue=mail.QUEUE, retry=PATIENTLY)
def mail_link(*, user_id: str, purpose: str, email: str, version: int = 1) -> None:
    """`version` identifies the state that the link proves; jobs of older releases have none."""
    links.deliver(user_id=user_id, purpose=Purpose(purpose), email=email, version=version)


@app.task(name=mail.NOTICE, queue=mail.QUEUE, retry=PATIENTLY)
def mail_notice(*, email: str, template: str) -> None:
    """Send a notice without a link."""
    mail.send(email, template, email=email)
