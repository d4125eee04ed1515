"""A pipeline is late if its schedule promised newer data, and failing if its last run failed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps as installed_apps
from django.db import connection
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.pipelines import services as pipelines
from apps.pipelines.models import Misfire, Pipeline, Schedule
from apps.pipelines.schedules import services as schedules
from apps.pipelines.schedules.freshness import compute_late_at
from apps.pipelines.schedules.times import next_times
from apps.runs import scheduling, states
from apps.runs.models import Backfill, Run, Status
from tests.pipelines.test_schedules import PlannedSchedule as Plan
from tests.world import World, make_pipeline

MINUTES, HOURS = timedelta(minutes=1), timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "late_at"),
    [
        ("0 * * * *", "UTC", "2026-03-01T10:01", "2026-03-01T11:30"),
        ("*/5 * * * *", "UTC", "2026-03-01T10:01", "2026-03-01T10:15"),
        ("0 6 * * *", "UTC", "2026-03-01T06:05", "2026-03-02T08:00"),
        # The clocks in Paris skip 02:30 on 29 March, and repeat 02:30 on 25 October.
        ("30 2 * * *", "Europe/Paris", "2026-03-28T02:00", "2026-03-29T03:00"),
        ("30 2 * * *", "Europe/Paris", "2026-10-24T01:00", "2026-10-25T02:30"),
        ("0 0 1 1 *", "UTC", "2026-03-01T10:01", "2027-01-01T02:00"),
    ],
)
def test_a_pipeline_is_late_half_an_interval_after_the_next_slot(
    cron: str, zone: str, after: str, late_at: str
) -> None:
    assert compute_late_at(Plan(cron, timezone=zone), after=utc(after)) == utc(late_at)


def test_an_interval_counts_from_its_planned_time() -> None:
    plan = Plan(interval_seconds=3600, next_run_at=utc("2026-03-01T12:15"))
    assert compute_late_at(plan, after=utc("2026-03-01T10:20")) == utc("2026-03-01T11:45")


def test_long_runs_and_jitter_extend_the_allowance() -> None:
    plan, after = Plan("0 * * * *"), utc("2026-03-01T10:01")
    late_at = compute_late_at(plan, after=after, last_duration=HOURS, jitter_seconds=600)
    assert late_at == utc("2026-03-01T13:10")


def test_a_schedule_that_has_no_more_slots_is_never_late() -> None:
    assert compute_late_at(Plan("0 0 1 1 *"), after=utc("9998-12-31T23:00")) is None


START_OF_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
TIMES_OF_YEAR = st.integers(0, 365 * 86400).map(lambda n: START_OF_YEAR + timedelta(seconds=n))
PLANS = st.one_of(
    st.builds(
        Plan,
        cron=st.sampled_from(
            ["*/7 * * * *", "0 * * * *", "30 2 * * *", "15 1-3 * * *", "0 0 * * 1", "0 5 31 * *"]
        ),
        timezone=st.sampled_from(
            ["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"]
        ),
    ),
    st.builds(
        Plan,
        interval_seconds=st.integers(60, 40 * 86400),
        next_run_at=TIMES_OF_YEAR,
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    plan=PLANS,
    after=TIMES_OF_YEAR,
    delays=st.lists(st.integers(0, 600), min_size=5, max_size=5),
    duration=st.integers(0, 20000),
)
def test_punctual_pipelines_are_never_late_and_silent_ones_are_late_soon(
    plan: Plan, after: datetime, delays: list[int], duration: int
) -> None:
    """The clocks change in these years. A run ends within ten minutes of each slot, and then the runs stop."""
    success = after
    for delay in delays:
        slot = next_times(plan, success, 1)[0]
        late_at = compute_late_at(plan, after=success)
        success = slot + timedelta(seconds=delay)
        assert late_at is not None
        assert late_at >= success
    last_duration = timedelta(seconds=duration)
    late_at = compute_late_at(plan, after=success, last_duration=last_duration)
    missed = next_times(plan, success, 1)[0]
    assert late_at is not None
    assert 10 * MINUTES <= late_at - missed <= max(2 * HOURS, 2 * last_duration)


def end_run(world: World, pipeline: Pipeline, status: str, **fields: Any) -> None:
    """Move a new run of the pipeline to this state, as a worker does."""
    with world.scope():
        now = timezone.now()
        run = Run.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, status=Status.RUNNING, started_at=now,
            lease=uuid4(), lease_until=now, **{"trigger": "manual", **fields},
        )  # fmt: skip
        assert states.move(
            org_id=world.org.pk,
            run_id=run.pk,
            before=Status.RUNNING,
            after=Status(status),
            finished_at=now,
        )


def show(world: World, pipeline: Pipeline) -> dict[str, Any]:
    """Return the freshness of the pipeline. The list says the same as the pipeline itself."""
    client = world.client(Role.VIEWER)
    detail = client.get(f"/api/v1/pipelines/{pipeline.pk}").json()
    names = ("freshness", "last_success_at", "failing_since", "late_at")
    shown = {name: detail[name] for name in names}
    listed = client.get("/api/v1/pipelines", {"freshness": shown["freshness"]}).json()["results"]
    (row,) = (row for row in listed if row["id"] == str(pipeline.pk))
    assert {name: row[name] for name in names} == shown
    return shown


def freshness(world: World, pipeline: Pipeline) -> str:
    return str(show(world, pipeline)["freshness"])


def make_late(world: World, pipeline: Pipeline) -> None:
    with world.scope():
        Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk).update(
            late_at=timezone.now() - HOURS
        )


def test_a_success_makes_a_scheduled_pipeline_fresh_and_a_failure_makes_it_failing(
    world: World,
) -> None:
    pipeline = make_pipeline(world, schedule="0 * * * *")
    assert freshness(world, pipeline) == "none"
    end_run(world, pipeline, "succeeded")
    assert freshness(world, pipeline) == "fresh"
    end_run(world, pipeline, "failed")
    first = show(world, pipeline)
    assert first["freshness"] == "failing"
    end_run(world, pipeline, "failed")
    end_run(world, pipeline, "cancelled")
    assert show(world, pipeline) == first, "it fails since the first failure"
    end_run(world, pipeline, "succeeded")
    assert freshness(world, pipeline) == "fresh"


def test_a_pipeline_without_a_success_in_time_is_late_until_a_run_succeeds(world: World) -> None:
    pipeline = make_pipeline(world, schedule="0 * * * *")
    make_late(world, pipeline)
    assert freshness(world, pipeline) == "late"
    end_run(world, pipeline, "failed")
    assert freshness(world, pipeline) == "failing"
    end_run(world, pipeline, "succeeded")
    assert freshness(world, pipeline) == "fresh"


def test_a_slot_that_the_misfire_policy_skips_is_late_all_the_same(world: World) -> None:
    schedule = {"cron": "0 * * * *", "misfire": Misfire.SKIP}
    pipeline = make_pipeline(world, schedule=schedule)
    make_late(world, pipeline)
    with world.scope():
        row = Schedule.objects.for_org(world.org).get(pipeline=pipeline)
        Schedule.objects.for_org(world.org).update(next_run_at=timezone.now() - 3 * HOURS)
    assert not scheduling.handle_due_schedule(org_id=world.org.pk, schedule_id=row.pk)
    assert freshness(world, pipeline) == "late"


def test_without_an_active_schedule_a_pipeline_is_neither_late_nor_fresh(world: World) -> None:
    pipeline = make_pipeline(world, schedule="0 * * * *")
    end_run(world, pipeline, "succeeded")
    make_late(world, pipeline)
    change = {"org": world.org, "by": SYSTEM, "pipeline_id": pipeline.pk}

    with world.scope():
        schedules.pause(**change)
    assert (freshness(world, pipeline), show(world, pipeline)["late_at"]) == ("none", None)
    with world.scope():
        schedules.resume(**change)
    assert freshness(world, pipeline) == "fresh", "what was due before does not count any more"
    with world.scope():
        pipelines.set_enabled(**change, enabled=False)
    assert (freshness(world, pipeline), show(world, pipeline)["late_at"]) == ("none", None)
    with world.scope():
        pipelines.set_enabled(**change, enabled=True)
    assert freshness(world, pipeline) == "fresh"
    with world.scope():
        pipelines.update(**change, changes={"schedule": None})
    assert (freshness(world, pipeline), show(world, pipeline)["late_at"]) == ("none", None)


def test_a_changed_schedule_changes_when_the_pipeline_is_late(world: World) -> None:
    pipeline = make_pipeline(world, schedule="0 0 1 1 *")
    before = show(world, pipeline)["late_at"]
    with world.scope():
        pipelines.update(
            org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes={"schedule": "* * * * *"}
        )
    assert show(world, pipeline)["late_at"] < before


def test_backfills_and_replays_change_nothing(world: World) -> None:
    pipeline = make_pipeline(world, schedule="0 * * * *")
    before = show(world, pipeline)
    with world.scope():
        backfill = Backfill.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, stream="generated", mode="merge",
            bounds=[None, None], rows_counted=True,
        )  # fmt: skip
    for status in ("succeeded", "failed"):
        end_run(world, pipeline, status, trigger="replay")
        end_run(world, pipeline, status, trigger="backfill", backfill=backfill)
    assert show(world, pipeline) == before


def test_an_unknown_freshness_is_refused(world: World) -> None:
    response = world.client().get("/api/v1/pipelines", {"freshness": "stale"})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "freshness")


def test_the_migration_fills_existing_pipelines(world: World) -> None:
    names = ("fresh", "failing", "late", "manual", "new")
    rows = {
        name: make_pipeline(world, name=name, schedule=None if name == "manual" else "0 * * * *")
        for name in names
    }
    for name in ("fresh", "failing", "late", "manual"):
        end_run(world, rows[name], "succeeded")
    end_run(world, rows["failing"], "failed")
    end_run(world, rows["fresh"], "failed", trigger="replay")
    with world.scope():
        runs, schedule_rows = Run.objects.for_org(world.org), Schedule.objects.for_org(world.org)
        runs.filter(pipeline=rows["late"]).update(finished_at=timezone.now() - 9 * HOURS)
        schedule_rows.filter(pipeline=rows["late"]).update(updated_at=timezone.now() - 10 * HOURS)
        Pipeline.objects.for_org(world.org).update(
            last_success_at=None, last_success_seconds=None, failing_since=None, late_at=None
        )
        migration = import_module("apps.runs.migrations.0024_freshness")
        with connection.cursor() as cursor:
            cursor.execute(migration.COPY_RUNS)
        migration.set_late_at(installed_apps, None)
    found = {name: freshness(world, rows[name]) for name in names}
    assert found == {
        "fresh": "fresh", "failing": "failing", "late": "late", "manual": "none", "new": "none"
    }  # fmt: skip
    assert show(world, rows["manual"])["last_success_at"] is not None


def test_a_pipeline_is_not_late_before_it_could_run_after_a_blackout() -> None:
    nights = {"weekdays": ["sunday", "monday"], "start": "22:00", "end": "06:00"}
    plan = Plan("30 21 * * *", blackouts=[nights])  # 1 March 2026 is a Sunday
    assert compute_late_at(plan, after=utc("2026-03-01T12:00")) == utc("2026-03-02T08:00")
    plan.cron = "0 23 * * *"
    assert compute_late_at(plan, after=utc("2026-03-01T12:00")) == utc("2026-03-02T08:00")


def test_a_pipeline_whose_schedule_has_ended_is_not_late() -> None:
    plan = Plan("0 6 * * *", end_date=date(2026, 3, 1))
    assert compute_late_at(plan, after=utc("2026-02-28T12:00")) == utc("2026-03-01T06:10")
    assert compute_late_at(plan, after=utc("2026-03-01T06:05")) is None
