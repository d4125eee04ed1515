"""A pipeline that is late, or has no new data, is told by the clock. A run that brings data closes the alert."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.alerts.deciding import by_time
from apps.alerts.deciding.by_time import NOT_WATCHED
from apps.alerts.models import Alert
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.pipelines import services as pipelines
from apps.pipelines.models import Pipeline, Schedule
from apps.pipelines.schedules import services as schedules
from apps.runs.models import Run, Status
from tests.alerts.conftest import add_rule, add_webhook, deliver, end_run, log_of
from tests.alerts.receiver import Receiver
from tests.runs.claiming.test_blackouts import today
from tests.world import World, make_pipeline

HOURLY = {"cron": "0 * * * *", "timezone": "Europe/Paris"}
DAY = timedelta(days=1)


def make_late(world: World, *, by: timedelta = timedelta(minutes=1), **fields: Any) -> Pipeline:
    """Create a pipeline that is late since `by`."""
    pipeline: Pipeline = make_pipeline(world, **{"schedule": HOURLY, **fields})
    change(world, pipeline, late_at=timezone.now() - by)
    return pipeline


def make_stale(world: World, *, hours: int = 30, **fields: Any) -> Pipeline:
    """Create a pipeline that nobody has changed for these hours. It has no runs."""
    pipeline: Pipeline = make_pipeline(world, **fields)
    before = timezone.now() - timedelta(hours=hours)
    change(world, pipeline, created_at=before, updated_at=before)
    with world.scope():
        Schedule.objects.for_org(world.org).filter(pipeline=pipeline).update(updated_at=before)
    return pipeline


def change(world: World, pipeline: Pipeline, **columns: Any) -> None:
    with world.scope():
        assert Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk).update(**columns) == 1


def events_of(world: World, channel: UUID) -> list[dict[str, Any]]:
    return [row["event"] for row in log_of(world, channel=channel)]


def test_a_late_pipeline_is_told_once_and_a_success_closes_the_alert(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver, kind="late")
    pipeline = make_late(world, name="Orders")
    assert [by_time.tick(), by_time.tick()] == [1, 0]
    end_run(world, pipeline, Status.SUCCEEDED)
    by_time.tick()

    opened, closed = events_of(world, channel)
    assert (opened["kind"], closed["kind"]) == ("opened", "closed")
    assert opened["summary"].startswith("is late: a run was due to succeed by ")
    assert opened["summary"].endswith("and none has succeeded yet")
    assert (opened["run"], opened["failure"], opened["pipeline"]["name"]) == (None, None, "Orders")
    assert closed["summary"] == "is no longer late: a run has succeeded"
    assert closed["run"]["status"] == "succeeded"
    deliver(world, channel)
    assert receiver.messages[0]["events"] == [opened, closed]


def test_tolerance_is_added_to_the_allowance(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver, kind="late", settings={"tolerance_minutes": 30})
    pipeline = make_late(world, by=timedelta(minutes=29))
    assert by_time.tick() == 0
    change(world, pipeline, late_at=timezone.now() - timedelta(minutes=31))
    assert by_time.tick() == 1


def test_a_pipeline_that_fails_is_not_late(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver, kind="late")
    pipeline = make_late(world)
    end_run(world, pipeline)
    assert by_time.tick() == 0
    assert events_of(world, channel) == []


def test_a_late_pipeline_that_then_fails_stays_late_until_it_succeeds(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver, kind="late")
    pipeline = make_late(world)
    by_time.tick()
    end_run(world, pipeline)
    assert by_time.tick() == 0
    assert [event["kind"] for event in events_of(world, channel)] == ["opened"]


def test_a_clock_that_was_set_forward_and_back_closes_what_it_has_opened(
    world: World, receiver: Receiver
) -> None:
    """To the pipeline, a clock that is set back looks like a time of lateness that moves to the future."""
    channel = add_webhook(world, receiver, kind="late")
    pipeline = make_late(world)
    by_time.tick()
    change(world, pipeline, late_at=timezone.now() + DAY)
    assert [by_time.tick(), by_time.tick()] == [1, 0]
    assert events_of(world, channel)[-1]["summary"] == NOT_WATCHED


def disable(world: World, pipeline: Pipeline) -> None:
    with world.scope():
        pipelines.update(
            org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes={"enabled": False}
        )


def pause(world: World, pipeline: Pipeline) -> None:
    with world.scope():
        schedules.pause(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk)


@pytest.mark.parametrize("stop", [disable, pause])
@pytest.mark.parametrize(("kind", "make"), [("late", make_late), ("stale", make_stale)])
def test_a_disabled_or_paused_pipeline_opens_nothing_and_closes_what_is_open(
    world: World,
    receiver: Receiver,
    stop: Callable[[World, Pipeline], None],
    kind: str,
    make: Callable[..., Pipeline],
) -> None:
    channel = add_webhook(world, receiver, kind=kind)
    told, silent = make(world, schedule=HOURLY), make(world, schedule=HOURLY)
    before: datetime = timezone.now() - 2 * DAY
    stop(world, silent)
    change(world, silent, updated_at=before)
    with world.scope():
        Schedule.objects.for_org(world.org).update(updated_at=before)
    assert by_time.tick() == 1
    stop(world, told)
    assert by_time.tick() == 1
    events = events_of(world, channel)
    assert {event["pipeline"]["id"] for event in events} == {str(told.pk)}
    assert [event["summary"] for event in events][1:] == [NOT_WATCHED]


@pytest.mark.parametrize("column", ["suspended_at", "deletion_at"])
def test_a_suspended_or_deleted_org_opens_and_closes_nothing_until_it_is_back(
    world: World, receiver: Receiver, column: str
) -> None:
    channel = add_webhook(world, receiver, kind="late")
    told, later = make_late(world), make_late(world, name="Later")
    change(world, later, late_at=timezone.now() + DAY)
    by_time.tick()

    def set_org(value: datetime | None) -> None:
        with world.scope():
            Org.objects.filter(pk=world.org.pk).update(**{column: value})

    set_org(timezone.now())
    change(world, told, late_at=timezone.now() + DAY)
    change(world, later, late_at=timezone.now() - DAY)
    assert by_time.tick() == 0
    set_org(None)
    assert by_time.tick() == 2
    kinds = [event["kind"] for event in events_of(world, channel)]
    assert sorted(kinds) == ["closed", "opened", "opened"]


def test_a_pipeline_is_stale_if_no_run_has_written_a_record(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver, kind="stale", settings={"hours": 24})
    pipeline = make_stale(world)
    end_run(world, pipeline, Status.SUCCEEDED)  # without a record
    assert by_time.tick() == 1
    end_run(world, pipeline, Status.SUCCEEDED)
    end_run(world, pipeline)
    end_run(world, pipeline, Status.SUCCEEDED, records_written=1)
    assert [event["summary"] for event in events_of(world, channel)] == [
        "has had no new data for 24 hours",
        "has new data again",
    ]
    assert by_time.tick() == 0


@pytest.mark.parametrize(("age", "expected"), [(timedelta(hours=23), 0), (timedelta(hours=25), 1)])
def test_the_hours_of_a_stale_rule_count_from_the_end_of_the_last_run_with_records(
    world: World, receiver: Receiver, age: timedelta, expected: int
) -> None:
    add_webhook(world, receiver, kind="stale", settings={"hours": 24})
    pipeline = make_stale(world, hours=100)
    run = end_run(world, pipeline, Status.SUCCEEDED, records_written=1)
    end = timezone.now() - age
    with world.scope():
        rows = Run.objects.for_org(world.org).filter(pk=run.pk)
        rows.update(created_at=end - DAY, finished_at=end)  # it has run for a day
    assert by_time.tick() == expected


def test_a_rule_by_time_applies_to_its_scope_only(world: World, receiver: Receiver) -> None:
    tagged = make_late(world, name="Tagged", tags=["daily"])
    single = make_late(world, name="Single")
    make_late(world, name="Other")
    channel = add_webhook(world, receiver, kind="late", scope="tag", tag="daily")
    add_rule(world, channel, kind="late", scope="pipeline", scope_id=str(single.pk))
    assert by_time.tick() == 2
    told = {event["pipeline"]["name"] for event in events_of(world, channel)}
    assert told == {tagged.name, single.name}


def test_rules_of_another_org_find_nothing_here(
    world: World, stranger: World, receiver: Receiver
) -> None:
    add_webhook(stranger, receiver, kind="late")
    make_late(world)
    assert by_time.tick() == 0


def test_one_pipeline_with_a_fault_does_not_keep_the_others_from_being_watched(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = add_webhook(world, receiver, kind="late")
    broken = make_late(world, name="Broken")
    make_late(world, name="Works")
    watch = by_time.watch

    def fail_for_one(*, org_id: UUID, pipeline_id: UUID) -> bool:
        if pipeline_id == broken.pk:
            raise ZeroDivisionError
        return watch(org_id=org_id, pipeline_id=pipeline_id)

    monkeypatch.setattr(by_time, "watch", fail_for_one)
    with pytest.raises(ZeroDivisionError):
        by_time.tick()
    assert [event["pipeline"]["name"] for event in events_of(world, channel)] == ["Works"]


def test_a_tick_that_finds_nothing_makes_one_query(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver, kind="late")
    for _ in range(3):
        make_pipeline(world, schedule=HOURLY)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert by_time.tick() == 0
    assert len(captured) == 1


def test_a_disabled_rule_opens_nothing_and_closes_quietly(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver, kind="late")
    pipeline = make_late(world)
    by_time.tick()
    client = world.client()
    (rule,) = [
        each
        for each in client.get("/api/v1/alerts/rules").json()["results"]
        if each["channel_ids"] == [str(channel)]
    ]
    client.patch(f"/api/v1/alerts/rules/{rule['id']}", {"enabled": False})
    make_late(world, name="Another")
    assert by_time.tick() == 0
    end_run(world, pipeline, Status.SUCCEEDED)
    assert [event["kind"] for event in events_of(world, channel)] == ["opened"]
    with world.scope():
        assert not Alert.objects.for_org(world.org).filter(closed_at=None).exists()


def test_a_pipeline_that_succeeds_after_the_statement_has_found_it_is_not_told(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver, kind="late")
    pipeline = make_late(world)
    change(world, pipeline, late_at=timezone.now() + DAY)
    assert not by_time.watch(org_id=world.org.pk, pipeline_id=pipeline.pk)
    assert events_of(world, channel) == []


def test_the_owners_of_a_new_org_are_told_that_a_pipeline_is_late_for_half_an_hour(
    world: World,
) -> None:
    pipeline = make_late(world, name="Orders", by=timedelta(minutes=29))
    assert by_time.tick() == 0
    change(world, pipeline, late_at=timezone.now() - timedelta(minutes=31))
    assert by_time.tick() == 1
    (row,) = log_of(world)
    deliver(world, row["channel"]["id"])
    (message,) = mail.outbox
    assert message.subject == "Late: “Orders”"
    assert f"/pipelines/{pipeline.pk}" in str(message.body)


def set_blackouts(world: World, pipeline: Pipeline, *windows: dict[str, Any]) -> None:
    with world.scope():
        rows = Schedule.objects.for_org(world.org).filter(pipeline=pipeline)
        assert rows.update(blackouts=list(windows)) == 1


def test_a_pipeline_is_not_late_within_a_blackout(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver, kind="late")
    pipeline = make_late(world)
    set_blackouts(world, pipeline, today())
    assert by_time.tick() == 0
    set_blackouts(world, pipeline)
    assert by_time.tick() == 1


def test_the_hours_of_a_blackout_are_not_hours_without_new_data(
    world: World, receiver: Receiver
) -> None:
    """Of the last 54 hours, at least 30 are within the blackout, which has ended."""
    add_webhook(world, receiver, kind="stale", settings={"hours": 26})
    stale = make_stale(world, hours=54, schedule=HOURLY)
    set_blackouts(world, stale, today())
    assert by_time.tick() == 0
    now = timezone.now().astimezone(ZoneInfo("Europe/Paris"))
    yesterday = str((now - DAY).date())
    before = str((now - 2 * DAY).date())
    set_blackouts(world, stale, {"first_day": before, "last_day": yesterday})
    assert by_time.tick() == 0
    set_blackouts(world, stale, {"first_day": "2020-01-01", "last_day": "2020-01-02"})
    assert by_time.tick() == 1
