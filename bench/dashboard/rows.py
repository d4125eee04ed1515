"""`python -m bench.dashboard.rows`: create an org with many pipelines and runs in the temporary installation.

Prints the JSON {"email", "password", "streams", "log", "live"}: how its owner logs in, the ids of a run with many streams and
of one with a long log, and the ids of pipelines that can run.
"""

from __future__ import annotations

import secrets
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django
import orjson

from apps.engine.contract import LogLine
from bench.create_runs import LOGGING

if TYPE_CHECKING:
    from apps.orgs.models import Org
    from apps.pipelines.models import Pipeline
    from apps.runs.models import LogPart, Run

PIPELINES = 1000
RUNS_OF_PIPELINE = 100
STREAMS = 500
LOG_LINES = 1_000_000
LINES_AT_ONCE = 500  # that a run writes to its log
LIVE_PIPELINES = 12


def main() -> None:
    django.setup()
    from django.utils import timezone

    from apps.orgs.principals import SYSTEM
    from apps.orgs.walls.scope import org_scope
    from apps.pipelines import services
    from apps.runs.models import LogPart, Run

    now = timezone.now()
    org, owner = _create_org("bench")
    small_org, small_owner = _create_org("small")
    with org_scope(small_org.pk):
        small_live = _create_live_pipelines(small_org)
    with org_scope(org.pk):
        _create_runs(org, _create_pipelines(org, now), now)
        pipeline = services.create(org=org, by=SYSTEM, name="whole database", config=LOGGING)
        streams, log = (_create_run(org, pipeline, now - timedelta(hours=n)) for n in (1, 2))
        _add_streams(org, streams)
        live = _create_live_pipelines(org)
    parts = _store_log(org, log)  # This takes longer than a transaction may be idle.
    with org_scope(org.pk):
        LogPart.unscoped.bulk_create(parts)
        Run.objects.for_org(org).filter(pk=log.pk).update(log_lines=LOG_LINES)
    output = {
        **owner,
        "streams": str(streams.pk),
        "log": str(log.pk),
        "live": live,
        "small": {**small_owner, "live": small_live},
    }
    sys.stdout.write(orjson.dumps(output).decode())


def _create_org(name: str) -> tuple[Org, dict[str, str]]:
    """Create an org, and return it and how its owner logs in."""
    from django.utils import timezone

    from apps.auth.models import User
    from apps.orgs.members.services import create_org
    from apps.orgs.principals import SYSTEM

    login = {"email": f"{name}@example.com", "password": secrets.token_urlsafe(16)}
    user = User.objects.create_user(**login, email_verified_at=timezone.now())
    return create_org(name=name.capitalize(), owner=user, by=SYSTEM), login


def _create_live_pipelines(org: Org) -> list[str]:
    from apps.orgs.principals import SYSTEM
    from apps.pipelines import services

    pipelines = [
        services.create(org=org, by=SYSTEM, name=f"live {n:02}", config=_live_config(n))
        for n in range(LIVE_PIPELINES)
    ]
    return [str(pipeline.pk) for pipeline in pipelines]


def _live_config(number: int) -> dict[str, Any]:
    """Return the definition of three streams, which are read for about six seconds. Each fourth one fails at its end."""
    settings = {"rows": 3000, "page_size": 150, "delay": 0.3}
    failure = {"fail_after": 2500, "failure": "configuration"} if number % 4 == 3 else {}
    return {
        "source": {"kind": "dummy", "config": {**settings, **failure}},
        "streams": [{"stream": name} for name in ("creatures", "plants", "generated")],
        "destination": {"kind": "logger", "config": {}},
    }


def _create_pipelines(org: Org, now: datetime) -> list[Pipeline]:
    from apps.pipelines.models import Pipeline, Schedule

    pipelines = [
        Pipeline(
            org=org,
            name=f"pipeline {n:04}",
            tags=["daily", f"team-{n % 7}"],
            source_kind="postgres",
            destination_kind=("parquet", "duckdb", "postgres")[n % 3],
            stream="flights",
            last_run_status="failed" if n % 9 == 0 else "succeeded",
            last_run_finished_at=now - timedelta(minutes=n),
            last_run_records=n,
            late_at=now + timedelta(hours=n % 30 - 2),
        )
        for n in range(PIPELINES)
    ]
    Pipeline.unscoped.bulk_create(pipelines)
    Schedule.unscoped.bulk_create(
        Schedule(
            org=org,
            pipeline=pipeline,
            cron="0 6 * * *",
            timezone="Europe/Paris",
            next_run_at=now + timedelta(hours=6),
        )
        for pipeline in pipelines
    )
    return pipelines


def _create_runs(org: Org, pipelines: list[Pipeline], now: datetime) -> None:
    """Create the runs, and let each pipeline name its newest run. The runs are spread over four days."""
    from django.db.models import F

    from apps.pipelines.models import Pipeline
    from apps.runs.models import Run

    for number in reversed(range(RUNS_OF_PIPELINE)):
        runs = [
            _make_run(org, pipeline, now - timedelta(hours=number, minutes=position % 60))
            for position, pipeline in enumerate(pipelines)
        ]
        Run.unscoped.bulk_create(runs)
    for pipeline, run in zip(pipelines, runs, strict=True):
        pipeline.last_run_id = run.pk
    Pipeline.unscoped.bulk_update(pipelines, ["last_run_id"])
    Run.objects.for_org(org).update(created_at=F("started_at"))


def _make_run(org: Org, pipeline: Pipeline, started_at: datetime, **fields: Any) -> Run:
    from apps.runs.models import Run, Trigger

    has_failed = started_at.minute % 17 == 0
    failure = {
        "failure_class": "authentication",
        "failure_message": "PostgreSQL refused the credentials",
        "failure_retryable": False,
    }
    values: dict[str, Any] = {
        "version": 1,
        "trigger": Trigger.SCHEDULE,
        "attempt": 1,
        "status": "failed" if has_failed else "succeeded",
        "started_at": started_at,
        "finished_at": started_at + timedelta(seconds=20 + started_at.minute),
        "records_read": 10_000,
        "records_written": 10_000,
        "bytes": 1_000_000,
        "streams_total": 1,
        **(failure if has_failed else {}),
        **fields,
    }
    return Run(org=org, pipeline=pipeline, **values)


def _create_run(org: Org, pipeline: Pipeline, started_at: datetime) -> Run:
    run = _make_run(org, pipeline, started_at, status="succeeded")
    run.save(force_insert=True)
    return run


def _add_streams(org: Org, run: Run) -> None:
    from apps.runs.models import Run, RunStream

    RunStream.unscoped.bulk_create(
        RunStream(
            org=org,
            run=run,
            position=position,
            name=f"public.table_{position:03}",
            table=f"table_{position:03}",
            status="succeeded",
            records_read=10_000,
            records_written=10_000,
            started_at=run.started_at,
            finished_at=run.finished_at,
        )
        for position in range(STREAMS)
    )
    Run.objects.for_org(org).filter(pk=run.pk).update(
        streams_total=STREAMS, streams_succeeded=STREAMS
    )


def _store_log(org: Org, run: Run) -> list[LogPart]:
    """Store a log in parts, as a run does, and return their rows. One of its lines is an error."""
    from apps.runs.outputs import logs

    parts: list[LogPart] = []
    draft = logs.Draft(0)
    for first in range(0, LOG_LINES, LINES_AT_ONCE):
        draft = draft.with_lines(
            [_make_line(number) for number in range(first, first + LINES_AT_ONCE)]
        )
        if draft.is_full or first + LINES_AT_ONCE >= LOG_LINES:
            parts.append(logs.store(draft, org_id=UUID(str(org.pk)), run_id=run.pk, attempt=1))
            draft = logs.Draft(draft.first_line + draft.lines)
    return parts


def _make_line(number: int) -> LogLine:
    message = f"Staged batch {number} of orders: {number * 7919 % 100_000} rows"
    is_error = number == LOG_LINES * 2 // 3
    fields = {"rows": number % 977}
    return LogLine("2026-01-01T00:00:00.123Z", "error" if is_error else "info", message, fields)


if __name__ == "__main__":
    main()
