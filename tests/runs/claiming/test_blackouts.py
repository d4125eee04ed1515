"""Within a blackout of its schedule, only a person starts a pipeline. Its schedule goes on afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.orgs.roles import Role
from apps.pipelines.models import Misfire, Overlap, Schedule
from apps.pipelines.schedules.blackouts import end_of_blackout
from apps.runs import scheduling
from apps.runs.claiming import leases
from tests.runs.claiming.test_scheduling import (
    create_schedule,
    read_next_run_at,
    runs_of_pipeline,
)
from tests.runs.claiming.test_turns import finish_run
from tests.runs.conftest import make_pipeline
from tests.world import World

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
AFTERNOON = {"weekdays": ["tuesday"], "start": "12:00", "end": "18:00"}  # NOON is a Tuesday
MINUTE = timedelta(minutes=1)


def today() -> dict[str, str]:
    """Return a window that has this moment, also if the test runs at midnight."""
    day = timezone.now().astimezone(UTC).date()
    return {"first_day": str(day), "last_day": str(day + timedelta(days=1))}


def handle(world: World, schedule: Schedule, now: datetime) -> bool:
    return scheduling.handle_due_schedule(org_id=world.org.pk, schedule_id=schedule.pk, now=now)


def read_schedule(world: World, schedule: Schedule) -> Schedule:
    with world.scope():
        return Schedule.objects.for_org(world.org).get(pk=schedule.pk)


@pytest.mark.parametrize(
    ("misfire", "next_run"),
    [(Misfire.RUN_ONCE, NOON + timedelta(hours=6)), (Misfire.SKIP, NOON + timedelta(hours=6.5))],
)
def test_a_start_that_is_late_waits_or_is_skipped(
    acme: World, misfire: Misfire, next_run: datetime
) -> None:
    """Drover was stopped at 11:30, and starts again within the blackout."""
    pipeline = make_pipeline(acme)
    schedule = create_schedule(
        acme,
        pipeline,
        cron="30 * * * *",
        next_run_at=NOON - 30 * MINUTE,
        blackouts=[AFTERNOON],
        misfire=misfire,
    )

    assert not handle(acme, schedule, NOON + MINUTE)
    assert read_next_run_at(acme, schedule) == next_run
    assert runs_of_pipeline(acme, pipeline) == []

    assert not handle(acme, schedule, next_run - MINUTE)
    assert handle(acme, schedule, next_run)
    (run,) = runs_of_pipeline(acme, pipeline)
    assert run.slot == next_run


def test_a_start_that_waited_for_the_run_before_does_not_begin_within_a_blackout(
    acme: World,
) -> None:
    pipeline = make_pipeline(acme)
    schedule = create_schedule(
        acme,
        pipeline,
        cron="30 * * * *",
        next_run_at=NOON - 30 * MINUTE,
        blackouts=[AFTERNOON],
        overlap=Overlap.QUEUE,
    )
    assert handle(acme, schedule, NOON - 30 * MINUTE)
    claim = leases.claim_next("tests")
    assert claim is not None
    with acme.scope():
        Schedule.objects.for_org(acme.org).update(next_run_at=NOON - MINUTE)
    assert not handle(acme, schedule, NOON - MINUTE)
    finish_run(claim)

    assert not handle(acme, schedule, NOON + MINUTE)
    assert read_next_run_at(acme, schedule) == NOON + timedelta(hours=6)


def test_a_random_delay_does_not_lead_into_a_blackout(acme: World) -> None:
    pipeline = make_pipeline(acme)
    schedule = create_schedule(
        acme,
        pipeline,
        cron="59 11 * * *",
        next_run_at=NOON - MINUTE,
        blackouts=[AFTERNOON],
        jitter_seconds=3600,
    )
    assert handle(acme, schedule, NOON - MINUTE)
    (run,) = runs_of_pipeline(acme, pipeline)
    assert run.not_before is None or run.not_before < NOON


def test_no_start_of_a_week_is_within_a_blackout(acme: World) -> None:
    """The schedule is handled each half hour; for a day of the week nothing handles it."""
    nights = {"weekdays": ["monday", "thursday"], "start": "20:00", "end": "07:00"}
    pipeline = make_pipeline(acme)
    schedule = create_schedule(
        acme,
        pipeline,
        cron="15 */3 * * *",
        timezone="Europe/Berlin",
        next_run_at=NOON,
        blackouts=[AFTERNOON, nights],
    )
    starts = []
    for step in range(2 * 24 * 8):
        now = NOON + step * 30 * MINUTE
        if now.weekday() != 3 and handle(acme, schedule, now):
            starts.append(now)
            claim = leases.claim_next("tests")
            assert claim is not None
            finish_run(claim)
    assert len(starts) > 30
    assert [at for at in starts if end_of_blackout(schedule, at)] == []


def test_a_person_starts_a_pipeline_within_a_blackout(acme: World) -> None:
    pipeline = make_pipeline(acme)
    create_schedule(acme, pipeline, blackouts=[today()], next_run_at=None)
    answer = acme.client(Role.MEMBER).post(f"/api/v1/pipelines/{pipeline.pk}/run")
    assert answer.status_code == 201, answer.content


def test_a_schedule_that_has_ended_plans_no_run(acme: World) -> None:
    fields: dict[str, Any] = {"cron": "0 12 * * *", "end_date": NOON.date()}
    pipeline = make_pipeline(acme)
    schedule = create_schedule(acme, pipeline, next_run_at=NOON, **fields)
    assert handle(acme, schedule, NOON + MINUTE)
    assert read_schedule(acme, schedule).next_run_at is None
