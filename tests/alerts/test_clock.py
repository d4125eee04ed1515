"""Clocks that are set back or forward, and nights with 23 or 25 hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from apps.alerts.usual.history import history
from apps.background import health
from apps.runs.models import Run, Status
from tests.alerts.conftest import end_run
from tests.world import World, make_pipeline

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def ticks() -> Any:
    def write(*ages: int) -> None:
        """Store ticks of these ages in seconds, in this order."""
        with connection.cursor() as cursor:
            for age in ages:
                cursor.execute(
                    """INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, periodic_id)
                       VALUES (%s, extract(epoch FROM now())::bigint - %s, '')""",
                    [health.TICK_TASK, age],
                )

    return write


def scheduler_is_ok() -> bool:
    return {finding.part: finding.ok for finding in health.check_queue()}["scheduler"]


def test_ticks_of_before_the_clock_was_set_back_are_no_sign_of_life(ticks: Any) -> None:
    ticks(-3600)
    assert not scheduler_is_ok()
    ticks(5)  # the scheduler goes on with the new time
    assert scheduler_is_ok()


def test_a_heartbeat_of_before_the_clock_was_set_back_is_no_sign_of_life() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 hour')"
        )
        assert not {each.part: each.ok for each in health.check_queue()}["workers"]
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        assert {each.part: each.ok for each in health.check_queue()}["workers"]


@pytest.mark.parametrize(
    "night", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
)
def test_after_a_night_with_another_number_of_hours_the_runs_before_it_are_still_usual(
    world: World, night: datetime
) -> None:
    """In UTC the daily runs are an hour earlier or later from that night on."""
    zone = ZoneInfo("Europe/Paris")
    daily = {"cron": "30 3 * * *", "timezone": "Europe/Paris"}
    pipeline = make_pipeline(world, schedule=daily)
    times = [
        (night + timedelta(days=day)).replace(hour=3, minute=30, tzinfo=zone).astimezone(UTC)
        for day in range(-20, 12)
    ]
    with world.scope():
        for at in times[:-1]:
            run = end_run(world, pipeline, Status.SUCCEEDED, records_written=5)
            rows = Run.objects.for_org(world.org).filter(pk=run.pk)
            rows.update(created_at=at, finished_at=at + timedelta(minutes=1))
        found = history(org_id=world.org.pk, pipeline_id=pipeline.pk, version=1, at=times[-1])
    assert len(found.records) == len(times) - 1
    assert found.weekday == times[-1].astimezone(zone).weekday()
    assert [sample.weekday for sample in found.records].count(found.weekday) == 4
