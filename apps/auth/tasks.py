"""Procrastinate tasks that send mail. They are retried for about two hours if the mail server is not available."""

from __future__ import annotations

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from apps.auth.mailing import links, mail
from apps.auth.mailing.links import Purpose

# The waits between the attempts are 2, 4, 8 ... seconds.
RETRY_FOR_TWO_HOURS = RetryStrategy(max_attempts=12, exponential_wait=2)


@app.task(name=mail.LINK_TASK, queue=mail.QUEUE, retry=RETRY_FOR_TWO_HOURS)
def mail_link(*, user_id: str, purpose: str, email: str, version: int = 1) -> None:
    """Mail a link. `version` is the user's `proof_version`; jobs of older releases do not have it."""
    links.deliver(user_id=user_id, purpose=Purpose(purpose), email=email, version=version)


@app.task(name=mail.NOTICE_TASK, queue=mail.QUEUE, retry=RETRY_FOR_TWO_HOURS)
def mail_notice(*, email: str, template: str) -> None:
    """Send a notice without a link."""
    mail.send(email, template, email=email)
