"""Find the times of a schedule that the next changes of the clocks skip or repeat, and say when the pipeline runs.

times.py has the rules. Only a cron expression with a few hours is affected: an interval, and an expression for every hour,
follow elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from apps.pipelines.schedules.cron import Cron, parse
from apps.pipelines.schedules.local_times import local_time_of, moment_of_change
from apps.pipelines.schedules.times import ScheduleLike, matching_hours, next_run_at

Kind = Literal["skipped", "repeated"]
PERIOD = timedelta(days=366)  # has both changes of a year
MAX_NAMED_TIMES = 3
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The times of a schedule that one change of the clocks skips or repeats.

    `local_times` are ascending and in the zone of the schedule, without their offset. `runs_at` is in UTC: when the
    pipeline runs instead, or the first occurrence of a repeated time.
    """

    kind: Kind
    local_times: tuple[datetime, ...]
    runs_at: datetime

    def in_words(self, zone: ZoneInfo) -> str:
        """Return a sentence such as "02:30 does not exist on 28 March 2027: clocks go forward. It runs at 03:00 instead"."""
        times, is_several = _in_words(self.local_times), len(self.local_times) > 1
        day = f"{self.local_times[0]:%-d %B %Y}"
        if self.kind == "repeated":
            verb = "occur" if is_several else "occurs"
            return f"{times} {verb} twice on {day}: clocks go back. It runs only the first time."
        verb, once = ("do", "once, ") if is_several else ("does", "")
        run = self.runs_at.astimezone(zone)
        return f"{times} {verb} not exist on {day}: clocks go forward. It runs {once}at {run:%H:%M} instead."


def clock_changes(schedule: ScheduleLike, after: datetime) -> list[ClockChange]:
    """Return the changes that affect the schedule within a year after `after`, ascending."""
    if schedule.interval_seconds or not schedule.cron:
        return []
    cron, zone = parse(schedule.cron), ZoneInfo(schedule.timezone)
    if cron.is_every_hour:
        return []
    found = (_affected(cron, zone, moment) for moment in _changes_of_zone(zone, after))
    return [change for change in found if change and _runs_at(schedule, change.runs_at)]


def _runs_at(schedule: ScheduleLike, moment: datetime) -> bool:
    """Whether the schedule has this time: it is not within a blackout, nor after the end date."""
    return next_run_at(schedule, moment - timedelta(seconds=1)) == moment


def _changes_of_zone(zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the moments at which the offset of the zone changes. Two changes within a day are not found."""
    moment = after.astimezone(UTC)
    end = moment + PERIOD
    while moment < end:
        later = moment + DAY
        if moment.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            yield moment_of_change(moment, later, zone)
        moment = later


def _affected(cron: Cron, zone: ZoneInfo, moment: datetime) -> ClockChange | None:
    """Return the times that the clocks skip or repeat at `moment`, if the expression has any."""
    before = local_time_of(moment - timedelta(seconds=1), zone) + timedelta(seconds=1)
    now = local_time_of(moment, zone)
    times = tuple(_times_between(cron, min(before, now), max(before, now)))
    if not times:
        return None
    if now > before:
        return ClockChange("skipped", times, moment)
    return ClockChange("repeated", times, times[0].replace(tzinfo=zone, fold=0).astimezone(UTC))


def _times_between(cron: Cron, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the local times of the expression from `start` to before `end`."""
    for hour in matching_hours(cron, start.date()):
        if hour >= end:
            return
        for minute in cron.minutes:
            if start <= (time := hour.replace(minute=minute)) < end:
                yield time


def _in_words(times: tuple[datetime, ...]) -> str:
    texts = [f"{time:%H:%M}" for time in times]
    if len(texts) > MAX_NAMED_TIMES:
        return f"The times from {texts[0]} to {texts[-1]}"
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]
