"""Ten thousand runs fail in a minute: a channel gets a few messages, and each event is in the log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from apps.alerts.models import Delivery
from apps.auth.models import new_id
from apps.pipelines.models import Pipeline
from apps.runs import states
from apps.runs.models import Run, Status
from tests.alerts.conftest import add_webhook, deliver
from tests.alerts.receiver import Receiver
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


def fail_run(world: World, run_id: UUID, at: datetime) -> None:
    with world.scope():
        assert states.move(
            org_id=world.org.pk,
            run_id=run_id,
            before=Status.RUNNING,
            after=Status.FAILED,
            finished_at=at,
            failure_class="source",
            failure_message="The source is away.",
            failure_retryable=True,
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
            fail_run(world, run_id, now)
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
