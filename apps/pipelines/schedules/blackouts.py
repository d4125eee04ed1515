"""Blackouts: times in which nothing but a person starts a pipeline, such as the maintenance of its source.

A schedule has a list of windows. A window is weekly, or has whole days:

    {"weekdays": ["saturday", "sunday"], "start": "22:00", "end": "06:00"}
    {"first_day": "2026-12-24", "last_day": "2026-12-26"}

A weekly window begins on each of its days. If it does not end after its start, it ends on the next day: one from 00:00 to
00:00 has the whole day. A moment is within a window if the clock on the wall is, in the time zone of the schedule. So an
hour that occurs twice is within both times. The function in_blackout in the database decides the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from apps.json import JsonObject
from apps.pipelines.schedules.local_times import local_time_of, moment_after

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MAX_WINDOWS = 20
DAY = timedelta(days=1)
MINUTES_OF_WEEK = 7 * 24 * 60
# Windows that follow each other without a gap. Windows that are saved leave time free each week, so this is never reached.
MAX_IN_A_ROW = 1_000


class HasBlackouts(Protocol):
    """A Schedule row or a Plan."""

    @property
    def timezone(self) -> str: ...
    @property
    def blackouts(self) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Weekly:
    """A window on some days of each week. Weekdays count from Monday, which is 0."""

    weekdays: frozenset[int]
    start: time
    end: time

    def end_after(self, local_time: datetime) -> datetime | None:
        """Return the end of the window, as local time, if this local time is within it."""
        for day in (local_time.date(), local_time.date() - DAY):
            start, end = self._bounds(day)
            if day.weekday() in self.weekdays and start <= local_time < end:
                return end
        return None

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        last = day if self.end > self.start else day + DAY
        return datetime.combine(day, self.start), datetime.combine(last, self.end)


@dataclass(frozen=True, slots=True)
class WholeDays:
    """A window from the beginning of the first day to the end of the last day."""

    first_day: date
    last_day: date

    def end_after(self, local_time: datetime) -> datetime | None:
        """Return the end of the window, as local time, if this local time is within it."""
        if not self.first_day <= local_time.date() <= self.last_day:
            return None
        return datetime.combine(self.last_day + DAY, time())


Window = Weekly | WholeDays


def parse_window(value: Mapping[str, Any]) -> Window:
    """Return a stored window."""
    if "weekdays" in value:
        weekdays = frozenset(WEEKDAYS.index(name) for name in value["weekdays"])
        return Weekly(
            weekdays, time.fromisoformat(value["start"]), time.fromisoformat(value["end"])
        )
    return WholeDays(date.fromisoformat(value["first_day"]), date.fromisoformat(value["last_day"]))


@dataclass(frozen=True, slots=True)
class Blackouts:
    """The windows of a schedule, in its time zone."""

    windows: tuple[Window, ...]
    zone: ZoneInfo

    def end_after(self, moment: datetime) -> datetime | None:
        """Return the end of the blackout if this moment is within one. The end is a moment outside all windows."""
        end: datetime | None = None
        for _ in range(MAX_IN_A_ROW):
            local_time = local_time_of(end or moment, self.zone)
            ends = [found for each in self.windows if (found := each.end_after(local_time))]
            if not ends:
                return end
            end = moment_after(max(ends), self.zone, after=end or moment)
        return end


def blackouts_of(schedule: HasBlackouts) -> Blackouts:
    return Blackouts(
        tuple(parse_window(value) for value in schedule.blackouts), ZoneInfo(schedule.timezone)
    )


def end_of_blackout(schedule: HasBlackouts | None, moment: datetime) -> datetime | None:
    """Return the end of the schedule's blackout if this moment is within one."""
    return blackouts_of(schedule).end_after(moment) if schedule and schedule.blackouts else None


def ends_blackout(schedule: HasBlackouts, moment: datetime) -> bool:
    """Whether a blackout of the schedule ends at this moment."""
    return end_of_blackout(schedule, moment - timedelta(seconds=1)) == moment


def leave_no_time(windows: Iterable[Window]) -> bool:
    """Whether the weekly windows together have the whole week."""
    taken: set[int] = set()
    for window in windows:
        if isinstance(window, Weekly):
            start = window.start.hour * 60 + window.start.minute
            end = window.end.hour * 60 + window.end.minute
            length = (end - start) % (24 * 60) or 24 * 60
            for weekday in window.weekdays:
                first = weekday * 24 * 60 + start
                taken.update(minute % MINUTES_OF_WEEK for minute in range(first, first + length))
    return len(taken) == MINUTES_OF_WEEK


def describe_window(value: JsonObject) -> str:
    """Return the window in words, such as "Saturday and Sunday from 22:00 to 06:00"."""
    window = parse_window(value)
    if isinstance(window, WholeDays):
        first, last = (f"{day:%-d %B %Y}" for day in (window.first_day, window.last_day))
        return first if first == last else f"{first} to {last}"
    days = "Daily" if len(window.weekdays) == len(WEEKDAYS) else _days(sorted(window.weekdays))
    if window.start == window.end == time():
        return days if days != "Daily" else "Every day"
    return f"{days} from {window.start:%H:%M} to {window.end:%H:%M}"


def _days(weekdays: Sequence[int]) -> str:
    if list(weekdays) == [0, 1, 2, 3, 4]:
        return "Monday to Friday"
    names = [WEEKDAYS[day].capitalize() for day in weekdays]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
