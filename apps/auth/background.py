"""Register what the worker process runs for this app."""

from __future__ import annotations

from apps.auth import expiry
from apps.auth.mailing import mail
from apps.background.registry import Queue, add_queue, swept

add_queue(Queue(mail.QUEUE, slots=2, handed_on=True))


swept(expiry.delete_expired)
