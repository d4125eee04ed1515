"""Ten thousand runs fail in a minute: a channel gets a few messages, and each event is in the log."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from apps.alerts.kinds import pagerduty
from apps.alerts.models import Delivery
from apps.auth.models import new_id
from apps.pipelines.models import Pipeline
from apps.runs import states
from apps.runs.models import Run, Status
from tests.alerts.conftest import CHANNELS, add_rule, add_webhook, deliver
from tests.alerts.receiver import Receiver, Reply
from tests.world import World, make_pipeline

STEPS = 12  # of 5 seconds, the interval of the tick
MOST_MESSAGES = 20


def make_pipelines(world: World, count: int) -> list[UUID]:
    """Copy a pipeline, as fast as the database inserts rows."""
    first = make_pipeline(world)
    with world.scope():
        columns = Pipeline.objects.for_org(world.org).values().get(pk=first.pk)
        copied: dict[str, Any] = {**columns}
        names = (f"Pipeline {number}" for number in range(count))
        rows = [Pipeline(**{**copied, "id": new_id(), "name": name}) for name in names]
        return [row.pk for row in Pipeline.unscoped.bulk_create(rows, batch_size=1000)]


def start_runs(world: World, pipeline_ids: list[UUID]) -> list[UUID]:
    now = timezone.now()
    with world.scope():
        rows = [
            Run(
                org=world.org,
                pipeline_id=pipeline_id,
                version=1,
                status=Status.RUNNING,
                trigger="schedule",
                attempt=3,
                lease=uuid4(),
                lease_until=now + timedelta(hours=1),
                started_at=now,
            )
            for pipeline_id in pipeline_ids
        ]
        return [row.pk for row in Run.unscoped.bulk_create(rows, batch_size=1000)]


def end_run(world: World, run_id: UUID, status: Status, at: datetime) -> None:
    failure: dict[str, Any] = {
        "failure_class": "source",
        "failure_message": "The source is away.",
        "failure_retryable": True,
    }
    with world.scope():
        assert states.move(
            org_id=world.org.pk,
            run_id=run_id,
            before=Status.RUNNING,
            after=status,
            finished_at=at,
            **(failure if status == Status.FAILED else {}),
        )


@pytest.mark.parametrize("count", [60, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_burst_of_failures_is_a_few_messages_and_loses_no_event(
    world: World,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    channel = add_webhook(world, receiver)
    run_ids = start_runs(world, make_pipelines(world, count))
    now = timezone.now() + timedelta(hours=1)  # after the times that the database has set
    monkeypatch.setattr(timezone, "now", lambda: now)
    for step in range(STEPS):
        for run_id in run_ids[step::STEPS]:
            end_run(world, run_id, Status.FAILED, now)
        now += timedelta(seconds=5)
        deliver(world, channel)
    for _ in range(STEPS * 2):
        now += timedelta(seconds=5)
        deliver(world, channel)
    counts = [message["count"] for message in receiver.messages]
    with world.scope():
        log = Delivery.objects.for_org(world.org).filter(channel_id=channel)
        states_of = set(log.values_list("state", flat=True))
        told = {str(pk) for pk in log.values_list("pipeline_id", flat=True)}
    assert sum(counts) == len(told) == count
    assert states_of == {"sent"}
    assert len(counts) <= MOST_MESSAGES


@pytest.mark.parametrize("count", [60, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_burst_is_a_few_incidents_that_are_open_until_all_their_alerts_have_recovered(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, count: int, seed: int
) -> None:
    """Runs fail in a random order within a minute, and recover in another one. Some requests fail too."""
    chance = random.Random(seed)
    monkeypatch.setitem(pagerduty.ADDRESSES, "events.pagerduty.com", receiver.url)
    channel = add_pagerduty(world)
    pipeline_ids = make_pipelines(world, count)
    now = timezone.now() + timedelta(hours=1)
    monkeypatch.setattr(timezone, "now", lambda: now)

    def end_all(status: Status) -> None:
        nonlocal now
        run_ids = start_runs(world, pipeline_ids)
        chance.shuffle(run_ids)
        for step in range(STEPS):
            for run_id in run_ids[step::STEPS]:
                end_run(world, run_id, status, now)
            now += timedelta(seconds=5)
            receiver.replies = [Reply(500)] if chance.random() < 0.2 else []
            deliver(world, channel)
            assert_open_incidents_have_open_alerts()
        receiver.replies = []
        for _ in range(STEPS * 4):
            now += timedelta(seconds=5)
            deliver(world, channel)

    def assert_open_incidents_have_open_alerts() -> None:
        """An incident is resolved only after all its alerts have recovered."""
        with world.scope():
            rows = Delivery.objects.for_org(world.org).filter(channel_id=channel, kind="opened")
            still_open = rows.filter(alert__closed_at=None, state="sent")
            keys = set(still_open.values_list("message_id", "alert_id"))
        resolved = {UUID(key) for key, is_open in incidents(receiver).items() if not is_open}
        assert not [pair for pair in keys if resolved & set(pair)]

    end_all(Status.FAILED)
    assert len(incidents(receiver)) <= len(receiver.requests) <= MOST_MESSAGES
    assert all(incidents(receiver).values())
    end_all(Status.SUCCEEDED)
    assert len(receiver.requests) <= 2 * MOST_MESSAGES
    assert not any(incidents(receiver).values())
    with world.scope():
        log = Delivery.objects.for_org(world.org).filter(channel_id=channel)
        events = set(log.values_list("pipeline_id", "kind"))
        left = log.exclude(state="sent").exclude(state="skipped", problem__gt="")
        assert not left.exists()
    assert events == {(pk, kind) for pk in pipeline_ids for kind in ("opened", "closed")}


def add_pagerduty(world: World) -> UUID:
    settings = {"routing_key": "e93facc04764012d7bfb002500d5d1a6"}
    body = {"name": "Pager", "kind": "pagerduty", "settings": settings}
    created = world.client().post(CHANNELS, body)
    assert created.status_code == 201, created.content
    add_rule(world, created.json()["id"])
    return UUID(created.json()["id"])


def incidents(receiver: Receiver) -> dict[str, bool]:
    """Return whether each incident is open, by the last request about it."""
    bodies = receiver.messages
    return {body["dedup_key"]: body["event_action"] == "trigger" for body in bodies}
