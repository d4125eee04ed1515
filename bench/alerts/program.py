"""`python -m bench.alerts.program NAME ...`: what the measurements of alerts do inside of the temporary installation.

| name | arguments | what it does |
|---|---|---|
| failing | URL COUNT | creates pipelines whose runs fail, each with a webhook of its own |
| running | URL COUNT | creates an org with running runs, and a webhook that is told of each failure |
| end | ORG SECONDS PLACE PROCESSES | lets this process's share of the org's running runs fail within the seconds, and prints how many it took |
| end-at-once | ORG | lets them fail in one transaction, prints a line, commits when it reads one, and prints how many seconds that took |
| minute | ROUNDS OWNER_URL | creates 5,000 pipelines, and measures what is done each minute |
| false-alarms | | simulates pipelines, and counts the false alarms and the faults that are found |

Prints JSON.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import django
import orjson
import psycopg

from bench.create_runs import LOGGING, create_org, create_token
from bench.size import processor_time

if TYPE_CHECKING:
    from apps.orgs.models import Org
    from apps.pipelines.models import Pipeline

SECRET = "the secret of a webhook of the measurement"  # noqa: S105 - of a receiver on loopback
FAILING = {
    **LOGGING,
    "source": {
        "kind": "dummy",
        "config": {"rows": 10, "page_size": 2, "fail_after": 5, "failure": "configuration"},
    },
}
ORGS, PIPELINES_OF_ORG, RUNS_OF_PIPELINE = 50, 100, 20
TICKS_PER_ROUND = 5
SEEDS = 4


def create_failing(url: str, count: str) -> dict[str, Any]:
    from apps.orgs.principals import SYSTEM
    from apps.orgs.walls.scope import org_scope
    from apps.pipelines import services

    org, user = create_org()
    with org_scope(org.pk):
        pipelines = []
        for number in range(int(count)):
            name = f"failing {number:02}"
            pipeline = services.create(
                org=org, by=SYSTEM, name=name, config=FAILING, max_attempts=1
            )
            _add_webhook(org, name, url, scope="pipeline", scope_id=pipeline.pk)
            pipelines.append(str(pipeline.pk))
    return {"token": create_token(org, user), "pipelines": pipelines}


def create_running(url: str, count: str) -> dict[str, Any]:
    from django.utils import timezone

    from apps.orgs.walls.scope import org_scope
    from apps.runs.models import Run, Status, Trigger

    org, user = create_org()
    now = timezone.now()
    with org_scope(org.pk):
        channel = _add_webhook(org, "webhook", url)
        pipelines = _create_pipelines(org, int(count))
        Run.unscoped.bulk_create(
            [
                Run(
                    org=org,
                    pipeline=pipeline,
                    version=1,
                    trigger=Trigger.SCHEDULE,
                    status=Status.RUNNING,
                    attempt=3,
                    lease=uuid4(),
                    lease_until=now + timedelta(hours=2),
                    started_at=now,
                )
                for pipeline in pipelines
            ],
            batch_size=1000,
        )
    return {"token": create_token(org, user), "org": str(org.pk), "channel": str(channel)}


def end_running(org_id: str, seconds: str, place: str, processes: str) -> float:
    """Let a share of the runs fail evenly within the time. Return how many seconds it took, which are more on a slow machine."""
    from apps.orgs.walls.scope import org_scope

    org = UUID(org_id)
    run_ids = _run_ids(org)[int(place) :: int(processes)]
    started = time.monotonic()
    for number, run_id in enumerate(run_ids):
        time.sleep(max(0.0, started + float(seconds) * number / len(run_ids) - time.monotonic()))
        with org_scope(org):
            _let_fail(org, run_id)
    return time.monotonic() - started


def end_at_once(org_id: str) -> float:
    """Let the runs fail in one transaction, and commit it when a line is read. Return the seconds of the commit."""
    from apps.orgs.walls.scope import org_scope

    org = UUID(org_id)
    with org_scope(org):
        for run_id in _run_ids(org):
            _let_fail(org, run_id)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        started = time.monotonic()
    return time.monotonic() - started


def _run_ids(org: UUID) -> list[UUID]:
    from apps.orgs.walls.scope import org_scope
    from apps.runs.models import Run

    with org_scope(org):
        return list(Run.objects.for_org(org).order_by("pk").values_list("pk", flat=True))


def _let_fail(org: UUID, run_id: UUID) -> None:
    from django.utils import timezone

    from apps.runs import states
    from apps.runs.models import Status

    states.move(
        org_id=org,
        run_id=run_id,
        before=Status.RUNNING,
        after=Status.FAILED,
        finished_at=timezone.now(),
        failure_class="source",
        failure_message="The source is away.",
        failure_retryable=True,
    )


def measure_minute(rounds: str, owner_url: str) -> dict[str, Any]:
    from apps.alerts.deciding import by_subject, by_time
    from apps.orgs.walls.scope import org_scope

    for _ in range(ORGS):
        org, _user = create_org()
        with org_scope(org.pk):
            _add_runs(org, _create_pipelines(org, PIPELINES_OF_ORG))
            for settings in ({"hours": 26}, {"hours": 200}):
                _add_rule(org, kind="stale", settings=settings)
    # Only the owner of the tables can collect their statistics, without which other plans are chosen.
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("ANALYZE")
    pipelines, statements = _measure_ticks(by_time.tick, int(rounds))
    subjects, _ = _measure_ticks(by_subject.tick, int(rounds))
    return {"pipelines": pipelines, "statements": statements, "subjects": subjects}


def _measure_ticks(tick: Callable[[], int], rounds: int) -> tuple[list[float], list[int]]:
    """Return the mean processor time of a tick of each round, and its statements. Raises RuntimeError if it opens or closes an alert."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    tick()  # a warm-up
    times, statements = [], []
    for _ in range(rounds):
        before = processor_time(backend) + time.process_time()
        with CaptureQueriesContext(connection) as captured:
            changed = sum(tick() for _ in range(TICKS_PER_ROUND))
        used = processor_time(backend) + time.process_time() - before
        if changed:
            raise RuntimeError(f"the ticks have changed {changed}, but everything is usual")
        times.append(used / TICKS_PER_ROUND)
        statements.append(len(captured) // TICKS_PER_ROUND)
    return times, statements


def simulate() -> dict[str, Any]:
    """Return the false alarms of a pipeline for each seed, and the shares of each fault that are found, in percent."""
    from tests.alerts.test_false_alarms import FAULTS, PIPELINES, false_alarms, share_found

    alarms = [len(false_alarms(first_seed=seed * PIPELINES)) / PIPELINES for seed in range(SEEDS)]
    return {"alarms": alarms, "found": [share_found(kind, fault) * 100 for kind, fault in FAULTS]}


def _add_webhook(org: Org, name: str, url: str, **scope: Any) -> UUID:
    from apps.alerts import channels
    from apps.orgs.principals import SYSTEM

    channel = channels.create(
        org=org, by=SYSTEM, name=name, kind="webhook", settings={"url": url, "secret": SECRET}
    )
    _add_rule(org, kind="run_failed", channel_ids=[channel.pk], **scope)
    return channel.pk


def _add_rule(org: Org, **values: Any) -> None:
    from apps.alerts import rules
    from apps.orgs.principals import SYSTEM

    rules.create(org=org, by=SYSTEM, values={"scope": "org", **values})  # type: ignore[typeddict-item]


def _create_pipelines(org: Org, count: int) -> list[Pipeline]:
    """Create hourly pipelines that are fresh. Each tenth one has a blackout."""
    from django.utils import timezone

    from apps.pipelines.models import Pipeline, Schedule

    now = timezone.now()
    later = now + timedelta(hours=1)
    pipelines = Pipeline.unscoped.bulk_create(
        [
            Pipeline(
                org=org,
                name=f"pipeline {number:05}",
                source_kind="dummy",
                destination_kind="logger",
                stream="generated",
                last_run_status="succeeded",
                last_success_at=now,
                late_at=later,
            )
            for number in range(count)
        ],
        batch_size=1000,
    )
    night = {"weekdays": ["saturday", "sunday"], "start": "22:00", "end": "22:01"}
    Schedule.unscoped.bulk_create(
        [
            Schedule(
                org=org,
                pipeline=pipeline,
                cron="0 * * * *",
                timezone="Europe/Paris",
                next_run_at=later,
                blackouts=[night] if number % 10 == 0 else [],
            )
            for number, pipeline in enumerate(pipelines)
        ],
        batch_size=1000,
    )
    # A rule for missing data ignores what is younger than its hours.
    earlier = now - timedelta(days=10)
    Pipeline.objects.for_org(org).update(created_at=earlier, updated_at=earlier)
    Schedule.objects.for_org(org).update(updated_at=earlier)
    return pipelines


def _add_runs(org: Org, pipelines: list[Pipeline]) -> None:
    """Add hourly runs that have succeeded."""
    from django.utils import timezone

    from apps.runs.models import Run, Status, Trigger

    now = timezone.now()
    runs = Run.unscoped.bulk_create(
        Run(
            org=org,
            pipeline=pipeline,
            version=1,
            trigger=Trigger.SCHEDULE,
            status=Status.SUCCEEDED,
            started_at=now - timedelta(hours=hour, minutes=5),
            finished_at=now - timedelta(hours=hour),
            records_written=10,
        )
        for pipeline in pipelines
        for hour in range(RUNS_OF_PIPELINE)
    )
    for hour in range(RUNS_OF_PIPELINE):
        rows = Run.objects.for_org(org).filter(
            pk__in=[run.pk for run in runs[hour::RUNS_OF_PIPELINE]]
        )
        rows.update(created_at=now - timedelta(hours=hour, minutes=5))


PROGRAMS: dict[str, Callable[..., Any]] = {
    "failing": create_failing,
    "running": create_running,
    "end": end_running,
    "end-at-once": end_at_once,
    "minute": measure_minute,
    "false-alarms": simulate,
}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    sys.stdout.write(orjson.dumps(PROGRAMS[sys.argv[1]](*sys.argv[2:])).decode())
