"""Compute the next times of a schedule, which has a cron expression in a time zone, or an interval.

When clocks change (tested against a brute-force search):
- If a local time is skipped, the run starts at the first moment after the gap. So a daily run never misses a day.
- If a local time is repeated, the run starts only at its first moment. So a daily run never starts twice.
- An expression for every hour follows elapsed time: no run is skipped or added.
An interval is elapsed time too. It does not depend on local time.

A time within a blackout is skipped, or moved to the end of the blackout, as `misfire` says: all times of one blackout become
one run. An interval counts again from there. After the end date there are no times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from apps.pipelines.models import Misfire
from apps.pipelines.schedules.blackouts import Blackouts, blackouts_of
from apps.pipelines.schedules.cron import Cron, parse
from apps.pipelines.schedules.local_times import all_moments, first_moment, last_moment

MIN_INTERVAL = 60  # seconds
MAX_INTERVAL = 366 * 86400
MAX_JITTER = 3600
# After so many blackouts in a row, or after so long a time, that skip all times of the schedule, there is none. A year has fewer
# days, and within 40 years each day of the year, also 29 February, is on each day of the week.
MAX_SKIPPED_BLACKOUTS = 400
LONGEST_SEARCH = timedelta(days=40 * 366)
WEEK = timedelta(days=7)
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
    @property
    def misfire(self) -> str: ...
    @property
    def blackouts(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def end_date(self) -> date | None: ...


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
    times = _times_as_planned(schedule, schedule.next_run_at, after)
    if schedule.blackouts:
        times = _times_outside(blackouts_of(schedule), schedule, times)
    if schedule.end_date is None:
        return times
    zone, end_date = ZoneInfo(schedule.timezone), schedule.end_date
    return takewhile(lambda moment: moment.astimezone(zone).date() <= end_date, times)


def _times_as_planned(
    schedule: ScheduleLike, planned: datetime | None, after: datetime
) -> Iterator[datetime]:
    """Yield the times of the schedule as if it had no blackouts and no end."""
    if schedule.interval_seconds:
        return _interval_times(timedelta(seconds=schedule.interval_seconds), planned, after)
    return _cron_times(parse(schedule.cron), ZoneInfo(schedule.timezone), after)


def _times_outside(
    blackouts: Blackouts, schedule: ScheduleLike, times: Iterator[datetime]
) -> Iterator[datetime]:
    """Yield the times that are outside the blackouts, and the ends of blackouts that have replaced times."""
    skipped, since = 0, None
    planned = schedule.next_run_at
    while skipped < MAX_SKIPPED_BLACKOUTS and (moment := next(times, None)) is not None:
        since = since or moment
        if moment - since > LONGEST_SEARCH:
            return
        end = blackouts.end_after(moment)
        if end is None:
            skipped, since = 0, moment
            yield moment
        elif schedule.misfire == Misfire.RUN_ONCE:
            yield end
            times = _times_as_planned(schedule, end, end)
        else:
            skipped += 1
            if end - moment > WEEK:  # Whole days. What follows may be free.
                since = end
            planned = planned or moment
            times = _times_as_planned(schedule, planned, end - timedelta(microseconds=1))


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
            hour_start = first_moment(hour, zone)
            finished = sorted(moment for moment in pending if moment < hour_start)
            yield from finished
            pending.difference_update(finished)
        if last_moment(hour + timedelta(minutes=59), zone) > after:
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
        if day.month not in cron.months:
            day = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
            continue
        if cron.runs_on(day):
            for hour in cron.hours:
                yield datetime.combine(day, time(hour))
        day += timedelta(days=1)


def _moments_to_run(cron: Cron, local_time: datetime, zone: ZoneInfo) -> list[datetime]:
    return all_moments(local_time, zone) if cron.is_every_hour else [first_moment(local_time, zone)]
