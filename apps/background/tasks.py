"""Procrastinate tasks shared by all apps."""

from __future__ import annotations

from procrastinate.contrib.django import app

from apps.background import sweeping
from apps.background.registry import SYSTEM_QUEUE

SWEEP = "runs.sweep"  # an old name, because waiting jobs of older releases use it


@app.periodic(cron="17 * * * *")
@app.task(name=SWEEP, queue=SYSTEM_QUEUE, queueing_lock=SWEEP)
def sweep(timestamp: int) -> None:
    sweeping.sweep()
