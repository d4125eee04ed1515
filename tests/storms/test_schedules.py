"""Many schedules due at once while workers are killed: every scheduled time is run once, to its end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.pipelines.models import Schedule
from apps.runs.models import Run
from tests.storms.stage import Stage

pytestmark = pytest.mark.long
AT_ONCE = 20


def plan(stage: Stage) -> None:
    """Pipelines that are due now."""
    due = timezone.now() - timedelta(seconds=5)
    for _ in range(AT_ONCE):
        pipeline = stage.pipeline()
        with stage.world.scope():
            Schedule.unscoped.create(
                org=stage.world.org, pipeline=pipeline, interval_seconds=86_400, next_run_at=due
            )


def scheduled(stage: Stage, seen: set[object]) -> list[Run]:
    with stage.world.scope():
        runs = Run.objects.for_org(stage.world.org).filter(trigger="schedule")
        return [run for run in runs.select_related("pipeline") if run.pk not in seen]


def test_scheduled_while_workers_are_killed(stage: Stage, rounds: range) -> None:
    stage.wanted = 3
    seen: set[object] = set()
    for _ in rounds:
        stage.api.hold()
        for _ in range(2):  # a third death fails a run
            stage.api.at(stage.moment(runs=AT_ONCE), lambda: stage.kill(stage.a_worker))
        plan(stage)
        stage.wait(lambda: len(scheduled(stage, seen)) >= AT_ONCE, "every slot's run")
        for run in scheduled(stage, seen):
            stage.expect(run.pk, run.pipeline)
        assert {run["status"] for run in stage.settle()} == {"succeeded"}
        runs = scheduled(stage, seen)
        assert len({(run.schedule_id, run.slot) for run in runs}) == len(runs) == AT_ONCE
        seen.update(run.pk for run in runs)
