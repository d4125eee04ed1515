"""What is usual for a pipeline: of the same weekday and time of day, without outliers, and since the last change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from apps.alerts.usual import history as histories
from apps.alerts.usual.bands import MIN_RUNS, SPREADS, Sample, usual_band
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline, SourceChange
from apps.runs.models import Run, Status
from tests.alerts.conftest import add_webhook, end_run, log_of
from tests.alerts.receiver import Receiver
from tests.world import World, make_pipeline

DAY = timedelta(days=1)


def samples(values: Sequence[float], weekday: int | None = None) -> list[Sample]:
    """One sample a day, or all on one weekday."""
    return [
        Sample(value, number % 7 if weekday is None else weekday)
        for number, value in enumerate(values)
    ]


def test_with_few_runs_nothing_is_usual() -> None:
    assert usual_band(samples([5] * (MIN_RUNS - 1)), 0, sensitivity="normal") is None
    assert usual_band(samples([5] * MIN_RUNS), 0, sensitivity="normal") is not None


def test_a_value_that_never_changes_may_differ_by_half() -> None:
    band = usual_band(samples([1000] * 56), 3, sensitivity="normal")
    assert band is not None
    assert (round(band.low), round(band.usual), round(band.high)) == (670, 1000, 1492)


def test_each_weekday_has_a_range_of_its_own() -> None:
    weeks = [1000, 1010, 990, 1005, 995, 100, 102] * 8
    weekday, weekend = (usual_band(samples(weeks), day, sensitivity="normal") for day in (0, 5))
    assert weekday is not None
    assert weekend is not None
    assert weekend.high < weekday.low
    assert weekend.has_weekday
    assert weekend.runs == 56


def test_on_an_unknown_weekday_every_earlier_value_is_usual() -> None:
    band = usual_band(samples([1000] * 18 + [100] * 2, weekday=0), 6, sensitivity="normal")
    assert band is not None
    assert not band.has_weekday
    assert band.low <= 100.1


def test_an_incident_does_not_become_usual() -> None:
    normal = [1000, 1100, 900, 1050] * 14
    calm = usual_band(samples(normal, 0), 0, sensitivity="normal")
    after = usual_band(samples([*normal[:-5], 0, 0, 0, 90_000, 90_000], 0), 0, sensitivity="normal")
    assert calm is not None
    assert after is not None
    assert after.low > 500
    assert after.high < 2_000


def test_a_lasting_change_without_noise_becomes_usual_within_a_week() -> None:
    changed = [1000.0] * 56
    days = 0
    while True:
        band = usual_band(samples(changed[-56:]), len(changed) % 7, sensitivity="normal")
        assert band is not None
        if band.high >= 3000:
            break
        changed.append(3000)
        days += 1
    assert days == 6


@given(
    values=st.lists(st.floats(0, 1e12), min_size=MIN_RUNS, max_size=80),
    weekday=st.integers(0, 6),
)
def test_a_range_contains_its_centre_and_a_lower_sensitivity_contains_it(
    values: list[float], weekday: int
) -> None:
    bands = [usual_band(samples(values), weekday, sensitivity=name) for name in SPREADS]
    limits = [(band.low, band.usual, band.high) for band in bands if band is not None]
    assert len(limits) == len(SPREADS)
    for low, usual, high in limits:
        assert 0 <= low <= usual * (1 + 1e-9)
        assert usual <= high * (1 + 1e-9)
    lows, _, highs = zip(*limits, strict=True)
    assert list(lows) == sorted(lows)
    assert list(highs) == sorted(highs, reverse=True)


def add_runs(
    world: World, pipeline: Pipeline, ends: Sequence[tuple[datetime, float, int]], **columns: Any
) -> None:
    """Add successful runs: when each was created, its seconds and its records."""
    with world.scope():
        runs = Run.unscoped.bulk_create(
            Run(
                **{
                    "org": world.org,
                    "pipeline": pipeline,
                    "version": 1,
                    "status": Status.SUCCEEDED,
                    "trigger": "schedule",
                    "started_at": at,
                    "finished_at": at + timedelta(seconds=seconds),
                    "records_written": records,
                    **columns,
                }
            )
            for at, seconds, records in ends
        )
        for run, (at, _, _) in zip(runs, ends, strict=True):
            Run.objects.for_org(world.org).filter(pk=run.pk).update(created_at=at)


def daily(
    days: int = 56, *, seconds: float = 60, records: int = 1000
) -> list[tuple[datetime, float, int]]:
    """Runs at this time of each of the last days."""
    now = timezone.now()
    return [(now - number * DAY, seconds, records + number) for number in range(1, days + 1)]


def read(
    world: World, pipeline: Pipeline, *, version: int = 1, at: datetime | None = None
) -> histories.History:
    with world.scope():
        return histories.history(
            org_id=world.org.pk, pipeline_id=pipeline.pk, version=version, at=at or timezone.now()
        )


def test_an_hourly_pipeline_is_compared_with_this_hour_of_other_days(world: World) -> None:
    pipeline = make_pipeline(world)
    now = timezone.now()
    hourly = [(now - timedelta(hours=hour), 60.0, hour % 24) for hour in range(1, 24 * 20)]
    add_runs(world, pipeline, hourly)
    found = {sample.value for sample in read(world, pipeline).records}
    assert found == {23, 0, 1}


def test_with_few_runs_at_this_time_of_day_the_newest_runs_count(world: World) -> None:
    pipeline = make_pipeline(world)
    moved = [(at - timedelta(hours=5), seconds, records) for at, seconds, records in daily(20)]
    add_runs(world, pipeline, moved)
    assert len(read(world, pipeline).records) == 20


def test_other_runs_do_not_count(world: World) -> None:
    pipeline, other = make_pipeline(world), make_pipeline(world)
    add_runs(world, other, daily())
    add_runs(world, pipeline, daily(), trigger="replay")
    add_runs(world, pipeline, daily(), status=Status.FAILED)
    add_runs(world, pipeline, [(timezone.now() - 70 * DAY, 60, 5)])
    assert read(world, pipeline).records == []


def test_after_a_change_of_the_definition_only_its_runs_count_once_there_are_enough(
    world: World,
) -> None:
    pipeline = make_pipeline(world)
    add_runs(world, pipeline, daily(40, records=1000))
    add_runs(world, pipeline, daily(MIN_RUNS - 1, records=5), version=2)
    assert len(read(world, pipeline, version=2).records) == 40 + MIN_RUNS - 1
    add_runs(world, pipeline, [(timezone.now() - 11 * DAY, 60, 5)], version=2)
    assert len(read(world, pipeline, version=2).records) == MIN_RUNS


def test_the_weekday_is_that_of_the_time_zone_of_the_schedule(world: World) -> None:
    schedule = {"cron": "0 1 * * *", "timezone": "Asia/Tokyo"}
    pipeline = make_pipeline(world, schedule=schedule)
    found = read(
        world, pipeline, at=datetime(2026, 3, 1, 16, tzinfo=UTC)
    )  # Sunday, in Tokyo Monday
    assert (found.weekday, found.timezone) == (0, "Asia/Tokyo")


def events_of(world: World, channel: UUID) -> list[dict[str, Any]]:
    return [row["event"] for row in log_of(world, channel=channel)]


def end(
    world: World, pipeline: Pipeline, *, seconds: float = 60, records: int = 1000, **columns: Any
) -> Run:
    now = timezone.now()
    return end_run(
        world,
        pipeline,
        Status.SUCCEEDED,
        started_at=now - timedelta(seconds=seconds),
        records_written=records,
        **columns,
    )


def test_a_slow_run_is_told_and_the_next_usual_one_closes_the_alert(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver, kind="slow")
    pipeline = make_pipeline(world)
    add_runs(world, pipeline, daily(seconds=600))
    for seconds in (660, 3600, 3700):
        end(world, pipeline, seconds=seconds)
    end_run(world, pipeline)  # a failure shows nothing about the duration
    end(world, pipeline, seconds=600)
    opened, closed = events_of(world, channel)
    assert opened["summary"].startswith("took 60 minutes, and usually 10 minutes and at most 1")
    assert opened["measurement"]["unit"] == "seconds"
    assert opened["measurement"]["value"] >= 3600 > opened["measurement"]["high"]
    assert closed["summary"] == "is no longer slow: its last run took as long as usual"


def test_a_short_run_is_not_slow_if_it_took_less_than_a_minute_longer(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver, kind="slow")
    pipeline = make_pipeline(world)
    add_runs(world, pipeline, daily(seconds=5))
    end(world, pipeline, seconds=50)
    assert events_of(world, channel) == []


@pytest.mark.parametrize("records", [0, 50, 90_000])
def test_an_unusual_number_of_records_is_told(
    world: World, receiver: Receiver, records: int
) -> None:
    channel = add_webhook(world, receiver, kind="volume")
    pipeline = make_pipeline(world)
    add_runs(world, pipeline, daily(records=1000))
    for number in (1000, records, 1000):
        end(world, pipeline, records=number)
    opened, closed = events_of(world, channel)
    assert opened["summary"].startswith(f"wrote {records:,} records, and usually 1,0")
    assert opened["measurement"]["value"] == records
    assert closed["kind"] == "closed"


def test_no_records_are_usual_if_many_runs_before_had_none(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver, kind="volume")
    pipeline = make_pipeline(world)
    now = timezone.now()
    varying = [(now - day * DAY, 60.0, 0 if day % 5 == 0 else 1000) for day in range(1, 57)]
    add_runs(world, pipeline, varying)
    end(world, pipeline, records=0)
    assert events_of(world, channel) == []


def test_too_many_rejected_records_are_told_without_any_earlier_run(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver, kind="volume", settings={"rejected_percent": 20})
    pipeline = make_pipeline(world)
    end(world, pipeline, records_read=1000, records_rejected=200)
    assert events_of(world, channel) == []
    end(world, pipeline, records_read=1000, records_rejected=201)
    (opened,) = events_of(world, channel)
    assert opened["summary"] == "rejected 201 of 1,000 records, which is 20%"


def test_a_change_at_the_source_is_told(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver, kind="source_changed")
    pipeline = make_pipeline(world)
    running = end(world, pipeline)
    with world.scope():
        for column in ("a", "b", "c", "d", "e"):
            SourceChange.unscoped.create(
                org=world.org,
                pipeline=pipeline,
                run_id=running.pk,
                stream="orders",
                kind="column_added",
                column=column,
            )
    judge_again(world, running)
    end(world, pipeline)
    opened, closed = events_of(world, channel)
    assert opened["summary"] == (
        "has changed at its source: new column orders.a; new column orders.b; new column orders.c; and 2 more"
    )
    assert closed["summary"] == "has found no further change at its source"


def judge_again(world: World, run: Run) -> None:
    """Decide about a run whose changes were added after its end."""
    from apps.alerts.deciding import undecided
    from apps.runs import snapshots

    with world.scope():
        undecided.on_end(world.org.pk, snapshots.run(org_id=world.org.pk, run_id=run.pk))


def test_history_is_not_read_without_a_rule_that_needs_it(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fetch = histories._fetch

    def counted(*arguments: Any) -> Any:
        calls.append("read")
        return fetch(*arguments)

    monkeypatch.setattr(histories, "_fetch", counted)
    pipeline = make_pipeline(world)
    add_runs(world, pipeline, daily())
    end(world, pipeline)
    assert calls == []
    add_webhook(world, receiver, kind="slow")
    add_webhook(world, receiver_named(receiver, "other"), kind="volume")
    end(world, pipeline)
    assert calls == ["read"]


def receiver_named(receiver: Receiver, name: str) -> Any:
    """The same receiver under another URL, because the names of channels are unique."""

    class Named:
        url = f"{receiver.url}/{name}"

    return Named()


def usual(world: World, pipeline: Pipeline, role: Role = Role.VIEWER, **query: Any) -> Any:
    return world.client(role).get(f"/api/v1/pipelines/{pipeline.pk}/usual", query)


def test_the_usual_ranges_of_each_weekday_are_shown_to_viewers(world: World) -> None:
    pipeline = make_pipeline(world)
    add_runs(world, pipeline, daily(records=1000, seconds=60))
    answer = usual(world, pipeline)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["timezone"], body["runs"], len(body["weekdays"])) == ("UTC", 56, 7)
    for number, day in enumerate(body["weekdays"], start=1):
        assert day["weekday"] == number
        assert day["records"]["low"] < day["records"]["usual"] < day["records"]["high"]
        assert day["seconds"]["has_weekday"]
    wide = usual(world, pipeline, sensitivity="low").json()["weekdays"][0]["records"]
    assert wide["high"] > body["weekdays"][0]["records"]["high"]


def test_without_runs_nothing_is_usual(world: World) -> None:
    body = usual(world, make_pipeline(world)).json()
    assert body["runs"] == 0
    assert {(day["seconds"], day["records"]) for day in body["weekdays"]} == {(None, None)}


def test_a_stranger_gets_404(world: World, stranger: World) -> None:
    pipeline = make_pipeline(world)
    assert usual(stranger, pipeline, Role.OWNER).status_code == 404
