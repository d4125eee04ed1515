"""What Procrastinate calls for everybody."""

from __future__ import annotations

from procrastinate.contrib.django import app

from apps.background import sweeping
from apps.background.registry import SYSTEM

SWEEP = (
    "runs.sweep"  # the name it has had from the beginning: jobs of an older release wait under it
)


@app.periodic(cron="17 * * * *")
@app.task(name=SWEEP, queue=SYSTEM, queueing_lock=SWEEP)
def sweep(timestamp: int) -> None:
    sweeping.sweep()
