"""Procrastinate tasks. Each task makes one call and is safe to run twice."""

from __future__ import annotations

import os
from uuid import UUID

from procrastinate.contrib.django import app

from apps.agent.turns import loop, queue, reconciler
from apps.background.identity import worker_name
from apps.background.registry import SYSTEM_QUEUE


@app.task(name=queue.RUN_TURN, queue=queue.AGENT)
def run_turn(*, org_id: str, turn_id: str) -> None:
    loop.run_turn(UUID(org_id), UUID(turn_id), worker_name(os.getpid()))


@app.task(name=queue.IMPORT_PACKAGES, queue=queue.AGENT)
def import_packages() -> None:
    loop.import_packages()


@app.periodic(cron="* * * * * */5")
@app.task(name="agent.reconcile", queue=SYSTEM_QUEUE, queueing_lock="agent.reconcile")
def reconcile(timestamp: int) -> None:
    reconciler.reconcile()
