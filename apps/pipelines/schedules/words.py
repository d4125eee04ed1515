"""Describe a schedule in words, such as "Every 6 hours" or "Daily at 06:00 (Europe/Paris)"."""

from __future__ import annotations

import re

from apps.pipelines.schedules.times import ScheduleLike

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
UNITS = ((604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def describe(schedule: ScheduleLike) -> str:
    """Return the schedule in words. A cron expression that is too complex for that is returned as it is."""
    if schedule.interval_seconds:
        return _interval(schedule.interval_seconds)
    return f"{_cron(schedule.cron)} ({schedule.timezone})"


def _interval(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in UNITS if seconds % size == 0)
    count = seconds // size
    return f"Every {unit}" if count == 1 else f"Every {count} {unit}s"


def _cron(cron: str) -> str:
    minute, hour, day, month, weekday = cron.split()
    if month != "*":
        return f"Cron {cron}"
    if (every := re.fullmatch(r"\*/(\d+)", minute)) and (hour, day, weekday) == ("*", "*", "*"):
        return f"Every {every[1]} minutes"
    if not minute.isdigit():
        return f"Cron {cron}"
    if (every := re.fullmatch(r"\*/(\d+)", hour)) and (day, weekday) == ("*", "*"):
        return f"Every {every[1]} hours at minute {int(minute)}"
    if (hour, day, weekday) == ("*", "*", "*"):
        return f"Hourly at minute {int(minute)}"
    if not hour.isdigit():
        return f"Cron {cron}"
    return _daily(cron, f"{int(hour):02}:{int(minute):02}", day, weekday)


def _daily(cron: str, at: str, day: str, weekday: str) -> str:
    match day, weekday:
        case "*", "*":
            return f"Daily at {at}"
        case "*", "1-5":
            return f"Monday to Friday at {at}"
        case "*", _ if weekday.isdigit() and int(weekday) < len(DAYS):
            return f"Every {DAYS[int(weekday)]} at {at}"
        case _, "*" if day.isdigit():
            return f"Monthly on day {int(day)} at {at}"
    return f"Cron {cron}"
