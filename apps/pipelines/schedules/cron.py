"""Parse cron expressions of five fields: minute, hour, day of month, month, day of week.

A field has numbers, ranges (`1-5`), steps (`*/15`, `8-18/2`), lists (`0,30`), or English names of months and weekdays
in three letters (`jan`, `mon`). Both 0 and 7 are Sunday. If both day of month and weekday are restricted, a day needs
to match only one of them, as in POSIX.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# (name, lowest number, highest number, names of the numbers from the lowest)
FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of month", 1, 31, []),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 7, WEEKDAYS),
)
MAX_LENGTH = 100  # characters
_PART_PATTERN = re.compile(r"(?P<from>\*|\w+)(?:-(?P<to>\w+))?(?:/(?P<step>\d{1,2}))?", re.ASCII)
_DAYS_OF_MONTH = dict.fromkeys(range(1, 13), 31) | {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


class CronError(ValueError):
    """The expression is invalid, or it names a day that does not exist."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression: its minutes, hours and days in local time."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    any_day: bool  # whether the day of month is unrestricted
    any_weekday: bool

    @property
    def is_every_hour(self) -> bool:
        return len(self.hours) == 24

    def runs_on(self, day: date) -> bool:
        """Whether the expression has any time on this day."""
        if day.month not in self.months:
            return False
        day_matches, weekday_matches = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return day_matches and weekday_matches
        return day_matches or weekday_matches


def parse(text: str) -> Cron:
    """Parse an expression. Raises CronError."""
    if len(text) > MAX_LENGTH:
        raise CronError(f"At most {MAX_LENGTH} characters.")
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise CronError(
            f"A cron expression has five fields (minute, hour, day of month, month, "
            f"day of week); this has {len(parts)}."
        )
    minutes, hours, days, months, weekdays = (
        _parse_field(part, *field) for part, field in zip(parts, FIELDS, strict=True)
    )
    cron = Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(day % 7 for day in weekdays),
        any_day=parts[2] in {"*", "*/1"},
        any_weekday=parts[4] in {"*", "*/1"},
    )
    _require_existing_day(cron)
    return cron


def _parse_field(text: str, name: str, low: int, high: int, names: list[str]) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        match = _PART_PATTERN.fullmatch(part)
        if match is None:
            raise CronError(f"{name}: {part[:20]!r} is not a number, range, step or list.")
        values |= _parse_range(match, name, low, high, names)
    return values


def _parse_range(
    match: re.Match[str], name: str, low: int, high: int, names: list[str]
) -> set[int]:
    step = int(match["step"] or 1)
    if step < 1:
        raise CronError(f"{name}: a step must be at least 1.")
    if match["from"] == "*":
        if match["to"]:
            raise CronError(f"{name}: {match[0]!r} is not a range.")
        return set(range(low, high + 1 if name != "day of week" else high, step))
    first = _parse_number(match["from"], name, low, high, names)
    last = _parse_number(match["to"], name, low, high, names) if match["to"] else first
    if match["step"] and not match["to"]:
        last = high if name != "day of week" else high - 1
    if last == 0 and first > 0 and name == "day of week" and match["to"]:
        last = 7  # In a range like fri-sun, Sunday is 7.
    if last < first:
        raise CronError(f"{name}: {match[0]!r} ends before it begins.")
    return set(range(first, last + 1, step))


def _parse_number(text: str, name: str, low: int, high: int, names: list[str]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + low
    if not text.isdigit() or len(text) > 4 or not low <= int(text) <= high:
        raise CronError(f"{name}: {text[:20]!r} is not between {low} and {high}.")
    return int(text)


def _require_existing_day(cron: Cron) -> None:
    """Raise CronError if the days of month exist in none of the months, such as 30 February.

    An expression with weekdays always has a day.
    """
    if not cron.any_weekday:
        return
    if all(min(cron.days) > _DAYS_OF_MONTH[month] for month in cron.months):
        raise CronError(
            "day of month: no selected month has this day, so the schedule would never run."
        )
