"""A schedule creates at most one run for each slot, with any number of schedulers, according to its policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from apps.pipelines.models import Misfire, Overlap, Pipeline, Schedule
from apps.runs import scheduling
from apps.runs.claiming import leases
from apps.runs.models import Run, Status, Trigger
from tests.runs.claiming.test_turns import call_at_once, finish_run
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.world import World

FIVE_SECONDS = timedelta(seconds=5)
THREE_HOURS = timedelta(hours=3)


def create_schedule(
    world: World, pipeline: Pipeline, *, overdue_by: timedelta = FIVE_SECONDS, **fields: Any
) -> Any:
    """Create a schedule that was due this time ago."""
    if "cron" not in fields:
        fields.setdefault("interval_seconds", 3600)
    fields.setdefault("next_run_at", timezone.now() - overdue_by)
    with world.scope():
        return Schedule.unscoped.create(org=world.org, pipeline=pipeline, **fields)


def runs_of_pipeline(world: World, pipeline: Pipeline) -> list[Run]:
    with world.scope():
        rows = Run.objects.for_org(world.org).filter(pipeline=pipeline)
        return list(rows.order_by("created_at", "id"))


def read_next_run_at(world: World, schedule: Schedule) -> datetime:
    with world.scope():
        next_run_at = Schedule.objects.for_org(world.org).get(pk=schedule.pk).next_run_at
    assert next_run_at is not None
    return next_run_at


def test_three_concurrent_schedulers_fire_each_slot_once(acme: World) -> None:
    pipelines = [make_pipeline(acme) for _ in range(12)]
    schedules = [create_schedule(acme, pipeline) for pipeline in pipelines]

    fired = sum(call_at_once(scheduling.tick, 3))

    assert fired == 12
    assert scheduling.tick() == 0
    for pipeline, schedule in zip(pipelines, schedules, strict=True):
        (run,) = runs_of_pipeline(acme, pipeline)
        assert (run.trigger, run.schedule_id, run.slot) == (
            Trigger.SCHEDULE,
            schedule.pk,
            schedule.next_run_at,
        )
        assert schedule.next_run_at + timedelta(hours=1) == read_next_run_at(acme, schedule)


def test_a_slot_is_not_fired_twice_even_if_next_run_at_is_set_back(
    acme: World,
) -> None:
    pipeline = make_pipeline(acme)
    schedule = create_schedule(acme, pipeline)
    scheduling.tick()
    claim = leases.claim_next("tests")
    assert claim is not None
    finish_run(claim)
    with acme.scope():
        Schedule.objects.for_org(acme.org).update(next_run_at=schedule.next_run_at)

    assert scheduling.tick() == 0
    assert len(runs_of_pipeline(acme, pipeline)) == 1


def test_with_misfire_run_once_a_missed_slot_runs_once(acme: World) -> None:
    pipeline = make_pipeline(acme)
    schedule = create_schedule(acme, pipeline, overdue_by=THREE_HOURS, misfire=Misfire.RUN_ONCE)

    assert scheduling.tick() == 1
    assert scheduling.tick() == 0

    assert len(runs_of_pipeline(acme, pipeline)) == 1
    assert read_next_run_at(acme, schedule) > timezone.now()


def test_with_misfire_skip_a_missed_slot_does_not_run(acme: World) -> None:
    pipeline = make_pipeline(acme)
    schedule = create_schedule(acme, pipeline, overdue_by=THREE_HOURS, misfire=Misfire.SKIP)

    assert scheduling.tick() == 0

    assert runs_of_pipeline(acme, pipeline) == []
    assert read_next_run_at(acme, schedule) > timezone.now()


def test_with_overlap_skip_a_slot_during_a_run_is_skipped(acme: World) -> None:
    pipeline = make_pipeline(acme)
    start_run(acme, pipeline)
    schedule = create_schedule(acme, pipeline, overlap=Overlap.SKIP)

    assert scheduling.tick() == 0

    assert len(runs_of_pipeline(acme, pipeline)) == 1
    assert read_next_run_at(acme, schedule) > timezone.now()


def test_with_overlap_queue_a_slot_during_a_run_starts_after_the_run(
    acme: World,
) -> None:
    pipeline = make_pipeline(acme)
    start_run(acme, pipeline)
    claim = leases.claim_next("tests")
    assert claim is not None
    create_schedule(
        acme, pipeline, overdue_by=THREE_HOURS, overlap=Overlap.QUEUE, misfire=Misfire.SKIP
    )
    assert scheduling.tick() == 0

    finish_run(claim)
    with acme.scope():  # the run ended just now, so the slot was not missed
        Pipeline.objects.for_org(acme.org).update(last_run_finished_at=timezone.now())

    assert scheduling.tick() == 1
    assert scheduling.tick() == 0
    assert len(runs_of_pipeline(acme, pipeline)) == 2


def test_with_overlap_cancel_other_a_slot_cancels_the_running_run(acme: World) -> None:
    pipeline = make_pipeline(acme)
    first_run_id = start_run(acme, pipeline)
    create_schedule(acme, pipeline, overlap=Overlap.CANCEL_OTHER)
    claim = leases.claim_next("tests")
    assert claim is not None

    assert scheduling.tick() == 0
    assert leases.is_cancel_requested(claim)
    with acme.scope():
        Run.objects.for_org(acme.org).filter(pk=first_run_id).update(
            status=Status.CANCELLED, lease=None, lease_until=None
        )

    assert scheduling.tick() == 1
    assert [run.status for run in runs_of_pipeline(acme, pipeline)] == ["cancelled", "pending"]


def test_jitter_delays_a_run_but_does_not_change_its_slot(acme: World) -> None:
    pipeline = make_pipeline(acme)
    schedule = create_schedule(acme, pipeline, jitter_seconds=3600)

    scheduling.tick()

    (run,) = runs_of_pipeline(acme, pipeline)
    assert run.slot == schedule.next_run_at
    assert run.not_before is not None
    assert run.not_before <= timezone.now() + timedelta(hours=1)


def test_paused_schedules_and_schedules_of_disabled_pipelines_do_not_fire(acme: World) -> None:
    disabled_pipeline, paused_pipeline = make_pipeline(acme, enabled=False), make_pipeline(acme)
    create_schedule(acme, disabled_pipeline)
    create_schedule(acme, paused_pipeline, paused_at=timezone.now())

    assert scheduling.tick() == 0
    assert runs_of_pipeline(acme, disabled_pipeline) == []
    assert runs_of_pipeline(acme, paused_pipeline) == []


def test_a_queued_schedule_does_not_delay_other_schedules(acme: World) -> None:
    queued_pipeline, other_pipeline = make_pipeline(acme), make_pipeline(acme)
    start_run(acme, queued_pipeline)
    create_schedule(acme, queued_pipeline, overdue_by=THREE_HOURS, overlap=Overlap.QUEUE)
    create_schedule(acme, other_pipeline)

    assert scheduling.tick() == 1
    assert len(runs_of_pipeline(acme, other_pipeline)) == 1


def test_a_daily_schedule_runs_once_on_days_when_the_clock_changes(acme: World) -> None:
    """In Berlin, 02:30 does not exist on 2026-03-29 and occurs twice on 2026-10-25."""
    berlin = ZoneInfo("Europe/Berlin")
    for first in (datetime(2026, 3, 27, 3, tzinfo=UTC), datetime(2026, 10, 23, 3, tzinfo=UTC)):
        pipeline = make_pipeline(acme)
        schedule = create_schedule(
            acme, pipeline, cron="30 2 * * *", timezone="Europe/Berlin", next_run_at=first
        )
        now = first
        for _ in range(4 * 24):
            if scheduling.handle_due_schedule(org_id=acme.org.pk, schedule_id=schedule.pk, now=now):
                claim = leases.claim_next("tests")
                assert claim is not None
                finish_run(claim)
            now += timedelta(hours=1)

        days = [
            run.slot.astimezone(berlin).date()
            for run in runs_of_pipeline(acme, pipeline)
            if run.slot
        ]
        assert days == [first.date() + timedelta(days=n) for n in range(len(days))]
        assert len(days) >= 4
