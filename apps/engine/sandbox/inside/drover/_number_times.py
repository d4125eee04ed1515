"""Numbers that are times, and those among them that mean "never".

A number means never if it is the greatest integer of a type. If most numbers of a field are seconds, milliseconds,
microseconds or nanoseconds since 1970, or dates that are written as numbers (20240131), so do numbers such as 2100-01-01
or 9999-12-31. A field that is called like a time has no number of the future. Identifiers of the same size have none of
these restrictions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

FUTURE_TOLERANCE = timedelta(days=1)  # clocks differ, and times without a zone may be local
GREATEST_INTEGERS = (
    *(2**31 - 1, 2**32 - 1, 2**53 - 1, 2**63 - 1, 2**64 - 1),
    *(99_991_231, 99_999_999, 99_991_231_000_000, 99_991_231_235_959),  # written dates
    3_155_378_975_999_999_999,  # the greatest time of .NET, in ticks
    *(2_650_467_743_990_000_000, 2_650_467_743_999_999_999),  # the same, since 1601
)
# How many are a second, for times since 1970.
EPOCH_UNITS = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
# The forms of written times, as `to_char` of PostgreSQL names them, and as Python does.
WRITTEN_FORMS = {
    "YYYYMMDD": "%Y%m%d",
    "YYYYMMDDHH24MISS": "%Y%m%d%H%M%S",
    "YYYYMMDDHH24MI": "%Y%m%d%H%M",
    "YYYYMM": "%Y%m",
}
BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
# The last two days of the year 9999 in seconds since 1970, in all time zones.
LAST_DAYS = (253_402_128_000, 253_402_351_200)
FAR_YEARS = (2099, 2100, 2199, 2200, 2299, 2300, 2499, 2500, 2999, 3000, 9998, 9999)
FAR_TIMES = tuple(
    datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    for year in FAR_YEARS
    for month, day, hour, minute, second in (
        (1, 1, 0, 0, 0),
        (12, 31, 0, 0, 0),
        (12, 31, 23, 59, 59),
    )
)
TIME_NAME = re.compile(
    r"(?i:time|date|stamp|epoch|modified|changed|created|updated|[_-]at|[_-]on|[_-]ts|^ts|^at)$|[a-z]At$|[a-z]On$"
)


def find_unit(numbers: Sequence[Any]) -> str:
    """Return the unit or form in which most of the numbers are times from the year 2000 until tomorrow, or an empty text.

    Placeholders are not counted.
    """
    numbers = [number for number in numbers if isinstance(number, int | float | Decimal)]
    for unit in (*EPOCH_UNITS, *WRITTEN_FORMS):
        counted = [number for number in numbers if not is_placeholder(number, unit)]
        first, last = _number(BEGIN, unit), greatest_number(unit)
        times = sum(first <= number <= last and _is_time(number, unit) for number in counted)
        if times * 2 > len(counted):
            return unit
    return ""


def greatest_number(unit: str) -> int:
    """Return the number of tomorrow."""
    return _number(now() + FUTURE_TOLERANCE, unit)


def last_days(unit: str) -> tuple[int, int]:
    """Return the first and the last number of the last days of the year 9999. In written forms, this is the last one."""
    if unit in EPOCH_UNITS:
        return LAST_DAYS[0] * EPOCH_UNITS[unit], LAST_DAYS[1] * EPOCH_UNITS[unit]
    length = len(BEGIN.strftime(WRITTEN_FORMS[unit]))
    return int("99991231"[:length].ljust(length, "0")), 10**length - 1


@cache
def far_times(unit: str) -> frozenset[int]:
    """Return numbers that mean "never" in a field of times: the beginning and the end of years such as 2100 or 9999."""
    numbers = {_number(moment, unit) for moment in FAR_TIMES}
    factor = EPOCH_UNITS.get(unit, 1)
    # The last moment of a second, also in milliseconds and microseconds.
    parts = {0, factor - 1, factor // 1000 * 999, factor // 10**6 * 999_999}
    return frozenset(number + part for number in numbers for part in parts)


def is_placeholder(number: Any, unit: str) -> bool:
    """Whether the number means "never" in a field of times in this unit."""
    first, last = last_days(unit)
    return first <= number <= last or number in far_times(unit) or number in GREATEST_INTEGERS


def is_time_name(path: str) -> bool:
    """Whether a field is called like a time: `updated_at`, `lastModified`, `ts`."""
    return TIME_NAME.search(path.strip("'\"")) is not None


def now() -> datetime:
    return datetime.now(UTC)


def _number(moment: datetime, unit: str) -> int:
    if unit in EPOCH_UNITS:
        return int(moment.timestamp()) * EPOCH_UNITS[unit]
    return int(moment.strftime(WRITTEN_FORMS[unit]))


def _is_time(number: Any, unit: str) -> bool:
    """Whether the number can be a time: in a written form, not each number is one."""
    if unit in EPOCH_UNITS:
        return True
    try:
        datetime.strptime(str(int(number)), WRITTEN_FORMS[unit]).replace(tzinfo=UTC)
    except ValueError:
        return False
    return bool(number == int(number))
