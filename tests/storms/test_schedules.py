"""Kill workers while many schedules are due. Every slot runs once and succeeds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.pipelines.models import Schedule
from apps.runs.models import Run
from tests.storms.stage import Stage

pytestmark = pytest.mark.long
PIPELINE_COUNT = 20


def create_due_pipelines(stage: Stage) -> None:
    """Create pipelines whose schedules are due now."""
    due_at = timezone.now() - timedelta(seconds=5)
    for _ in range(PIPELINE_COUNT):
        pipeline = stage.create_pipeline()
        with stage.world.scope():
            Schedule.unscoped.create(
                org=stage.world.org, pipeline=pipeline, interval_seconds=86_400, next_run_at=due_at
            )


def scheduled_runs(stage: Stage, earlier_run_ids: set[object]) -> list[Run]:
    with stage.world.scope():
        runs = Run.objects.for_org(stage.world.org).filter(trigger="schedule")
        return [run for run in runs.select_related("pipeline") if run.pk not in earlier_run_ids]


def test_every_slot_runs_once_although_workers_are_killed(stage: Stage, rounds: range) -> None:
    stage.worker_count = 3
    earlier_run_ids: set[object] = set()
    for _ in rounds:
        stage.api.hold_responses()
        for _ in range(2):  # not three, because a run fails after three crashed attempts
            stage.api.call_at_request(
                stage.random_request_number(runs=PIPELINE_COUNT),
                lambda: stage.kill_process(stage.choose_worker),
            )
        create_due_pipelines(stage)
        stage.wait_until(
            lambda: len(scheduled_runs(stage, earlier_run_ids)) >= PIPELINE_COUNT,
            "the runs of all slots",
        )
        for run in scheduled_runs(stage, earlier_run_ids):
            stage.add_run(run.pk, run.pipeline)
        assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}
        runs = scheduled_runs(stage, earlier_run_ids)
        assert len({(run.schedule_id, run.slot) for run in runs}) == len(runs) == PIPELINE_COUNT
        earlier_run_ids.update(run.pk for run in runs)
