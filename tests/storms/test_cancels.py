"""Runs cancelled at random pages: they end within seconds, no rows are published, and a retry delivers every row
once.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from apps.background.patience import retry_while_unavailable
from apps.orgs.principals import SYSTEM
from apps.runs import services
from apps.runs.models import Run
from tests.storms.stage import Stage

pytestmark = pytest.mark.long
AT_ONCE = 10
BOUND = timedelta(seconds=30)  # ten are promised; the machine may be busy


def run_of(stage: Stage, run_id: UUID) -> Any:
    with stage.world.scope():
        return Run.objects.for_org(stage.world.org).get(pk=run_id)


def cancel(stage: Stage, runs: dict[str, UUID], name: str, silent: bool) -> None:
    """Retry as a client does. A source that stops responding gives the run no chance to end first."""
    if silent:
        stage.api.stop_responding(name)
    run = run_of(stage, runs[name])
    retry_while_unavailable(partial(cancel_once, stage, run), give_up=threading.Event())
    connection.close()


def cancel_once(stage: Stage, run: Any) -> None:
    with stage.world.scope():
        services.cancel(org=stage.world.org, by=SYSTEM, run_id=run.pk)


def test_cancelled_at_random_moments(stage: Stage, rounds: range) -> None:
    for _ in rounds:
        runs: dict[str, UUID] = {}
        pipelines = [stage.pipeline("custom" if n % 5 == 0 else "rest") for n in range(AT_ONCE)]
        for n, pipeline in enumerate(pipelines):
            act = partial(cancel, stage, runs, pipeline.name, n % 2 == 0)
            stage.api.at(stage.moment(), act, reader=pipeline.name)
            runs[pipeline.name] = stage.start(pipeline)
        ends = stage.settle()

        asked = stage.api.served.copy()
        for shown in ends:
            run = run_of(stage, shown["id"])
            assert run.cancel_requested_at is not None
            assert run.finished_at - run.cancel_requested_at < BOUND
        cancelled = [run["id"] for run in ends if run["status"] == "cancelled"]
        assert len(cancelled) >= AT_ONCE // 2, "those whose source was silent"
        assert stage.api.served == asked, "a cancelled run asked for more"
        stage.api.resume()
        retry_all(stage, [run_of(stage, run_id) for run_id in cancelled])


def retry_all(stage: Stage, runs: list[Any]) -> None:
    for run in runs:
        with stage.world.scope():
            services.retry(org=stage.world.org, by=SYSTEM, run_id=run.pk)
            stage.expect(run.pk, run.pipeline)
    assert {run["status"] for run in stage.settle()} == {"succeeded"}
