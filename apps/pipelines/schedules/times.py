"""Compute the next times of a schedule: a cron expression in a time zone, or an interval.

When clocks change (tested against a brute-force search):
- A skipped local time runs once, at the first moment after the gap, so that a daily run never misses a day.
- A repeated local time runs the first time only, so that a daily run never runs twice.
- An hourly expression follows elapsed time instead: no run is skipped or added.
Intervals are elapsed time, independent of local time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from apps.pipelines.schedules.cron import Cron, parse

SHORTEST_INTERVAL = 60  # seconds
LONGEST_INTERVAL = 366 * 86400
LONGEST_JITTER = 3600
NOT_ZONES = frozenset({"Factory", "localtime", "posixrules"})


class ScheduleLike(Protocol):
    """A Schedule row, saved or not."""

    @property
    def cron(self) -> str: ...
    @property
    def interval_seconds(self) -> int | None: ...
    @property
    def timezone(self) -> str: ...
    @property
    def next_run_at(self) -> datetime | None: ...


def next_times(schedule: ScheduleLike, after: datetime, count: int) -> list[datetime]:
    """Return the next `count` times strictly after `after`, in UTC; fewer at the end of the calendar (year 9999)."""
    return list(islice(_times(schedule, after.astimezone(UTC)), count))


def next_run_at(schedule: ScheduleLike, after: datetime) -> datetime | None:
    """Return the first time strictly after `after`."""
    return next(_times(schedule, after.astimezone(UTC)), None)


def advance(schedule: ScheduleLike, after: datetime) -> datetime | None:
    """Return the new `next_run_at` after the times up to `after` were handled."""
    return next_run_at(schedule, after)


def jitter(schedule_id: UUID, slot: datetime, most_seconds: int) -> timedelta:
    """Return the delay of a scheduled run: deterministic, spread over 0..most_seconds."""
    if not most_seconds:
        return timedelta(0)
    digest = hashlib.sha256(schedule_id.bytes + slot.astimezone(UTC).isoformat().encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % (most_seconds + 1))


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """Return the IANA names that this installation supports."""
    return frozenset(available_timezones()) - NOT_ZONES


def _times(schedule: ScheduleLike, after: datetime) -> Iterator[datetime]:
    if schedule.interval_seconds:
        return _ticks(timedelta(seconds=schedule.interval_seconds), schedule.next_run_at, after)
    return _wall_times(parse(schedule.cron), ZoneInfo(schedule.timezone), after)


def _ticks(every: timedelta, planned: datetime | None, after: datetime) -> Iterator[datetime]:
    """Yield times in step with the planned time, so that a late scheduler does not shift later ones."""
    anchor = planned.astimezone(UTC) if planned else after
    moment = anchor + every * ((after - anchor) // every + 1)
    while True:
        yield moment
        moment += every


def _wall_times(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield times hour by hour.

    When clocks are set back, a later hour can contain an earlier time, which is yielded first.
    """
    found: set[datetime] = set()
    for hour in _hours(cron, after.astimezone(zone).date() - timedelta(days=1)):
        if found:
            settled = _first(hour, zone)
            ready = sorted(moment for moment in found if moment < settled)
            yield from ready
            found.difference_update(ready)
        if _last(hour + timedelta(minutes=59), zone) > after:
            walls = (hour.replace(minute=minute) for minute in cron.minutes)
            found.update(m for wall in walls for m in _moments(cron, wall, zone) if m > after)
    yield from sorted(found)


def _hours(cron: Cron, day: date) -> Iterator[datetime]:
    """Yield the expression's hours in local time, from `day` on."""
    while day.year < 9999:
        if cron.on(day):
            for hour in cron.hours:
                yield datetime.combine(day, time(hour))
        day += timedelta(days=1)


def _moments(cron: Cron, wall: datetime, zone: ZoneInfo) -> list[datetime]:
    return _every(wall, zone) if cron.every_hour else [_first(wall, zone)]


def _every(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return each moment with the local time `wall`: none in a gap, two when clocks are set back."""
    moments = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(m for m in moments if m.astimezone(zone).replace(tzinfo=None) == wall)


def _first(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment with the local time `wall`, or the end of the gap that skips it."""
    moments = _every(wall, zone)
    return moments[0] if moments else _end_of_gap(wall, zone)


def _last(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the last moment with the local time `wall`, or the end of the gap that skips it."""
    moments = _every(wall, zone)
    return moments[-1] if moments else _end_of_gap(wall, zone)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment at which clocks jump over `wall`: the offset changes there."""
    late = wall.replace(tzinfo=zone, fold=0).astimezone(
        UTC
    )  # with the offset before the jump, this is after it
    early = wall.replace(tzinfo=zone, fold=1).astimezone(
        UTC
    )  # with the offset after the jump, this is before it
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
