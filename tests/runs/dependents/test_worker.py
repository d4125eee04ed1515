"""Two real worker processes run a diamond of pipelines: each of them once."""

from __future__ import annotations

import time
from uuid import UUID

from apps.pipelines.models import Pipeline
from apps.runs.models import Run
from tests.runs.conftest import make_pipeline
from tests.runs.dependents.conftest import run_after, started_runs
from tests.runs.processes import has_ended, running_worker, start_run, wait_for_run
from tests.world import World


def wait_for_start(world: World, pipeline: Pipeline) -> UUID:
    """Wait until successes of others have started the pipeline, and return its run."""
    deadline = time.monotonic() + 60
    while not (runs := started_runs(world, pipeline)):
        assert time.monotonic() < deadline, "nothing has started the pipeline"
        time.sleep(0.1)
    (run,) = runs
    return run.pk


def test_two_workers_run_a_diamond_of_pipelines_once(acme: World) -> None:
    orders, left, right, report = (
        make_pipeline(acme, name=name) for name in ("Orders", "Left", "Right", "Report")
    )
    run_after(acme, left, orders)
    run_after(acme, right, orders)
    run_after(acme, report, left, right)
    run_id = start_run(acme, orders)

    with running_worker(), running_worker():
        wait_for_run(acme, run_id, has_ended)
        ended = wait_for_run(acme, wait_for_start(acme, report), has_ended)

    assert ended["status"] == "succeeded"
    assert {one["pipeline_id"] for one in ended["upstream_runs"]} == {left.pk, right.pk}
    with acme.scope():
        runs = Run.objects.for_org(acme.org).values_list("pipeline__name", "status")
        assert sorted(runs) == [
            (name, "succeeded") for name in ("Left", "Orders", "Report", "Right")
        ]
