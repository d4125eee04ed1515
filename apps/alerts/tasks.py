"""Procrastinate tasks. Each task makes one call and is safe to run twice."""

from __future__ import annotations

from uuid import UUID

from procrastinate.contrib.django import app

from apps.alerts.deciding import by_subject, by_time, undecided
from apps.alerts.follow_ups import calls
from apps.alerts.installation import heartbeat
from apps.alerts.sending import delivering, incidents, queue
from apps.alerts.snoozing import releasing
from apps.background.registry import SYSTEM_QUEUE


@app.task(name=queue.DELIVER_TASK, queue=queue.QUEUE)
def deliver(*, org_id: str, channel_id: str) -> None:
    delivering.deliver(org_id=UUID(org_id), channel_id=UUID(channel_id))


@app.task(name=calls.CALL_TASK, queue=calls.QUEUE)
def call_follow_ups(*, org_id: str) -> None:
    calls.make_due(org_id=UUID(org_id))


@app.periodic(cron="* * * * * */5")
@app.task(name="alerts.tick", queue=SYSTEM_QUEUE, queueing_lock="alerts.tick")
def tick(timestamp: int) -> None:
    delivering.tick()


@app.periodic(cron="* * * * * */5")
@app.task(name="alerts.follow_up", queue=SYSTEM_QUEUE, queueing_lock="alerts.follow_up")
def follow_up(timestamp: int) -> None:
    calls.tick()


@app.periodic(cron="* * * * *")
@app.task(name="alerts.decide", queue=SYSTEM_QUEUE, queueing_lock="alerts.decide")
def decide(timestamp: int) -> None:
    undecided.tick()


@app.periodic(cron="* * * * *")
@app.task(name="alerts.watch", queue=SYSTEM_QUEUE, queueing_lock="alerts.watch")
def watch(timestamp: int) -> None:
    by_time.tick()


@app.periodic(cron="* * * * *")
@app.task(name="alerts.watch_subjects", queue=SYSTEM_QUEUE, queueing_lock="alerts.watch_subjects")
def watch_subjects(timestamp: int) -> None:
    by_subject.tick()


@app.periodic(cron="* * * * *")
@app.task(name="alerts.end_snoozes", queue=SYSTEM_QUEUE, queueing_lock="alerts.end_snoozes")
def end_snoozes(timestamp: int) -> None:
    releasing.tick()


@app.periodic(cron="* * * * *")
@app.task(name="alerts.end_incidents", queue=SYSTEM_QUEUE, queueing_lock="alerts.end_incidents")
def end_incidents(timestamp: int) -> None:
    incidents.tick()


@app.periodic(cron="* * * * *")
@app.task(name="alerts.heartbeat", queue=SYSTEM_QUEUE, queueing_lock="alerts.heartbeat")
def beat(timestamp: int) -> None:
    heartbeat.beat()
