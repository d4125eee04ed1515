"""A schedule has no time within a blackout, also when clocks change, and none after its end date."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.pipelines.models import Misfire
from apps.pipelines.schedules.blackout_parser import parse_windows
from apps.pipelines.schedules.blackouts import (
    WEEKDAYS,
    describe_window,
    end_of_blackout,
    ends_blackout,
)
from apps.pipelines.schedules.clock_changes import clock_changes
from apps.pipelines.schedules.cron import Cron
from apps.pipelines.schedules.times import next_times
from tests.pipelines.test_schedules import (
    PlannedSchedule,
    cron_expressions,
    utc_time,
    zones_and_days,
)

NIGHTS = {"weekdays": list(WEEKDAYS), "start": "22:00", "end": "06:00"}
WEEKENDS = {"weekdays": ["saturday", "sunday"], "start": "00:00", "end": "00:00"}
CHRISTMAS = {"first_day": "2026-12-24", "last_day": "2026-12-26"}
MINUTE = timedelta(minutes=1)


def planned(*windows: dict[str, Any], **values: Any) -> PlannedSchedule:
    return PlannedSchedule(blackouts=list(windows), **values)


def local_times(schedule: PlannedSchedule, after: str, count: int) -> list[str]:
    zone = ZoneInfo(schedule.timezone)
    moments = next_times(schedule, utc_time(after), count)
    return [f"{moment.astimezone(zone):%m-%d %H:%M}" for moment in moments]


def test_times_within_a_blackout_run_once_at_its_end() -> None:
    schedule = planned(NIGHTS, cron="30 */2 * * *", timezone="Europe/Berlin")
    assert local_times(schedule, "2026-11-30T17:00", 5) == [
        "11-30 18:30",
        "11-30 20:30",
        "12-01 06:00",
        "12-01 06:30",
        "12-01 08:30",
    ]


def test_times_within_a_blackout_are_skipped_if_missed_times_are() -> None:
    schedule = planned(NIGHTS, cron="30 */2 * * *", timezone="Europe/Berlin", misfire=Misfire.SKIP)
    assert local_times(schedule, "2026-11-30T17:00", 4) == [
        "11-30 18:30",
        "11-30 20:30",
        "12-01 06:30",
        "12-01 08:30",
    ]


def test_windows_that_follow_each_other_are_one_blackout() -> None:
    """Friday night, the weekend, and Sunday night."""
    schedule = planned(NIGHTS, WEEKENDS, cron="0 23 * * *")
    assert local_times(schedule, "2026-12-04T12:00", 2) == ["12-07 06:00", "12-08 06:00"]


def test_an_interval_counts_again_from_the_end_of_a_blackout() -> None:
    schedule = planned(NIGHTS, interval_seconds=2 * 3600, next_run_at=utc_time("2026-11-30T19:10"))
    assert local_times(schedule, "2026-11-30T19:10", 3) == [
        "11-30 21:10",
        "12-01 06:00",
        "12-01 08:00",
    ]
    schedule.misfire = Misfire.SKIP
    assert local_times(schedule, "2026-11-30T19:10", 3) == [
        "11-30 21:10",
        "12-01 07:10",
        "12-01 09:10",
    ]


def test_whole_days_end_with_their_last_day() -> None:
    schedule = planned(CHRISTMAS, cron="0 12 * * *", timezone="America/New_York")
    assert local_times(schedule, "2026-12-23T18:00", 2) == ["12-27 00:00", "12-27 12:00"]


def test_the_end_date_is_the_last_day_with_runs_in_the_time_zone() -> None:
    schedule = PlannedSchedule(
        "0 23 * * *", timezone="America/New_York", end_date=date(2026, 12, 2)
    )
    assert local_times(schedule, "2026-12-01T00:00", 5) == [
        "11-30 23:00",
        "12-01 23:00",
        "12-02 23:00",
    ]
    assert next_times(schedule, utc_time("2026-12-04T00:00"), 5) == []


def test_a_run_that_a_blackout_moves_behind_the_end_date_is_left_out() -> None:
    schedule = planned(CHRISTMAS, cron="0 12 * * *", end_date=date(2026, 12, 25))
    assert local_times(schedule, "2026-12-22T00:00", 5) == ["12-22 12:00", "12-23 12:00"]


def test_a_schedule_whose_times_are_all_within_blackouts_has_none() -> None:
    always = planned(NIGHTS, cron="0 23 * * *", misfire=Misfire.SKIP)
    assert next_times(always, utc_time("2026-12-01"), 1) == []
    each_day = planned(
        NIGHTS,
        interval_seconds=86_400,
        next_run_at=utc_time("2026-12-01T23:00:00.5"),
        misfire=Misfire.SKIP,
    )
    assert next_times(each_day, utc_time("2026-12-02"), 1) == []


EACH_NIGHT = {"weekdays": list(WEEKDAYS), "start": "00:00", "end": "01:00"}


@pytest.mark.parametrize(
    "windows",
    [
        [EACH_NIGHT],
        [EACH_NIGHT, {"first_day": "2027-01-01", "last_day": "2066-01-01"}],
        [
            EACH_NIGHT,
            *({"first_day": f"{y}-02-20", "last_day": f"{y}-03-09"} for y in (2032, 2064)),
        ],
    ],
)
def test_the_search_for_a_time_of_a_rare_schedule_ends_soon(
    windows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    days: list[date] = []
    runs_on = Cron.runs_on

    def counted(cron: Cron, day: date) -> bool:
        days.append(day)
        return runs_on(cron, day)

    monkeypatch.setattr(Cron, "runs_on", counted)
    never = planned(*windows, cron="0 0 29 2 *", misfire=Misfire.SKIP)
    assert next_times(never, utc_time("2026-12-01"), 10) == []
    assert len(days) < 10_000


@pytest.mark.parametrize(
    ("windows", "found"),
    [
        # Of the days 29 February only each seventh is a Sunday, and 2100 is no leap year.
        ([{**EACH_NIGHT, "weekdays": list(WEEKDAYS[:6])}], ["2088-02-29", "2128-02-29"]),
        ([{"first_day": "2060-01-01", "last_day": "2127-01-01"}], ["2128-02-29", "2132-02-29"]),
    ],
)
def test_a_rare_schedule_has_the_times_that_blackouts_leave(
    windows: list[dict[str, Any]], found: list[str]
) -> None:
    rare = planned(*windows, cron="0 0 29 2 *", misfire=Misfire.SKIP)
    after = utc_time("2060-12-01")
    assert [f"{at:%Y-%m-%d}" for at in next_times(rare, after, 2)] == found


def test_a_blackout_that_ends_in_the_hour_that_clocks_skip_ends_with_the_jump() -> None:
    """In Berlin, 02:00 to 03:00 does not exist on 28 March 2027."""
    window = {"weekdays": ["sunday"], "start": "00:00", "end": "02:30"}
    schedule = planned(window, cron="0 1 * * *", timezone="Europe/Berlin")
    assert local_times(schedule, "2027-03-27T12:00", 1) == ["03-28 03:00"]
    assert end_of_blackout(schedule, utc_time("2027-03-28T00:30")) == utc_time("2027-03-28T01:00")


def test_an_hour_that_occurs_twice_is_within_a_blackout_both_times() -> None:
    """In Berlin, 02:00 to 03:00 occurs twice on 31 October 2027."""
    window = {"weekdays": ["sunday"], "start": "02:00", "end": "03:00"}
    schedule = planned(window, cron="0 * * * *", timezone="Europe/Berlin")
    assert end_of_blackout(schedule, utc_time("2027-10-31T00:30")) == utc_time("2027-10-31T02:00")
    assert next_times(schedule, utc_time("2027-10-30T23:30"), 2) == [
        utc_time("2027-10-31T02:00"),
        utc_time("2027-10-31T03:00"),
    ]


def test_a_change_of_the_clocks_within_a_blackout_moves_nothing() -> None:
    schedule = PlannedSchedule("30 2 * * *", timezone="Europe/Berlin")
    assert len(clock_changes(schedule, utc_time("2026-11-30"))) == 2
    schedule.blackouts = [NIGHTS]
    assert clock_changes(schedule, utc_time("2026-11-30")) == []


times_of_day = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
weekly_windows = st.fixed_dictionaries(
    {
        "weekdays": st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=7, unique=True),
        "start": times_of_day,
        "end": times_of_day,
    }
)


@st.composite
def whole_days(draw: st.DrawFn) -> dict[str, str]:
    first = draw(st.dates(date(2026, 2, 1), date(2026, 11, 20)))
    return {
        "first_day": str(first),
        "last_day": str(first + timedelta(days=draw(st.integers(0, 9)))),
    }


lists_of_windows = st.lists(weekly_windows | whole_days(), min_size=1, max_size=4).filter(
    lambda windows: not parse_windows(windows, path="")[1]
)


def is_within(windows: list[dict[str, Any]], local_time: datetime) -> bool:
    """Decide it minute by minute, as somebody does who reads the windows and looks at the clock on the wall."""
    today, clock = local_time.date(), f"{local_time:%H:%M}"
    for window in windows:
        if "weekdays" not in window:
            if window["first_day"] <= str(today) <= window["last_day"]:
                return True
            continue
        begins_today = WEEKDAYS[today.weekday()] in window["weekdays"]
        began_yesterday = WEEKDAYS[today.weekday() - 1] in window["weekdays"]
        start, end = window["start"], window["end"]
        if start < end and begins_today and start <= clock < end:
            return True
        if start >= end and (
            (begins_today and clock >= start) or (began_yesterday and clock < end)
        ):
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(
    cron_expressions | st.integers(60, 200_000),
    zones_and_days,
    lists_of_windows,
    st.sampled_from(Misfire.values),
)
def test_no_time_of_a_schedule_is_within_a_blackout(
    timing: str | int, zone_and_day: tuple[str, str], windows: list[dict[str, Any]], misfire: str
) -> None:
    name, day = zone_and_day
    zone, after = ZoneInfo(name), utc_time(day)
    cron, interval = (timing, None) if isinstance(timing, str) else ("", timing)
    schedule = PlannedSchedule(cron, interval, timezone=name, misfire=misfire, blackouts=windows)
    as_planned = PlannedSchedule(cron, interval, timezone=name, misfire=misfire)

    times = next_times(schedule, after, 30)

    assert times == sorted(set(times))
    assert not any(is_within(windows, at.astimezone(zone).replace(tzinfo=None)) for at in times)
    without = set(next_times(as_planned, after, 2_000))
    if misfire == Misfire.SKIP:
        expected = [
            at
            for at in sorted(without)
            if not is_within(windows, at.astimezone(zone).replace(tzinfo=None))
        ]
        assert times == expected[: len(times)] or len(expected) < len(times)
    elif cron:
        assert all(
            at in without or ends_blackout(schedule, at) for at in times if at <= max(without)
        )


@settings(max_examples=60, deadline=None)
@given(zones_and_days, lists_of_windows, st.integers(0, 2 * 24 * 60))
def test_the_end_of_a_blackout_is_its_first_minute_outside(
    zone_and_day: tuple[str, str], windows: list[dict[str, Any]], minutes: int
) -> None:
    name, day = zone_and_day
    zone, moment = ZoneInfo(name), utc_time(day) + minutes * MINUTE
    schedule = planned(*windows, timezone=name)
    end = end_of_blackout(schedule, moment)
    assert (end is not None) == is_within(windows, moment.astimezone(zone).replace(tzinfo=None))
    if end is not None:
        assert end > moment
        assert not is_within(windows, end.astimezone(zone).replace(tzinfo=None))


def test_the_database_decides_the_same_as_python(db: None) -> None:
    @settings(max_examples=40, deadline=None)
    @given(zones_and_days, lists_of_windows)
    def compare(zone_and_day: tuple[str, str], windows: list[dict[str, Any]]) -> None:
        name, day = zone_and_day
        schedule = planned(*windows, timezone=name)
        moments = [utc_time(day) + 15 * number * MINUTE for number in range(0, 200, 3)]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT array_agg(in_blackout(w, %s, m) ORDER BY m) FROM unnest(%s::timestamptz[]) m, "
                "(SELECT %s::jsonb AS w) windows",
                [name, moments, json.dumps(windows)],
            )
            (found,) = cursor.fetchone()
        assert found == [end_of_blackout(schedule, moment) is not None for moment in moments]

    compare()


@st.composite
def days_before_today(draw: st.DrawFn) -> dict[str, str]:
    last = datetime.now(UTC).date() - timedelta(days=draw(st.integers(-1, 40)))
    return {
        "first_day": str(last - timedelta(days=draw(st.integers(0, 30)))),
        "last_day": str(last),
    }


def test_hours_outside_of_blackouts_are_counted_as_by_looking_at_each(db: None) -> None:
    @settings(max_examples=60, deadline=None)
    @given(zones_and_days, lists_of_windows, st.lists(days_before_today()), st.integers(1, 60))
    def compare(
        zone_and_day: tuple[str, str],
        windows: list[dict[str, Any]],
        days: list[dict[str, Any]],
        hours: int,
    ) -> None:
        zone, _ = zone_and_day
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT hours_ago_outside_blackouts(%s, w, %s) = coalesce((array("
                "SELECT moment FROM generate_series(0, 31 * 24 + 12 * %s) hour, "
                "LATERAL (SELECT now() - make_interval(hours => hour) AS moment) m "
                "WHERE NOT in_blackout(w, %s, moment) ORDER BY hour))[%s + 1], '-infinity') "
                "FROM (SELECT %s::jsonb AS w) windows",
                [hours, zone, hours, zone, hours, json.dumps(windows + days)],
            )
            assert cursor.fetchone() == (True,)

    compare()


def test_a_time_zone_that_postgresql_does_not_know_stops_no_statement(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT in_blackout(%s::jsonb, 'Mars/Olympus', '2026-12-24T12:00Z')",
            ['[{"first_day": "2026-12-24", "last_day": "2026-12-24"}]'],
        )
        assert cursor.fetchone() == (True,)


@pytest.mark.parametrize(
    ("windows", "field"),
    [
        ("nights", "blackouts"),
        ([NIGHTS] * 21, "blackouts"),
        (["night"], "blackouts.0"),
        ([{"weekdays": [], "start": "22:00", "end": "06:00"}], "blackouts.0.weekdays"),
        ([{"weekdays": ["Mon"], "start": "22:00", "end": "06:00"}], "blackouts.0.weekdays"),
        ([{**NIGHTS, "start": "24:00"}], "blackouts.0.start"),
        ([{**NIGHTS, "end": 6}], "blackouts.0.end"),
        ([{**NIGHTS, "zone": "UTC"}], "blackouts.0.zone"),
        ([{"first_day": "2026-12-24"}], "blackouts.0.last_day"),
        ([{"first_day": "2026-12-24", "last_day": "2026-12-23"}], "blackouts.0.last_day"),
        ([{"first_day": "2026-02-30", "last_day": "2026-03-01"}], "blackouts.0.first_day"),
        ([{"first_day": "9999-12-31", "last_day": "9999-12-31"}], "blackouts.0.first_day"),
        ([{**NIGHTS, "start": "12:00", "end": "12:00"}], "blackouts"),
    ],
)
def test_an_invalid_window_is_refused_with_its_field(windows: Any, field: str) -> None:
    parsed, errors = parse_windows(windows, path="blackouts")
    assert parsed == []
    assert errors[0][0] == field


def test_windows_are_described_in_words() -> None:
    assert describe_window(NIGHTS) == "Daily from 22:00 to 06:00"
    assert describe_window(WEEKENDS) == "Saturday and Sunday"
    assert describe_window(CHRISTMAS) == "24 December 2026 to 26 December 2026"


def test_the_moment_of_a_blackout_is_in_utc() -> None:
    schedule = planned(NIGHTS, timezone="Asia/Tokyo")
    end = end_of_blackout(schedule, datetime(2026, 12, 1, 14, tzinfo=UTC))
    assert end == datetime(2026, 12, 1, 21, tzinfo=UTC)
