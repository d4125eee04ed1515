"""Compare schedules with a clock that advances minute by minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.pipelines.schedules.cron import Cron, CronError, parse
from apps.pipelines.schedules.times import advance, jitter, next_times

MINUTE = timedelta(minutes=1)


@dataclass
class Planned:
    cron: str = ""
    interval_seconds: int | None = None
    timezone: str = "UTC"
    next_run_at: datetime | None = None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(cron: str, zone: str, after: str, count: int) -> list[str]:
    found = next_times(Planned(cron, timezone=zone), at(after), count)
    return [f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M%z}" for moment in found]


def names(cron: Cron, wall: datetime) -> bool:
    return cron.runs_on(wall.date()) and wall.hour in cron.hours and wall.minute in cron.minutes


def walked(text: str, zone_name: str, after: datetime, until: datetime) -> list[datetime]:
    """Every minute is checked; skipped local times count at the moment of the jump."""
    cron, zone = parse(text), ZoneInfo(zone_name)
    found = []
    moment = after.replace(second=0, microsecond=0)
    shown = moment.astimezone(zone)
    while moment < until:
        moment, before = moment + MINUTE, shown
        shown = moment.astimezone(zone)
        wall = shown.replace(tzinfo=None, fold=0)
        due = names(cron, wall) and (cron.every_hour or shown.fold == 0)
        if not cron.every_hour:
            skipped = before.replace(tzinfo=None, fold=0) + MINUTE
            while skipped < wall:
                due = due or names(cron, skipped)
                skipped += MINUTE
        if due and after < moment <= until:
            found.append(moment)
    return found


@st.composite
def field(draw: st.DrawFn, low: int, high: int) -> str:
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


crons = st.builds(
    "{} {} {} {} {}".format,
    field(0, 59),
    field(0, 23),
    st.just("*") | field(1, 28),
    st.just("*"),
    st.just("*") | field(0, 7),
)
# Forward, back; at midnight, by half an hour, at one minute past midnight; a day that was skipped.
days = st.sampled_from(
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
@given(crons, days, st.integers(0, 24 * 60 * 60))
def test_the_next_times_are_those_of_a_clock_walked_minute_by_minute(
    text: str, place: tuple[str, str], offset: int
) -> None:
    zone, day = place
    after = at(day) + timedelta(seconds=offset)
    until = after + timedelta(days=2)
    expected = walked(text, zone, after, until)
    found = next_times(Planned(text, timezone=zone), after, len(expected) + 1)
    assert found[: len(expected)] == expected
    assert all(moment > until for moment in found[len(expected) :])
    assert found == sorted(set(found))


def test_a_time_the_clock_skips_runs_at_the_end_of_the_gap() -> None:
    assert local("30 2 * * *", "Europe/Paris", "2026-03-28T00:00", 3) == [
        "28 02:30+0100",
        "29 03:00+0200",
        "30 02:30+0200",
    ]


def test_a_time_the_clock_shows_twice_runs_once() -> None:
    assert local("30 2 * * *", "Europe/Paris", "2026-10-24T20:00", 2) == [
        "25 02:30+0200",
        "26 02:30+0100",
    ]


def test_an_hourly_schedule_runs_every_hour_that_passes() -> None:
    assert local("0 * * * *", "Europe/Paris", "2026-10-24T23:30", 4) == [
        "25 02:00+0200",
        "25 02:00+0100",
        "25 03:00+0100",
        "25 04:00+0100",
    ]
    assert local("0 * * * *", "Europe/Paris", "2026-03-29T00:00", 2) == [
        "29 03:00+0200",
        "29 04:00+0200",
    ]


def test_the_29th_of_february_is_found_across_a_century_without_one() -> None:
    found = next_times(Planned("0 0 29 2 *"), at("2096-03-01"), 1)
    assert found == [at("2104-02-29")]


def test_a_restricted_day_and_weekday_are_either_or() -> None:
    found = local("0 0 13 * fri", "UTC", "2026-11-01", 4)
    assert [entry[:2] for entry in found] == ["06", "13", "20", "27"]


def test_names_and_seven_for_sunday_are_understood() -> None:
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
def test_an_invalid_cron_expression_names_the_error(text: str, message: str) -> None:
    with pytest.raises(CronError, match=message.replace("(", r"\(")):
        parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_cron_or_an_error(text: str) -> None:
    try:
        parse(text)
    except CronError:
        return


def test_a_late_scheduler_does_not_shift_an_interval() -> None:
    plan = Planned(interval_seconds=3600, next_run_at=at("2026-01-01T00:10"))
    assert advance(plan, at("2026-01-01T05:59")) == at("2026-01-01T06:10")
    assert advance(plan, at("2026-01-01T00:10")) == at("2026-01-01T01:10")
    fresh = Planned(interval_seconds=90)
    assert next_times(fresh, at("2026-01-01T00:00"), 2) == [
        at("2026-01-01T00:01:30"),
        at("2026-01-01T00:03:00"),
    ]


@given(st.integers(0, 3600), st.datetimes(timezones=st.just(UTC)))
def test_jitter_is_the_same_for_every_scheduler_and_within_its_bound(
    most: int, slot: datetime
) -> None:
    one = uuid4()
    assert jitter(one, slot, most) == jitter(one, slot.astimezone(ZoneInfo("Asia/Tokyo")), most)
    assert timedelta(0) <= jitter(one, slot, most) <= timedelta(seconds=most)
