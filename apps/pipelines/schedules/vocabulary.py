"""The English words of schedules."""

from __future__ import annotations

from functools import lru_cache

from apps.pipelines.schedules.times import time_zone_names

UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800, "month": 0}
UNIT_NAMES = {
    **{name: name for name in UNITS},
    **{f"{name}s": name for name in UNITS},
    "sec": "second",
    "secs": "second",
    "min": "minute",
    "mins": "minute",
    "h": "hour",
    "hr": "hour",
    "hrs": "hour",
}
ADVERBS = {
    "hourly": "hour",
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "nightly": "night",
}
FRACTIONS = {"half": 2, "quarter": 4}
# fmt: off
NUMBERS = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15,
    "twenty": 20, "thirty": 30, "forty": 40,
}
# fmt: on
# The time of day that a word stands for if no time is given.
PARTS_OF_DAY = {"morning": (6, 0), "afternoon": (14, 0), "evening": (18, 0), "night": (2, 0)}
TIMES = {"midnight": (0, 0), "noon": (12, 0), "midday": (12, 0)}
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
SHORT_WEEKDAYS = {"tues": 2, "weds": 3, "thur": 4, "thurs": 4}
DAY_GROUPS = {
    **dict.fromkeys(("weekday", "weekdays", "workday", "workdays"), "1-5"),
    **dict.fromkeys(("weekend", "weekends"), "0,6"),
}
BEFORE_ZONE = ("in", "(")
ZONE_ABBREVIATIONS = ("utc", "gmt")
BETWEEN_DAYS = ("to", "through", "until", "-")
BY_HAND = (
    ("manually",),
    ("by", "hand"),
    ("on", "demand"),
    ("no", "schedule"),
    ("without", "schedule"),
    ("without", "a", "schedule"),
)
FIRST_WORDS = frozenset(
    {"at", "@", "on", "every", "each", "once", "twice", *TIMES}
    | set(ADVERBS)
    | set(DAY_GROUPS)
    | {phrase[0] for phrase in BY_HAND}
    | set(WEEKDAYS)
    | {f"{day}s" for day in WEEKDAYS}
)


def weekday(word: str) -> int | None:
    """Return the number of a weekday: 0 is Sunday."""
    for number, name in enumerate(WEEKDAYS):
        if word in (name, f"{name}s", name[:3]):
            return number
    return SHORT_WEEKDAYS.get(word)


def zone_of(words: str) -> str:
    """Return the IANA time zone of a name such as "europe/berlin", "berlin" or "new york", or ""."""
    return _zones().get(words.strip("()"), "")


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    """Return {name in small letters: time zone}. A city in several zones' names has the shortest of them."""
    names = sorted(time_zone_names(), key=lambda name: (len(name), name), reverse=True)
    cities = {
        name.rpartition("/")[2].replace("_", " ").lower(): name
        for name in names
        if "/" in name and not name.startswith(("Etc/", "posix/", "right/"))
    }
    return cities | {name.lower(): name for name in names}
