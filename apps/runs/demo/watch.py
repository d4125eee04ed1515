"""Start the demo's runs through the queue, wait for them, and show their progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from django.core.management.base import CommandError

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import Pipeline
from apps.runs import services
from apps.runs.models import LIVE, Run, Status

MAX_SECONDS_WITHOUT_CHANGE = 180.0  # a longer time means that no worker is running
POLL_SECONDS = 0.2


def run_unsuccessful_pipelines(
    org: Org, by: Principal, pipelines: Mapping[str, Pipeline], print_line: Callable[[str], None]
) -> tuple[dict[str, Run], set[str]]:
    """Run each pipeline whose newest run has not succeeded, and wait for these runs.

    Returns the newest run of each pipeline, and the streams whose pipelines were run now. Raises CommandError if a run
    fails.
    """
    started: set[str] = set()
    with org_scope(org.pk):
        for stream, pipeline in pipelines.items():
            newest = _newest_run(org, pipeline)
            if newest is None or newest.status != Status.SUCCEEDED:
                started.add(stream)
            if newest is None or newest.status in (Status.FAILED, Status.CANCELLED):
                services.start(org=org, by=by, pipeline_id=pipeline.pk, force=True)
    if started:
        _wait_for_runs(org, {stream: pipelines[stream] for stream in started}, print_line)
    with org_scope(org.pk):
        newest_runs = {stream: _newest_run(org, pipeline) for stream, pipeline in pipelines.items()}
    return {stream: run for stream, run in newest_runs.items() if run}, started


def _newest_run(org: Org, pipeline: Pipeline) -> Run | None:
    return Run.objects.for_org(org).filter(pipeline=pipeline).order_by("-created_at", "-id").first()


def _wait_for_runs(
    org: Org, pipelines: Mapping[str, Pipeline], print_line: Callable[[str], None]
) -> None:
    waiting = dict(pipelines)
    last_states: dict[str, tuple[object, ...]] = {}
    changed_at = time.monotonic()
    while waiting:
        for stream, pipeline in list(waiting.items()):
            with org_scope(org.pk):
                run = _newest_run(org, pipeline)
            if run is None:
                raise CommandError(f"The run of {pipeline.name} no longer exists.")
            state = (run.status, run.records_written, run.attempt)
            if state != last_states.get(stream):
                last_states[stream], changed_at = state, time.monotonic()
            if run.status not in LIVE:
                del waiting[stream]
                _report_result(pipeline, run, print_line)
        if time.monotonic() - changed_at > MAX_SECONDS_WITHOUT_CHANGE:
            names = ", ".join(pipeline.name for pipeline in waiting.values())
            raise CommandError(f"{names} made no progress: see the worker's log.")
        time.sleep(POLL_SECONDS)


def _report_result(pipeline: Pipeline, run: Run, print_line: Callable[[str], None]) -> None:
    if run.status != Status.SUCCEEDED:
        raise CommandError(
            f"The run of {pipeline.name} ended as {run.status} ({run.failure_class}): {run.failure_message} "
            f"[{'; '.join(run.failure_evidence)}]"
        )
    seconds = (
        (run.finished_at - run.started_at).total_seconds()
        if run.finished_at and run.started_at
        else 0
    )
    print_line(f"    {pipeline.name:<26} {run.records_written:>9,} records in {seconds:5.1f} s")
