"""When a channel sends: at once, not in its quiet hours, or once a day or week as a digest.

Times are local times in the time zone of the channel. A time that the clocks jump over is the moment of the jump. A time that
exists twice begins quiet hours and digests at its first moment, and ends quiet hours at its second one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import TextChoices

from apps.connectors.schemas import Error
from apps.json import JsonObject
from apps.pipelines.schedules.blackouts import WEEKDAYS
from apps.pipelines.schedules.local_times import first_moment, last_moment
from apps.pipelines.schedules.plans import UNKNOWN_ZONE
from apps.pipelines.schedules.times import time_zone_names

MINUTES_OF_DAY = 24 * 60
MAX_PERIODS = 10
LONGEST_HOLD = timedelta(days=9)  # longer than a week and a change of the clocks


class TimingKind(TextChoices):
    AT_ONCE = "at_once"
    QUIET_HOURS = "quiet_hours"
    DIGEST = "digest"


NAMES: dict[str, tuple[str, ...]] = {
    TimingKind.AT_ONCE: (),
    TimingKind.QUIET_HOURS: ("timezone", "periods"),
    TimingKind.DIGEST: ("timezone", "weekdays", "at"),
}


@dataclass(frozen=True, slots=True)
class Hold:
    """What happens from `since` on waits until `until`. Both are moments."""

    since: datetime
    until: datetime


def hold(timing: JsonObject, now: datetime) -> Hold | None:
    """Return what waits now, or None: everything is sent at once."""
    return _hold_at(_Frozen.of(timing), now) if "timezone" in timing else None


def errors(timing: JsonObject) -> list[Error]:
    """Return what is wrong with a timing whose values have the right types."""
    kind = str(timing["kind"])
    missing = [
        (name, "This field is required.", "required")
        for name in NAMES[kind]
        if not timing.get(name)
    ]
    unknown = [
        (name, f"The kind {kind} has no such setting.", "unknown")
        for name in timing
        if name not in {"kind", *NAMES[kind]}
    ]
    if missing or unknown or kind == TimingKind.AT_ONCE:
        return [*missing, *unknown]
    if timing["timezone"] not in time_zone_names():
        return [("timezone", UNKNOWN_ZONE, "unknown")]
    if kind == TimingKind.QUIET_HOURS and _quiet_minutes(_Frozen.of(timing)) == MINUTES_OF_DAY * 7:
        message = "Leave some time of the week in which messages are sent."
        return [("periods", message, "invalid")]
    return []


@dataclass(frozen=True, slots=True)
class _Period:
    days: tuple[int, ...]  # on which it begins
    start: time
    end: time  # of the next day if it is not after `start`


@dataclass(frozen=True, slots=True)
class _Frozen:
    """A timing that can be a key of a cache."""

    timezone: str
    periods: tuple[_Period, ...]  # empty for a digest
    days: tuple[int, ...]
    at: time

    @classmethod
    def of(cls, timing: Any) -> _Frozen:
        return cls(
            timing["timezone"],
            tuple(
                _Period(_days(each["weekdays"]), _time(each["start"]), _time(each["end"]))
                for each in timing.get("periods", [])
            ),
            _days(timing.get("weekdays", [])),
            _time(timing.get("at", "00:00")),
        )


def _days(names: Any) -> tuple[int, ...]:
    return tuple(sorted({WEEKDAYS.index(name) for name in names}))


def _time(text: str) -> time:
    return time.fromisoformat(text)


def _hold_at(timing: _Frozen, now: datetime) -> Hold | None:
    today = now.astimezone(ZoneInfo(timing.timezone)).date()
    if timing.periods:
        quiet = (each for each in _quiet_hours(timing, today) if each.since <= now < each.until)
        return next(quiet, None)
    slots = _slots(timing, today)
    return Hold(max(s for s in slots if s <= now), min(s for s in slots if s > now))


@lru_cache(maxsize=1024)
def _quiet_hours(timing: _Frozen, today: date) -> tuple[Hold, ...]:
    """Return the quiet hours of the days around this one. Those that touch each other are one."""
    joined: list[Hold] = []
    for hold in sorted(_each_quiet_hours(timing, today), key=lambda hold: hold.since):
        if joined and hold.since <= joined[-1].until:
            joined[-1] = Hold(joined[-1].since, max(hold.until, joined[-1].until))
        elif hold.since < hold.until:
            joined.append(hold)
    return tuple(joined)


def _each_quiet_hours(timing: _Frozen, today: date) -> Iterator[Hold]:
    zone = ZoneInfo(timing.timezone)
    for day in _around(today):
        for period in timing.periods:
            if day.weekday() in period.days:
                last_day = day if period.end > period.start else day + timedelta(days=1)
                yield Hold(
                    first_moment(datetime.combine(day, period.start), zone),
                    last_moment(datetime.combine(last_day, period.end), zone),
                )


@lru_cache(maxsize=1024)
def _slots(timing: _Frozen, today: date) -> tuple[datetime, ...]:
    zone = ZoneInfo(timing.timezone)
    return tuple(
        first_moment(datetime.combine(day, timing.at), zone)
        for day in _around(today)
        if day.weekday() in timing.days
    )


def _around(today: date) -> list[date]:
    return [today + timedelta(days=days) for days in range(-8, 9)]


def _quiet_minutes(timing: _Frozen) -> int:
    """Return how many minutes of a week without a change of the clocks are quiet."""
    week = MINUTES_OF_DAY * 7
    quiet: set[int] = set()
    for period in timing.periods:
        length = (_minutes(period.end) - _minutes(period.start) - 1) % MINUTES_OF_DAY + 1
        for day in period.days:
            first = day * MINUTES_OF_DAY + _minutes(period.start)
            quiet.update(minute % week for minute in range(first, first + length))
    return len(quiet)


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute
