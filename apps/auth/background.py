"""Register what the worker process runs for this app."""

from __future__ import annotations

from apps.auth import expiry
from apps.auth.mailing import mail
from apps.background.registry import Queue, add_queue, add_sweep

add_queue(Queue(mail.QUEUE, concurrency=2, retries_lost_jobs=True))


add_sweep(expiry.delete_expired)
