"""Procrastinate tasks shared by all apps."""

from __future__ import annotations

from procrastinate.contrib.django import app

from apps.background import sweeping
from apps.background.registry import SYSTEM_QUEUE

# An old name. It stays, because waiting jobs of older releases use it.
SWEEP = "runs.sweep"


@app.periodic(cron="17 * * * *")
@app.task(name=SWEEP, queue=SYSTEM_QUEUE, queueing_lock=SWEEP)
def sweep(timestamp: int) -> None:
    """Delete expired data once an hour."""
    sweeping.sweep()
