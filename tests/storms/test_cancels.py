"""Cancel runs at a random page. They end within seconds and publish no rows. A retry publishes every row once."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from apps.background.retries import retry_while_unavailable
from apps.orgs.principals import SYSTEM
from apps.runs import services
from apps.runs.models import Run
from tests.storms.stage import Stage

pytestmark = pytest.mark.long
RUN_COUNT = 10
MAX_CANCEL_TIME = timedelta(seconds=30)  # the limit is ten seconds, but the machine may be busy


def get_run(stage: Stage, run_id: UUID) -> Any:
    with stage.world.scope():
        return Run.objects.for_org(stage.world.org).get(pk=run_id)


def cancel_run(stage: Stage, run_ids: dict[str, UUID], name: str, is_silent: bool) -> None:
    """Cancel the run. Repeat the request while the database is unavailable, as a client does.

    If `is_silent`, the source stops responding first, so that the run cannot end before it is cancelled.
    """
    if is_silent:
        stage.api.stop_responding_to(name)
    run = get_run(stage, run_ids[name])
    retry_while_unavailable(partial(request_cancel, stage, run), give_up=threading.Event())
    connection.close()


def request_cancel(stage: Stage, run: Any) -> None:
    with stage.world.scope():
        services.cancel(org=stage.world.org, by=SYSTEM, run_id=run.pk)


def test_runs_cancelled_at_random_request_numbers_publish_nothing_until_they_are_retried(
    stage: Stage, rounds: range
) -> None:
    for _ in rounds:
        run_ids: dict[str, UUID] = {}  # by pipeline name
        pipelines = [
            stage.create_pipeline("custom" if n % 5 == 0 else "rest") for n in range(RUN_COUNT)
        ]
        for n, pipeline in enumerate(pipelines):
            action = partial(cancel_run, stage, run_ids, pipeline.name, n % 2 == 0)
            stage.api.call_at_request(stage.random_request_number(), action, reader=pipeline.name)
            run_ids[pipeline.name] = stage.start_run(pipeline)
        ended_runs = stage.wait_and_check_runs()

        counts_before = stage.api.request_counts.copy()
        for ended_run in ended_runs:
            run = get_run(stage, ended_run["id"])
            assert run.cancel_requested_at is not None
            assert run.finished_at - run.cancel_requested_at < MAX_CANCEL_TIME
        cancelled_ids = [run["id"] for run in ended_runs if run["status"] == "cancelled"]
        assert len(cancelled_ids) >= RUN_COUNT // 2, "runs with a silent source were not cancelled"
        assert stage.api.request_counts == counts_before, "a cancelled run requested another page"
        stage.api.resume_responding()
        retry_all(stage, [get_run(stage, run_id) for run_id in cancelled_ids])


def retry_all(stage: Stage, runs: list[Any]) -> None:
    for run in runs:
        with stage.world.scope():
            services.retry(org=stage.world.org, by=SYSTEM, run_id=run.pk)
            stage.add_run(run.pk, run.pipeline)
    assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}
