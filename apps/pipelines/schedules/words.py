"""Describe a schedule in words, such as "Every 6 hours" or "Daily at 06:00 (Europe/Paris)".

The dashboard uses the same words: frontend/src/format/schedule.ts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from apps.pipelines.schedules.times import ScheduleLike

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MANUAL = "Manual"  # instead of a schedule, if there is none
_WEEKDAY_NUMBERS = frozenset("01234567")
UNITS = ((604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def describe(schedule: ScheduleLike) -> str:
    """Return the schedule in words. A cron expression that is too complex for that is returned as it is."""
    until = f" until {schedule.end_date:%-d %B %Y}" if schedule.end_date else ""
    if schedule.interval_seconds:
        return _interval(schedule.interval_seconds) + until
    return f"{_cron(schedule.cron)} ({schedule.timezone}){until}"


def describe_times(times: Iterable[datetime], zone: str) -> str:
    """Return the times in this time zone. A line does not break between a date and its time."""
    local_times = [at.astimezone(ZoneInfo(zone)) for at in times]
    return ", ".join(at.strftime("%Y-%m-%d\u00a0%H:%M") for at in local_times) + f" ({zone})"


def _interval(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in UNITS if seconds % size == 0)
    count = seconds // size
    return f"Every {unit}" if count == 1 else f"Every {count} {unit}s"


def _cron(cron: str) -> str:
    minute, hour, day, month, weekday = cron.split()
    if month != "*":
        return f"Cron {cron}"
    if (step := _even_step(minute, 60)) and (hour, day, weekday) == ("*", "*", "*"):
        return f"Every {step} minutes"
    if not minute.isdigit():
        return f"Cron {cron}"
    if (step := _even_step(hour, 24)) and (day, weekday) == ("*", "*"):
        return f"Every {step} hours at minute {int(minute)}"
    if (hour, day, weekday) == ("*", "*", "*"):
        return f"Hourly at minute {int(minute)}"
    if not hour.isdigit():
        return f"Cron {cron}"
    return _daily(cron, f"{int(hour):02}:{int(minute):02}", day, weekday)


def _even_step(field: str, count: int) -> int | None:
    """Return the step of a field such as */15 if it divides the hour or day, so that all steps are equally long."""
    match = re.fullmatch(r"\*/(\d+)", field, re.ASCII)
    step = int(match[1]) if match else 0
    return step if 0 < step < count and count % step == 0 else None


def _weekdays(field: str) -> str:
    """Return the days of a list such as 1,4 in words, or "" for another field."""
    numbers = field.split(",")
    if not all(number in _WEEKDAY_NUMBERS for number in numbers):
        return ""
    names = [f"{DAYS[int(number)]}s" for number in numbers]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _daily(cron: str, at: str, day: str, weekday: str) -> str:
    match day, weekday:
        case "*", "*":
            return f"Daily at {at}"
        case "*", "1-5":
            return f"Weekdays at {at}"
        case "*", "0,6" | "6,0":
            return f"Weekends at {at}"
        case "*", _ if names := _weekdays(weekday):
            return f"{names} at {at}"
        case _, "*" if day.isdigit():
            return f"Monthly on day {int(day)} at {at}"
    return f"Cron {cron}"
