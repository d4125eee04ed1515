"""Schedules create runs: one per scheduled time, with any number of schedulers, according to the chosen policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from apps.pipelines.models import Misfire, Overlap, Pipeline, Schedule
from apps.runs import scheduling
from apps.runs.claiming import leases
from apps.runs.models import Run, Status, Trigger
from tests.runs.claiming.test_turns import at_once, finish
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start
from tests.world import World

JUST_NOW = timedelta(seconds=5)
LONG_AGO = timedelta(hours=3)


def schedule(world: World, pipeline: Pipeline, *, late: timedelta = JUST_NOW, **fields: Any) -> Any:
    """A schedule whose time was `late` ago."""
    if "cron" not in fields:
        fields.setdefault("interval_seconds", 3600)
    fields.setdefault("next_run_at", timezone.now() - late)
    with world.scope():
        return Schedule.unscoped.create(org=world.org, pipeline=pipeline, **fields)


def runs(world: World, pipeline: Pipeline) -> list[Run]:
    with world.scope():
        rows = Run.objects.for_org(world.org).filter(pipeline=pipeline)
        return list(rows.order_by("created_at", "id"))


def next_of(world: World, one: Schedule) -> datetime:
    with world.scope():
        found = Schedule.objects.for_org(world.org).get(pk=one.pk).next_run_at
    assert found is not None
    return found


def test_three_schedulers_at_once_fire_each_slot_once(acme: World) -> None:
    pipelines = [make_pipeline(acme) for _ in range(12)]
    planned = [schedule(acme, pipeline) for pipeline in pipelines]

    fired = sum(at_once(scheduling.tick, 3))

    assert fired == 12
    assert scheduling.tick() == 0
    for pipeline, one in zip(pipelines, planned, strict=True):
        (run,) = runs(acme, pipeline)
        assert (run.trigger, run.schedule_id, run.slot) == (
            Trigger.SCHEDULE,
            one.pk,
            one.next_run_at,
        )
        assert one.next_run_at + timedelta(hours=1) == next_of(acme, one)


def test_a_slot_that_was_fired_is_not_fired_again_even_if_the_plan_is_set_back(
    acme: World,
) -> None:
    pipeline = make_pipeline(acme)
    one = schedule(acme, pipeline)
    scheduling.tick()
    taken = leases.claim_next("tests")
    assert taken is not None
    finish(taken)
    with acme.scope():
        Schedule.objects.for_org(acme.org).update(next_run_at=one.next_run_at)

    assert scheduling.tick() == 0
    assert len(runs(acme, pipeline)) == 1


def test_what_is_missed_by_hours_runs_once_when_people_want_that(acme: World) -> None:
    pipeline = make_pipeline(acme)
    one = schedule(acme, pipeline, late=LONG_AGO, misfire=Misfire.RUN_ONCE)

    assert scheduling.tick() == 1
    assert scheduling.tick() == 0

    assert len(runs(acme, pipeline)) == 1
    assert next_of(acme, one) > timezone.now()


def test_what_is_missed_by_hours_is_left_out_when_people_want_that(acme: World) -> None:
    pipeline = make_pipeline(acme)
    one = schedule(acme, pipeline, late=LONG_AGO, misfire=Misfire.SKIP)

    assert scheduling.tick() == 0

    assert runs(acme, pipeline) == []
    assert next_of(acme, one) > timezone.now()


def test_a_slot_during_a_run_is_skipped(acme: World) -> None:
    pipeline = make_pipeline(acme)
    start(acme, pipeline)
    one = schedule(acme, pipeline, overlap=Overlap.SKIP)

    assert scheduling.tick() == 0

    assert len(runs(acme, pipeline)) == 1
    assert next_of(acme, one) > timezone.now()


def test_a_slot_during_a_run_is_queued_once_and_starts_when_the_run_has_ended(
    acme: World,
) -> None:
    pipeline = make_pipeline(acme)
    start(acme, pipeline)
    taken = leases.claim_next("tests")
    assert taken is not None
    schedule(acme, pipeline, late=LONG_AGO, overlap=Overlap.QUEUE, misfire=Misfire.SKIP)
    assert scheduling.tick() == 0

    finish(taken)
    with acme.scope():  # it ended just now, so the scheduled time waited for it and was not missed
        Pipeline.objects.for_org(acme.org).update(last_run_finished_at=timezone.now())

    assert scheduling.tick() == 1
    assert scheduling.tick() == 0
    assert len(runs(acme, pipeline)) == 2


def test_a_slot_may_cancel_the_run_before_it(acme: World) -> None:
    pipeline = make_pipeline(acme)
    first = start(acme, pipeline)
    schedule(acme, pipeline, overlap=Overlap.CANCEL_OTHER)
    taken = leases.claim_next("tests")
    assert taken is not None

    assert scheduling.tick() == 0
    assert leases.is_cancel_requested(taken)
    with acme.scope():
        Run.objects.for_org(acme.org).filter(pk=first).update(
            status=Status.CANCELLED, lease=None, lease_until=None
        )

    assert scheduling.tick() == 1
    assert [run.status for run in runs(acme, pipeline)] == ["cancelled", "pending"]


def test_jitter_holds_a_run_back_but_not_its_slot(acme: World) -> None:
    pipeline = make_pipeline(acme)
    one = schedule(acme, pipeline, jitter_seconds=3600)

    scheduling.tick()

    (run,) = runs(acme, pipeline)
    assert run.slot == one.next_run_at
    assert run.not_before is not None
    assert run.not_before <= timezone.now() + timedelta(hours=1)


def test_a_paused_schedule_and_one_of_a_disabled_pipeline_do_not_fire(acme: World) -> None:
    disabled, paused = make_pipeline(acme, enabled=False), make_pipeline(acme)
    schedule(acme, disabled)
    schedule(acme, paused, paused_at=timezone.now())

    assert scheduling.tick() == 0
    assert runs(acme, disabled) == runs(acme, paused) == []


def test_a_schedule_that_waits_does_not_hold_up_the_others(acme: World) -> None:
    waiting, free = make_pipeline(acme), make_pipeline(acme)
    start(acme, waiting)
    schedule(acme, waiting, late=LONG_AGO, overlap=Overlap.QUEUE)
    schedule(acme, free)

    assert scheduling.tick() == 1
    assert len(runs(acme, free)) == 1


def test_a_daily_run_happens_once_on_the_days_clocks_change(acme: World) -> None:
    """At 02:30 in Berlin, which does not exist on 2026-03-29 and happens twice on 2026-10-25."""
    berlin = ZoneInfo("Europe/Berlin")
    for first in (datetime(2026, 3, 27, 3, tzinfo=UTC), datetime(2026, 10, 23, 3, tzinfo=UTC)):
        pipeline = make_pipeline(acme)
        one = schedule(
            acme, pipeline, cron="30 2 * * *", timezone="Europe/Berlin", next_run_at=first
        )
        now = first
        for _ in range(4 * 24):
            if scheduling.fire(org_id=acme.org.pk, schedule_id=one.pk, now=now):
                taken = leases.claim_next("tests")
                assert taken is not None
                finish(taken)
            now += timedelta(hours=1)

        days = [run.slot.astimezone(berlin).date() for run in runs(acme, pipeline) if run.slot]
        assert days == [first.date() + timedelta(days=n) for n in range(len(days))]
        assert len(days) >= 4
