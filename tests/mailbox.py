"""Run the jobs of the queue `mail` immediately, and extract the links of the sent mails."""

from __future__ import annotations

import re

from django.core import mail
from django.db import connection
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.auth.mailing.mail import QUEUE

LINK = re.compile(r"https?://\S+/(?P<page>[\w-]+)#(?P<secret>\S+)")


def waiting_jobs() -> list[ProcrastinateJob]:
    return list(ProcrastinateJob.objects.filter(queue_name=QUEUE, status="todo").order_by("id"))


def deliver() -> list[mail.EmailMessage]:
    """Run the waiting jobs and return the new messages."""
    count_before = len(mail.outbox)
    for job in waiting_jobs():
        app.tasks[job.task_name].func(**job.args)
        with connection.cursor() as cursor:  # Procrastinate's model is read-only
            cursor.execute("DELETE FROM procrastinate_jobs WHERE id = %s", [job.pk])
    return mail.outbox[count_before:]


def read_link(message: mail.EmailMessage) -> tuple[str, str]:
    """Return the page and the secret of the only link in a message."""
    (match,) = LINK.finditer(str(message.body))
    return match["page"], match["secret"]
