"""The times of schedules are compared with a clock that advances minute by minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.pipelines.models import Misfire
from apps.pipelines.schedules.clock_changes import clock_changes
from apps.pipelines.schedules.cron import Cron, CronError, parse
from apps.pipelines.schedules.times import jitter, next_run_at, next_times

MINUTE = timedelta(minutes=1)


@dataclass
class PlannedSchedule:
    cron: str = ""
    interval_seconds: int | None = None
    timezone: str = "UTC"
    next_run_at: datetime | None = None
    misfire: str = Misfire.RUN_ONCE
    blackouts: list[dict[str, Any]] = field(default_factory=list)
    end_date: date | None = None


def utc_time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local_times(cron: str, zone: str, after: str, count: int) -> list[str]:
    moments = next_times(PlannedSchedule(cron, timezone=zone), utc_time(after), count)
    return [f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M%z}" for moment in moments]


def is_scheduled_at(cron: Cron, local_time: datetime) -> bool:
    return (
        cron.runs_on(local_time.date())
        and local_time.hour in cron.hours
        and local_time.minute in cron.minutes
    )


def times_by_clock(text: str, zone_name: str, after: datetime, until: datetime) -> list[datetime]:
    """Find the times by a check of every minute. A local time that the clock skips is due when the clock jumps."""
    cron, zone = parse(text), ZoneInfo(zone_name)
    times = []
    moment = after.replace(second=0, microsecond=0)
    local = moment.astimezone(zone)
    while moment < until:
        moment, previous = moment + MINUTE, local
        local = moment.astimezone(zone)
        local_time = local.replace(tzinfo=None, fold=0)
        is_due = is_scheduled_at(cron, local_time) and (cron.is_every_hour or local.fold == 0)
        if not cron.is_every_hour:
            skipped_time = previous.replace(tzinfo=None, fold=0) + MINUTE
            while skipped_time < local_time:
                is_due = is_due or is_scheduled_at(cron, skipped_time)
                skipped_time += MINUTE
        if is_due and after < moment <= until:
            times.append(moment)
    return times


@st.composite
def cron_fields(draw: st.DrawFn, low: int, high: int) -> str:
    number = st.integers(low, high)
    shape = draw(st.sampled_from(["*", "number", "list", "range", "step", "stepped range"]))
    if shape == "*":
        return "*"
    if shape == "number":
        return str(draw(number))
    if shape == "list":
        return ",".join(map(str, draw(st.lists(number, min_size=1, max_size=4))))
    if shape == "step":
        return f"*/{draw(st.integers(1, 20))}"
    first, last = sorted([draw(number), draw(number)])
    return f"{first}-{last}" + (f"/{draw(st.integers(1, 9))}" if "step" in shape else "")


cron_expressions = st.builds(
    "{} {} {} {} {}".format,
    cron_fields(0, 59),
    cron_fields(0, 23),
    st.just("*") | cron_fields(1, 28),
    st.just("*"),
    st.just("*") | cron_fields(0, 7),
)
# Days before a change of the clock: forward or back, at midnight, by half an hour, or by a whole day.
zones_and_days = st.sampled_from(
    [
        ("Europe/Paris", "2026-03-28"),
        ("Europe/Paris", "2026-10-24"),
        ("America/New_York", "2026-03-07"),
        ("America/New_York", "2026-10-31"),
        ("America/Havana", "2026-03-07"),
        ("America/Havana", "2026-10-31"),
        ("Asia/Beirut", "2026-03-28"),
        ("Australia/Lord_Howe", "2026-04-04"),
        ("Australia/Lord_Howe", "2026-10-03"),
        ("America/St_Johns", "2010-03-13"),
        ("America/St_Johns", "2010-11-06"),
        ("Pacific/Apia", "2011-12-29"),
        ("Africa/Casablanca", "2026-02-14"),
        ("Asia/Kathmandu", "2026-01-01"),
        ("UTC", "2028-02-28"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(cron_expressions, zones_and_days, st.integers(0, 24 * 60 * 60))
def test_the_next_times_are_those_of_a_clock_that_advances_by_minutes(
    text: str, zone_and_day: tuple[str, str], offset: int
) -> None:
    zone, day = zone_and_day
    after = utc_time(day) + timedelta(seconds=offset)
    until = after + timedelta(days=2)
    expected = times_by_clock(text, zone, after, until)
    times = next_times(PlannedSchedule(text, timezone=zone), after, len(expected) + 1)
    assert times[: len(expected)] == expected
    assert all(moment > until for moment in times[len(expected) :])
    assert times == sorted(set(times))


def test_a_local_time_that_the_clock_skips_runs_at_the_end_of_the_gap() -> None:
    assert local_times("30 2 * * *", "Europe/Paris", "2026-03-28T00:00", 3) == [
        "28 02:30+0100",
        "29 03:00+0200",
        "30 02:30+0200",
    ]


def test_a_local_time_that_occurs_twice_runs_once() -> None:
    assert local_times("30 2 * * *", "Europe/Paris", "2026-10-24T20:00", 2) == [
        "25 02:30+0200",
        "26 02:30+0100",
    ]


def changes_in_words(cron: str, zone: str, after: str = "2026-11-30T00:00") -> list[str]:
    found = clock_changes(PlannedSchedule(cron, timezone=zone), utc_time(after))
    return [change.in_words(ZoneInfo(zone)) for change in found]


def test_a_schedule_says_what_the_next_changes_of_the_clocks_do_to_its_times() -> None:
    assert changes_in_words("30 2 * * *", "Europe/Berlin") == [
        "02:30 does not exist on 28 March 2027: clocks go forward. It runs at 03:00 instead.",
        "02:30 occurs twice on 31 October 2027: clocks go back. It runs only the first time.",
    ]
    assert changes_in_words("0,30 2 * * *", "Europe/Berlin")[0].startswith(
        "02:00 and 02:30 do not exist on 28 March 2027: clocks go forward. It runs once, at 03:00"
    )
    assert changes_in_words("*/10 1-2 * 10 *", "Europe/Berlin") == [
        "The times from 02:00 to 02:50 occur twice on 31 October 2027: clocks go back. It runs only the first time."
    ]
    assert changes_in_words("15 2 * * *", "Australia/Lord_Howe")[0] == (
        "02:15 does not exist on 3 October 2027: clocks go forward. It runs at 02:30 instead."
    )


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        ("30 2 * * *", "UTC"),
        ("30 2 * * *", "Asia/Tokyo"),
        ("30 4 * * *", "Europe/Berlin"),
        ("30 2 * * 1-5", "Europe/Berlin"),  # clocks change on Sundays
        ("30 * * * *", "Europe/Berlin"),  # follows elapsed time
        ("30 2 29 2 *", "Europe/Berlin"),
    ],
)
def test_a_schedule_that_no_change_of_the_clocks_affects_says_nothing(cron: str, zone: str) -> None:
    assert changes_in_words(cron, zone) == []
    interval = PlannedSchedule(interval_seconds=3600, timezone=zone)
    assert clock_changes(interval, utc_time("2026-11-30")) == []


@settings(max_examples=100, deadline=None)
@given(cron_expressions, zones_and_days)
def test_what_a_schedule_says_about_changes_of_the_clocks_is_what_it_does(
    text: str, zone_and_day: tuple[str, str]
) -> None:
    name, day = zone_and_day
    zone, plan = ZoneInfo(name), PlannedSchedule(text, timezone=name)
    for change in clock_changes(plan, utc_time(day)):
        [run] = next_times(plan, change.runs_at - timedelta(seconds=1), 1)
        assert run == change.runs_at
        day_of_runs = next_times(plan, change.runs_at - timedelta(hours=30), 3000)
        for local_time in change.local_times:
            as_written = [
                moment
                for moment in day_of_runs
                if moment.astimezone(zone).replace(tzinfo=None, fold=0) == local_time
            ]
            assert len(as_written) == (0 if change.kind == "skipped" else 1)


def test_an_hourly_schedule_runs_once_in_every_elapsed_hour() -> None:
    assert local_times("0 * * * *", "Europe/Paris", "2026-10-24T23:30", 4) == [
        "25 02:00+0200",
        "25 02:00+0100",
        "25 03:00+0100",
        "25 04:00+0100",
    ]
    assert local_times("0 * * * *", "Europe/Paris", "2026-03-29T00:00", 2) == [
        "29 03:00+0200",
        "29 04:00+0200",
    ]


def test_the_next_29th_of_february_is_found_if_it_is_eight_years_later() -> None:
    times = next_times(PlannedSchedule("0 0 29 2 *"), utc_time("2096-03-01"), 1)
    assert times == [utc_time("2104-02-29")]


def test_a_day_of_month_and_a_weekday_are_combined_with_or() -> None:
    times = local_times("0 0 13 * fri", "UTC", "2026-11-01", 4)
    assert [entry[:2] for entry in times] == ["06", "13", "20", "27"]


def test_names_of_months_and_weekdays_and_seven_for_sunday_are_accepted() -> None:
    assert parse("0 0 * JAN-mar fri-sun") == parse("0 0 * 1-3 5-7")
    assert parse("0 0 * * 7") == parse("0 0 * * 0")
    assert parse("0 0 * * */2").weekdays == {0, 2, 4, 6}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("* * * * * *", "this has 6"),
        ("@daily", "this has 1"),
        ("", "this has 0"),
        ("60 * * * *", "minute: '60' is not between 0 and 59"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of week"),
        ("*/0 * * * *", "a step must be at least 1"),
        ("5-1 * * * *", "ends before it begins"),
        ("* * L * *", "day of month: 'L'"),
        ("* * * * mon#2", "'mon#2' is not a number"),
        ("1,,2 * * * *", "'' is not a number"),
        ("٣ * * * *", "is not a number"),
        ("99999999999999999999999999 * * * *", "is not between"),
        ("0 0 31 2,4 *", "would never run"),
        ("* * * * " + "1," * 100 + "1", "At most 100"),
    ],
)
def test_the_error_says_what_is_invalid_in_a_cron_expression(text: str, message: str) -> None:
    with pytest.raises(CronError, match=message.replace("(", r"\(")):
        parse(text)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_raises_a_cron_error(text: str) -> None:
    try:
        parse(text)
    except CronError:
        return


def test_a_late_scheduler_does_not_shift_an_interval() -> None:
    plan = PlannedSchedule(interval_seconds=3600, next_run_at=utc_time("2026-01-01T00:10"))
    assert next_run_at(plan, utc_time("2026-01-01T05:59")) == utc_time("2026-01-01T06:10")
    assert next_run_at(plan, utc_time("2026-01-01T00:10")) == utc_time("2026-01-01T01:10")
    new_plan = PlannedSchedule(interval_seconds=90)
    assert next_times(new_plan, utc_time("2026-01-01T00:00"), 2) == [
        utc_time("2026-01-01T00:01:30"),
        utc_time("2026-01-01T00:03:00"),
    ]


@given(st.integers(0, 3600), st.datetimes(timezones=st.just(UTC)))
def test_jitter_does_not_depend_on_the_time_zone_and_has_a_bound(
    max_seconds: int, slot: datetime
) -> None:
    pipeline_id = uuid4()
    assert jitter(pipeline_id, slot, max_seconds) == jitter(
        pipeline_id, slot.astimezone(ZoneInfo("Asia/Tokyo")), max_seconds
    )
    assert timedelta(0) <= jitter(pipeline_id, slot, max_seconds) <= timedelta(seconds=max_seconds)
