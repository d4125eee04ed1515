"""When a schedule runs next: cron on the wall clock of a time zone, or an interval.

Where clocks change (the policy, tested against brute force):
- A time the clock skips runs at the first moment after the gap, once, so that a daily run never misses a day.
- A time the clock shows twice runs the first time only, so that a daily run never runs twice.
- An expression that runs every hour follows elapsed time instead: nothing is made up, nothing left out.
Intervals are elapsed time and know no wall clock.
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
    """A Schedule row, or one not saved yet."""

    @property
    def cron(self) -> str: ...
    @property
    def interval_seconds(self) -> int | None: ...
    @property
    def timezone(self) -> str: ...
    @property
    def next_run_at(self) -> datetime | None: ...


def next_times(schedule: ScheduleLike, after: datetime, count: int) -> list[datetime]:
    """The next `count` times strictly after `after`, in UTC; fewer when time runs out (year 9999)."""
    return list(islice(_times(schedule, after.astimezone(UTC)), count))


def next_run_at(schedule: ScheduleLike, after: datetime) -> datetime | None:
    """The first time strictly after `after`."""
    return next(_times(schedule, after.astimezone(UTC)), None)


def advance(schedule: ScheduleLike, after: datetime) -> datetime | None:
    """What `next_run_at` becomes once the slots up to `after` are dealt with."""
    return next_run_at(schedule, after)


def jitter(schedule_id: UUID, slot: datetime, most_seconds: int) -> timedelta:
    """How long to hold a slot's run back: the same whichever scheduler asks, spread over 0..most_seconds."""
    if not most_seconds:
        return timedelta(0)
    digest = hashlib.sha256(schedule_id.bytes + slot.astimezone(UTC).isoformat().encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % (most_seconds + 1))


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """The IANA names this installation knows."""
    return frozenset(available_timezones()) - NOT_ZONES


def _times(schedule: ScheduleLike, after: datetime) -> Iterator[datetime]:
    if schedule.interval_seconds:
        return _ticks(timedelta(seconds=schedule.interval_seconds), schedule.next_run_at, after)
    return _wall_times(parse(schedule.cron), ZoneInfo(schedule.timezone), after)


def _ticks(every: timedelta, planned: datetime | None, after: datetime) -> Iterator[datetime]:
    """In step with the time already planned, so that a late scheduler does not shift those that follow."""
    anchor = planned.astimezone(UTC) if planned else after
    moment = anchor + every * ((after - anchor) // every + 1)
    while True:
        yield moment
        moment += every


def _wall_times(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Hour by hour, holding back what a later hour could still precede where clocks are set back."""
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
    """The hours it names on the wall clock, from `day` on."""
    while day.year < 9999:
        if cron.on(day):
            for hour in cron.hours:
                yield datetime.combine(day, time(hour))
        day += timedelta(days=1)


def _moments(cron: Cron, wall: datetime, zone: ZoneInfo) -> list[datetime]:
    return _every(wall, zone) if cron.every_hour else [_first(wall, zone)]


def _every(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Each moment at which clocks show `wall`: none in a gap, two when they are set back."""
    moments = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(m for m in moments if m.astimezone(zone).replace(tzinfo=None) == wall)


def _first(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which clocks show `wall`, or the end of the gap that skips it."""
    moments = _every(wall, zone)
    return moments[0] if moments else _end_of_gap(wall, zone)


def _last(wall: datetime, zone: ZoneInfo) -> datetime:
    """The last moment at which clocks show `wall`, or the end of the gap that skips it."""
    moments = _every(wall, zone)
    return moments[-1] if moments else _end_of_gap(wall, zone)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment clocks jump over `wall`: the offset before applies until then, the one after from then on."""
    late = wall.replace(tzinfo=zone, fold=0).astimezone(
        UTC
    )  # with the offset before: past the jump
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # with the offset after: before it
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
