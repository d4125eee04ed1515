"""Pipelines that run after others, and runs that end as a test says."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from apps.runs import states
from apps.runs.dependents import starting
from apps.runs.models import LIVE, Run, Status, Trigger
from tests.jobs import execute_jobs
from tests.runs.conftest import make_pipeline
from tests.world import World

FAILURE: dict[str, Any] = {
    "failure_class": "authentication",
    "failure_message": "The source refused the password.",
    "failure_retryable": False,
}


def path_of(pipeline: Any) -> str:
    return f"/api/v1/pipelines/{pipeline.pk}/dependencies"


def run_after(world: World, pipeline: Any, *upstreams: Any, **rule: Any) -> dict[str, Any]:
    """Let the pipeline run after the upstream pipelines."""
    body = {"upstream_ids": [str(upstream.pk) for upstream in upstreams], **rule}
    answer = world.client(Role.MEMBER).put(path_of(pipeline), body)
    assert answer.status_code == 200, answer.content
    dependencies: dict[str, Any] = answer.json()
    return dependencies


def dependencies_of(world: World, pipeline: Any) -> dict[str, Any]:
    answer = world.client(Role.VIEWER).get(path_of(pipeline))
    assert answer.status_code == 200, answer.content
    dependencies: dict[str, Any] = answer.json()
    return dependencies


def chain(world: World, *names: str) -> list[Pipeline]:
    """Create pipelines of which each runs after the one before it."""
    pipelines = [make_pipeline(world, name=name) for name in names]
    for upstream, pipeline in itertools.pairwise(pipelines):
        run_after(world, pipeline, upstream)
    return pipelines


def start_run(world: World, pipeline: Any, **columns: Any) -> Run:
    """Create a running run."""
    now = timezone.now()
    values = {
        "version": 1,
        "status": Status.RUNNING,
        "trigger": Trigger.MANUAL,
        "lease": uuid4(),
        "lease_until": now + timedelta(minutes=1),
        "started_at": now,
        **columns,
    }
    with world.scope():
        return Run.unscoped.create(org=world.org, pipeline=pipeline, **values)


def end(
    world: World, run: Run, status: Status = Status.SUCCEEDED, *, at: datetime | None = None
) -> None:
    """Let the run end, and do what the job does that was deferred with the end."""
    with world.scope():
        if run.status == Status.PENDING:
            Run.objects.for_org(world.org).filter(pk=run.pk).update(
                status=Status.RUNNING, lease=uuid4(), lease_until=timezone.now()
            )
        failure: dict[str, Any] = FAILURE if status == Status.FAILED else {}
        assert states.move(
            org_id=world.org.pk,
            run_id=run.pk,
            before=Status.RUNNING,
            after=status,
            finished_at=at or timezone.now(),
            **failure,
        )
    execute_deferred_jobs()


def succeed(world: World, pipeline: Any, **columns: Any) -> None:
    end(world, start_run(world, pipeline, **columns))


def execute_deferred_jobs() -> int:
    return execute_jobs(starting.START_TASK)


def live_runs(world: World, pipeline: Any) -> list[Run]:
    with world.scope():
        return list(Run.objects.for_org(world.org).filter(pipeline=pipeline, status__in=LIVE))


def started_runs(world: World, pipeline: Any) -> list[Run]:
    """Return the runs that a success of another pipeline has started, oldest first."""
    with world.scope():
        rows = Run.objects.for_org(world.org).filter(pipeline=pipeline, trigger=Trigger.DEPENDENCY)
        return list(rows.order_by("created_at"))
