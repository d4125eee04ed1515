"""Compute the next times of a schedule, which has a cron expression in a time zone, or an interval.

When clocks change (tested against a brute-force search):
- If a local time is skipped, the run starts at the first moment after the gap. So a daily run never misses a day.
- If a local time is repeated, the run starts only at its first moment. So a daily run never starts twice.
- An expression for every hour follows elapsed time: no run is skipped or added.
An interval is elapsed time too. It does not depend on local time.
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

MIN_INTERVAL = 60  # seconds
MAX_INTERVAL = 366 * 86400
MAX_JITTER = 3600
EXCLUDED_ZONES = frozenset({"Factory", "localtime", "posixrules"})


class ScheduleLike(Protocol):
    """A Schedule row or a Plan."""

    @property
    def cron(self) -> str: ...
    @property
    def interval_seconds(self) -> int | None: ...
    @property
    def timezone(self) -> str: ...
    @property
    def next_run_at(self) -> datetime | None: ...


def next_times(schedule: ScheduleLike, after: datetime, count: int) -> list[datetime]:
    """Return the next `count` times strictly after `after`, in UTC. A cron expression has no times after 9998."""
    return list(islice(_iterate_times(schedule, after.astimezone(UTC)), count))


def next_run_at(schedule: ScheduleLike, after: datetime) -> datetime | None:
    """Return the first time strictly after `after`."""
    return next(_iterate_times(schedule, after.astimezone(UTC)), None)


def jitter(schedule_id: UUID, slot: datetime, max_seconds: int) -> timedelta:
    """Return the delay of a scheduled run, from 0 to `max_seconds`. The same slot always has the same delay."""
    if not max_seconds:
        return timedelta(0)
    digest = hashlib.sha256(schedule_id.bytes + slot.astimezone(UTC).isoformat().encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % (max_seconds + 1))


@lru_cache(maxsize=1)
def time_zone_names() -> frozenset[str]:
    """Return the IANA names of the time zones that this installation supports."""
    return frozenset(available_timezones()) - EXCLUDED_ZONES


def _iterate_times(schedule: ScheduleLike, after: datetime) -> Iterator[datetime]:
    if schedule.interval_seconds:
        return _interval_times(
            timedelta(seconds=schedule.interval_seconds), schedule.next_run_at, after
        )
    return _cron_times(parse(schedule.cron), ZoneInfo(schedule.timezone), after)


def _interval_times(
    interval: timedelta, planned: datetime | None, after: datetime
) -> Iterator[datetime]:
    """Yield times at whole intervals after the planned time, so that a late run does not shift the next runs."""
    anchor = planned.astimezone(UTC) if planned else after
    moment = anchor + interval * ((after - anchor) // interval + 1)
    while True:
        yield moment
        moment += interval


def _cron_times(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the times of the expression in ascending order.

    When clocks are set back, a later hour can contain an earlier time, so times are collected before they are yielded.
    """
    pending: set[datetime] = set()
    for hour in matching_hours(cron, after.astimezone(zone).date() - timedelta(days=1)):
        if pending:
            hour_start = _first_moment(hour, zone)
            finished = sorted(moment for moment in pending if moment < hour_start)
            yield from finished
            pending.difference_update(finished)
        if _last_moment(hour + timedelta(minutes=59), zone) > after:
            local_times = (hour.replace(minute=minute) for minute in cron.minutes)
            pending.update(
                m
                for local_time in local_times
                for m in _moments_to_run(cron, local_time, zone)
                if m > after
            )
    yield from sorted(pending)


def matching_hours(cron: Cron, day: date) -> Iterator[datetime]:
    """Yield the expression's hours in local time, from `day` on."""
    while day.year < 9999:
        if cron.runs_on(day):
            for hour in cron.hours:
                yield datetime.combine(day, time(hour))
        day += timedelta(days=1)


def _moments_to_run(cron: Cron, local_time: datetime, zone: ZoneInfo) -> list[datetime]:
    return (
        _all_moments(local_time, zone) if cron.is_every_hour else [_first_moment(local_time, zone)]
    )


def _all_moments(local_time: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return all moments with this local time: none in a gap, two when clocks are set back."""
    moments = {local_time.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(m for m in moments if m.astimezone(zone).replace(tzinfo=None) == local_time)


def _first_moment(local_time: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment with this local time, or the end of the gap that skips it."""
    moments = _all_moments(local_time, zone)
    return moments[0] if moments else _end_of_gap(local_time, zone)


def _last_moment(local_time: datetime, zone: ZoneInfo) -> datetime:
    """Return the last moment with this local time, or the end of the gap that skips it."""
    moments = _all_moments(local_time, zone)
    return moments[-1] if moments else _end_of_gap(local_time, zone)


def _end_of_gap(local_time: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment at which clocks jump over `local_time`."""
    late = local_time.replace(tzinfo=zone, fold=0).astimezone(UTC)  # after the jump
    early = local_time.replace(tzinfo=zone, fold=1).astimezone(UTC)  # before the jump
    return moment_of_change(early, late, zone)


def moment_of_change(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second with the offset of `late`. Search by bisection; the offset changes once between the two."""
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
