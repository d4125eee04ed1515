"""Quiet hours and digests follow the clock of their time zone, also in the nights in which it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.alerts.sending import timing
from apps.alerts.sending.timing import LONGEST_HOLD
from apps.pipelines.schedules.blackouts import WEEKDAYS

BERLIN = "Europe/Berlin"
EVERY_DAY = list(WEEKDAYS)
WEEKEND = {"weekdays": ["saturday", "sunday"], "start": "00:00", "end": "00:00"}
NIGHTS = {"weekdays": EVERY_DAY, "start": "22:00", "end": "08:00"}


def quiet(*periods: Any, zone: str = BERLIN) -> Any:
    return {"kind": "quiet_hours", "timezone": zone, "periods": list(periods)}


def digest(*days: str, at: str = "08:00", zone: str = BERLIN) -> Any:
    return {"kind": "digest", "timezone": zone, "weekdays": list(days) or EVERY_DAY, "at": at}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def held(timing_: Any, moment: str) -> tuple[str, str] | None:
    found = timing.hold(timing_, at(moment))
    return (_text(found.since), _text(found.until)) if found else None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%a %H:%M")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-06-03T21:59:59+02:00", None),
        ("2026-06-03T22:00:00+02:00", ("Wed 20:00", "Thu 06:00")),
        ("2026-06-04T07:59:59+02:00", ("Wed 20:00", "Thu 06:00")),
        ("2026-06-04T08:00:00+02:00", None),
    ],
)
def test_a_night_begins_and_ends_on_time(moment: str, expected: object) -> None:
    assert held(quiet(NIGHTS), moment) == expected


def test_quiet_hours_that_touch_each_other_are_one() -> None:
    whole_weekend = ("Fri 20:00", "Mon 06:00")
    assert held(quiet(NIGHTS, WEEKEND), "2026-06-06T12:00:00+02:00") == whole_weekend
    assert held(quiet(NIGHTS), "2026-06-06T12:00:00+02:00") is None


@pytest.mark.parametrize(
    ("moment", "start", "end", "expected"),
    [
        # On 29 March 2026 clocks jump from 02:00 to 03:00 in Berlin, which is 01:00 in UTC.
        ("2026-03-28T23:00:00Z", "22:00", "02:30", ("Sat 21:00", "Sun 01:00")),
        ("2026-03-29T01:00:00Z", "02:30", "03:30", ("Sun 01:00", "Sun 01:30")),
        ("2026-03-28T23:00:00Z", "22:00", "08:00", ("Sat 21:00", "Sun 06:00")),
        # On 25 October 2026 they go back from 03:00 to 02:00, which is 01:00 in UTC too.
        ("2026-10-25T01:15:00Z", "22:00", "02:30", ("Sat 20:00", "Sun 01:30")),
        ("2026-10-25T00:45:00Z", "02:30", "03:00", ("Sun 00:30", "Sun 02:00")),
        ("2026-10-24T23:00:00Z", "22:00", "08:00", ("Sat 20:00", "Sun 07:00")),
    ],
)
def test_quiet_hours_in_the_night_in_which_clocks_change(
    moment: str, start: str, end: str, expected: object
) -> None:
    nights = {"weekdays": EVERY_DAY, "start": start, "end": end}
    assert held(quiet(nights), moment) == expected


def test_quiet_hours_between_two_times_that_are_skipped_do_not_exist() -> None:
    nights = {"weekdays": EVERY_DAY, "start": "02:10", "end": "02:50"}
    assert held(quiet(nights), "2026-03-29T01:00:00Z") is None


@pytest.mark.parametrize(
    ("wanted", "moment", "expected"),
    [
        (digest(), "2026-06-03T08:00:00+02:00", ("Wed 06:00", "Thu 06:00")),
        (digest(), "2026-06-03T07:59:00+02:00", ("Tue 06:00", "Wed 06:00")),
        (digest("monday"), "2026-06-03T07:59:00+02:00", ("Mon 06:00", "Mon 06:00")),
        (digest(at="02:30"), "2026-03-29T01:00:00Z", ("Sun 01:00", "Mon 00:30")),
        (digest(at="02:30"), "2026-10-25T01:15:00Z", ("Sun 00:30", "Mon 01:30")),
    ],
)
def test_a_digest_waits_from_one_time_to_the_next(
    wanted: Any, moment: str, expected: object
) -> None:
    assert held(wanted, moment) == expected


def test_a_weekly_digest_waits_a_week() -> None:
    found = timing.hold(digest("monday"), at("2026-06-03T12:00:00+02:00"))
    assert found
    assert found.until - found.since == timedelta(days=7)


def test_without_a_timing_nothing_waits() -> None:
    now = at("2026-06-03T12:00:00Z")
    assert timing.hold({}, now) is timing.hold({"kind": "at_once"}, now) is None


CLOCKS = st.times().map(lambda each: each.strftime("%H:%M"))
SOME_DAYS = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=7)
PERIODS = st.fixed_dictionaries({"weekdays": SOME_DAYS, "start": CLOCKS, "end": CLOCKS})
ZONES = st.sampled_from(
    [BERLIN, "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]
)
TIMINGS = st.one_of(
    st.builds(
        lambda zone, periods: quiet(*periods, zone=zone),
        ZONES,
        st.lists(PERIODS, min_size=1, max_size=4),
    ),
    st.builds(lambda zone, days, at: digest(*days, at=at, zone=zone), ZONES, SOME_DAYS, CLOCKS),
).filter(lambda wanted: not timing.errors(wanted))
YEAR = 366 * 24 * 60  # minutes
MOMENTS = st.integers(0, YEAR).map(
    lambda each: at("2026-01-01T00:00:00Z") + timedelta(minutes=each)
)


@given(TIMINGS, MOMENTS)
def test_what_waits_has_an_end_at_which_something_is_sent(wanted: Any, now: datetime) -> None:
    found = timing.hold(wanted, now)
    if found is None:
        return
    assert found.since <= now < found.until
    assert found.until - now < LONGEST_HOLD
    after = timing.hold(wanted, found.until)
    # At the end of quiet hours nothing waits. A digest sends what happened before its time.
    assert after is None or (wanted["kind"] == "digest" and after.since == found.until)


@given(TIMINGS, MOMENTS)
def test_each_moment_of_a_wait_sees_the_same_wait(wanted: Any, now: datetime) -> None:
    found = timing.hold(wanted, now)
    if found:
        later = found.until - timedelta(microseconds=1)
        assert timing.hold(wanted, found.since) == found == timing.hold(wanted, later)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ({"kind": "quiet_hours", "timezone": BERLIN}, "periods"),
        ({"kind": "quiet_hours", "periods": [NIGHTS]}, "timezone"),
        ({"kind": "at_once", "timezone": BERLIN}, "timezone"),
        (quiet(NIGHTS, zone="Mars/Olympus"), "timezone"),
        (quiet({"weekdays": EVERY_DAY, "start": "08:00", "end": "08:00"}), "periods"),
        (quiet(NIGHTS, {"weekdays": EVERY_DAY, "start": "07:00", "end": "22:00"}), "periods"),
        ({"kind": "digest", "timezone": BERLIN, "at": "08:00"}, "weekdays"),
        ({**digest(), "periods": [NIGHTS]}, "periods"),
    ],
)
def test_what_is_wrong_is_named(wanted: Any, name: str) -> None:
    assert [error[0] for error in timing.errors(wanted)] == [name]
