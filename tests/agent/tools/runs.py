"""Runs in a given state, for tests of tools that read them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from apps.engine.contract import LogLevel, LogLine
from apps.orgs.principals import SYSTEM
from apps.runs import services, states
from apps.runs.models import Run, Status
from apps.runs.outputs import logs
from tests.world import World

TIMEOUT = {
    "failure_class": "timeout",
    "failure_message": "The run took longer than its time limit.",
    "failure_evidence": ["1,000 records were written in the last minute"],
    "failure_retryable": True,
}


def start_run(world: World, pipeline: Any) -> UUID:
    with world.scope():
        return services.start(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk).pk


def end_run(world: World, run_id: UUID, status: Status = Status.SUCCEEDED, **columns: Any) -> None:
    """Move a pending run to its end, as a worker does."""
    now = timezone.now()
    owner = states.Owner(uuid4(), now, "tests")
    times = {"started_at": columns.pop("started_at", now), "attempt": 1}
    with world.scope():
        assert states.move(
            org_id=world.org.pk,
            run_id=run_id,
            before=Status.PENDING,
            after=Status.RUNNING,
            owner=owner,
            **times,
        )
        assert states.move(
            org_id=world.org.pk,
            run_id=run_id,
            before=Status.RUNNING,
            after=status,
            finished_at=now,
            **columns,
        )


def ended_run(
    world: World, pipeline: Any, status: Status = Status.SUCCEEDED, **columns: Any
) -> UUID:
    run_id = start_run(world, pipeline)
    end_run(world, run_id, status, **columns)
    return run_id


def write_log(world: World, run_id: UUID, *lines: LogLine) -> None:
    with world.scope():
        draft = logs.Draft(0).with_lines(lines)
        logs.save(logs.store(draft, org_id=world.org.pk, run_id=run_id, attempt=1))
        Run.objects.for_org(world.org).filter(pk=run_id).update(log_lines=len(lines))


def line(message: str, level: LogLevel = "info", **fields: Any) -> LogLine:
    return LogLine("2026-03-01T06:00:00Z", level, message, fields)
