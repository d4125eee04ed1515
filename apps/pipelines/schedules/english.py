"""Read a schedule in English, such as "every 6 hours" or "weekdays at 7:30 in Berlin".

This is the inverse of `words.describe`: `parse_words(describe(schedule))` has the same times. docs/howto/agent.md lists
what is understood. All tables of words are in `vocabulary`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from apps.orgs.exceptions import Invalid
from apps.pipelines.schedules import vocabulary
from apps.pipelines.schedules.cron import CronError, parse
from apps.pipelines.schedules.parts import ScheduleParts
from apps.pipelines.schedules.plans import UNKNOWN_ZONE, Plan
from apps.pipelines.schedules.times import MAX_INTERVAL, MIN_INTERVAL, time_zone_names
from apps.pipelines.schedules.tokens import Token, split

_FIELD = r"(?:\*|\d{1,2}|[a-z]{3})(?:[-/,](?:\*|\w{1,3})){0,30}"
_CRON_PATTERN = re.compile(
    rf"(?<![\w*])(?P<keyword>cron[:\s]\s{{0,5}})?(?P<fields>(?:{_FIELD}\s{{1,5}}){{4}}{_FIELD})(?![\w*/,-])",
    re.IGNORECASE,
)


class ScheduleNotUnderstood(ValueError):
    """The words are not a schedule. Examples: every 6 hours, daily at 6:00, weekdays at 7:30 in Berlin, every Monday."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or str(type(self).__doc__))


@dataclass(frozen=True, slots=True)
class ScheduleWords:
    """A schedule in a text, from `start` to `end`. `plan` is None for "by hand", and if there is a `problem`."""

    start: int
    end: int
    plan: Plan | None = None
    problem: str = ""
    names_zone: bool = False

    def in_zone(self, zone: str | None) -> Plan | None:
        """Return the schedule, in this time zone if its words name none."""
        if self.plan is None or zone is None or self.names_zone:
            return self.plan
        return replace(self.plan, timezone=zone)


def parse_words(text: str, zone: str | None = None) -> Plan | None:
    """Return the schedule that the whole text describes, or None for "by hand". It is in this time zone if its words
    name none.

    Raises ScheduleNotUnderstood, and Invalid for the field `timezone`.
    """
    if zone is not None and zone not in time_zone_names():
        raise Invalid([("timezone", UNKNOWN_ZONE, "unknown")])
    return _read_whole(text).in_zone(zone)


def _read_whole(text: str) -> ScheduleWords:
    found = find_schedule(text)
    if found is None or text[: found.start].strip() or text[found.end :].strip(" \t\r\n.!"):
        raise ScheduleNotUnderstood
    if found.problem:
        raise ScheduleNotUnderstood(found.problem)
    return found


def read_words(text: str, zone: str | None) -> Plan | None:
    """Return the schedule of a request, or None for "by hand". Raises Invalid for the fields `words` and `timezone`."""
    try:
        return parse_words(text, zone)
    except ScheduleNotUnderstood as error:
        raise Invalid([("words", str(error), "invalid")]) from None


def find_schedule(text: str) -> ScheduleWords | None:
    """Return the first schedule in the text, or None. Its time grows linearly with the text."""
    if (cron := _find_cron(text)) is not None:
        return cron
    tokens = split(text)
    for position, token in enumerate(tokens):
        if token.word in vocabulary.FIRST_WORDS or token.is_number:
            reader = _Reader(tokens, position)
            if reader.read_schedule():
                return reader.result()
    return None


def _find_cron(text: str) -> ScheduleWords | None:
    for match in _CRON_PATTERN.finditer(text):
        if not match["keyword"] and "*" not in match["fields"]:
            continue
        tokens = split(text)
        after = next((i for i, t in enumerate(tokens) if t.start >= match.end()), len(tokens))
        reader = _Reader(tokens, after)
        zone = reader.read_zone()
        end = tokens[reader.position - 1].end if zone else match.end()
        fields = " ".join(match["fields"].split())
        plan = Plan(cron=fields, timezone=zone or "UTC")
        return replace(_checked(match.start(), end, plan), names_zone=bool(zone))
    return None


def _checked(start: int, end: int, plan: Plan) -> ScheduleWords:
    """Return the schedule, or the reason why it cannot be one."""
    if plan.interval_seconds is not None:
        if not MIN_INTERVAL <= plan.interval_seconds <= MAX_INTERVAL:
            return ScheduleWords(start, end, problem="An interval is from one minute to 366 days.")
        return ScheduleWords(start, end, plan)
    try:
        parse(plan.cron)
    except CronError as error:
        return ScheduleWords(start, end, problem=str(error))
    return ScheduleWords(start, end, plan)


class _Reader:
    """Reads one schedule from the tokens, as far as it goes."""

    def __init__(self, tokens: list[Token], position: int) -> None:
        self.tokens = tokens
        self.first = self.position = position
        self.words = ScheduleParts()
        self.problem = ""

    def read_schedule(self) -> bool:
        """Read the schedule. Returns False if there is none at this position."""
        has_time = self._read_times()
        has_repetition = self._read_repetition()
        if not has_repetition and not has_time:
            return False
        while self._read_detail():
            pass
        return True

    def result(self) -> ScheduleWords:
        start, end = self.tokens[self.first].start, self.tokens[self.position - 1].end
        if self.problem:
            return ScheduleWords(start, end, problem=self.problem)
        if self.words.by_hand:
            return ScheduleWords(start, end)
        plan = self.words.plan()
        if isinstance(plan, str):
            return ScheduleWords(start, end, problem=plan)
        return replace(_checked(start, end, plan), names_zone=bool(self.words.zone))

    def read_zone(self) -> str:
        """Read "(Europe/Berlin)", "in Berlin", "Berlin time" or "UTC". Returns "" if there is none."""
        before = self.position
        has_preposition = self._take(*vocabulary.BEFORE_ZONE)
        for length in (3, 2, 1):
            words = [t.word for t in self.tokens[self.position : self.position + length]]
            zone = vocabulary.zone_of(" ".join(words)) if len(words) == length else ""
            is_marked = has_preposition or self._next().text.startswith("(")
            if zone and (is_marked or self._is_zone_without_preposition(length, words)):
                self.position += length
                self._take("time")
                return zone
        self.position = before
        return ""

    def _is_zone_without_preposition(self, length: int, words: list[str]) -> bool:
        after = self.tokens[self.position + length : self.position + length + 1]
        return words[-1] in vocabulary.ZONE_ABBREVIATIONS or (
            bool(after) and after[0].word == "time"
        )

    def _read_repetition(self) -> bool:
        before = self.position
        if self._take_phrase(vocabulary.BY_HAND):
            self.words.by_hand = True
            return True
        if (adverb := vocabulary.ADVERBS.get(self._next().word)) is not None:
            self.position += 1
            self._set_unit(adverb)
            return True
        if self._read_several_times() or self._read_every() or self._read_days():
            return True
        self.position = before
        return False

    def _read_several_times(self) -> bool:
        """Read "twice a day" or "4 times per hour"."""
        before = self.position
        count = {"once": 1, "twice": 2}.get(self._next().word)
        if count is not None:
            self.position += 1
        elif (count := self._number()) is None or not self._take("times"):
            self.position = before
            return False
        if self._take("a", "an", "per", "each", "every") and (unit := self._unit()):
            return self._set_frequency(count, unit)
        self.position = before
        return False

    def _set_frequency(self, count: int, unit: str) -> bool:
        seconds = vocabulary.UNITS[unit]
        if count == 1:
            self._set_unit(unit)
        elif count == 0 or seconds % count or unit == "month":
            self.problem = (
                f"{count} times do not divide a {unit} evenly: say every how many minutes or hours."
            )
        else:
            self.words.count, self.words.unit = seconds // count, 1
        return True

    def _read_every(self) -> bool:
        before = self.position
        self._take("once")
        if not self._take("every", "each", "per"):
            self.position = before
            return False
        if self._take("other"):
            self.words.count = 2
        elif (parts := vocabulary.FRACTIONS.get(self._next().word)) is not None:
            return self._read_fraction(parts)
        else:
            self.words.count = self._number()
        if unit := self._unit():
            self._set_unit(unit)
            return True
        if self.words.count is None and self._read_part_of_day():
            return True
        if self.words.count is None and self._read_days():
            return True
        self.position = min(self.position + 1, len(self.tokens))
        self.problem = str(ScheduleNotUnderstood.__doc__)
        return True

    def _read_fraction(self, parts: int) -> bool:
        """Read "half hour" or "quarter of an hour"."""
        self.position += 1
        while self._take("of", "a", "an"):
            pass
        if unit := self._unit():
            self.words.count, self.words.unit = vocabulary.UNITS[unit] // parts, 1
        else:
            self.problem = str(ScheduleNotUnderstood.__doc__)
        return True

    def _set_unit(self, unit: str) -> None:
        if unit in vocabulary.PARTS_OF_DAY:
            self.words.usual_time = vocabulary.PARTS_OF_DAY[unit]
        elif unit == "month":
            self.words.day_of_month = "1"
            if self.words.count not in (None, 1):
                self.problem = "Only every month can be planned: write a cron expression instead."
        else:
            self.words.unit = vocabulary.UNITS[unit]

    def _read_part_of_day(self) -> bool:
        word = self._next().word
        if word not in vocabulary.PARTS_OF_DAY:
            return False
        self.position += 1
        self._set_unit(word)
        return True

    def _read_days(self) -> bool:
        """Read "weekdays", "on Monday and Thursday", "Monday to Friday", "the 1st" or "on day 15"."""
        before = self.position
        self._take("on")
        self._take("the")
        if (group := vocabulary.DAY_GROUPS.get(self._next().word)) is not None:
            self.position += 1
            self.words.weekdays = group
            return True
        if weekdays := self._weekdays():
            self.words.weekdays = weekdays
            return True
        if days := self._days_of_month():
            self.words.day_of_month = days
            return True
        self.position = before
        return False

    def _weekdays(self) -> str:
        """Read names of weekdays. Returns them as a field of a cron expression."""
        days: list[str] = []
        while (day := vocabulary.weekday(self._next().word)) is not None:
            self.position += 1
            if self._next().word in vocabulary.BETWEEN_DAYS and (
                last := vocabulary.weekday(self._next(1).word)
            ):
                self.position += 2
                days.append(f"{day}-{last}")
            else:
                days.append(str(day))
            if self._separates_days():
                self._take(",")
                self._take("and")
        return ",".join(days)

    def _separates_days(self) -> bool:
        following = [self._next(1).word, self._next(2).word]
        if self._next().word == "," and following[0] == "and":
            return vocabulary.weekday(following[1]) is not None
        return self._next().word in (",", "and") and vocabulary.weekday(following[0]) is not None

    def _days_of_month(self) -> str:
        """Read "day 15" or "1st and 15th of the month". Returns the numbers as a field of a cron expression."""
        days: list[str] = []
        while (day := self._day_of_month()) is not None:
            days.append(str(day))
            after = self.position
            if not self._take("and", ",") or not self._next().is_number:
                self.position = after
                break
        if days and self._take("of"):
            self._take("the", "each", "every")
            self._take("month")
        return ",".join(days)

    def _day_of_month(self) -> int | None:
        before = self.position
        has_word = self._take("day")
        day = self._number()
        if day is not None and (self._take("st", "nd", "rd", "th") or has_word):
            return day
        self.position = before
        return None

    def _read_detail(self) -> bool:
        """Read one more detail: days, times, a minute, or a time zone."""
        if not self.words.zone and (zone := self.read_zone()):
            self.words.zone = zone
            return True
        if self._read_minute():
            return True
        if not self.words.times and self._read_times():
            return True
        if self._allows_days() and (self._read_days() or self._read_every_days()):
            if self.words.unit in (86_400, 604_800) and self.words.count in (None, 1):
                self.words.unit, self.words.count = 0, None
            return True
        return False

    def _allows_days(self) -> bool:
        is_month = self.words.day_of_month == "1" and not self.words.unit
        return self.words.weekdays == "*" and (self.words.day_of_month == "*" or is_month)

    def _read_every_days(self) -> bool:
        """Read "every Monday" or "every day" after a time."""
        before = self.position
        if self._take("every", "each") and (self._take("day") or self._read_days()):
            return True
        self.position = before
        return False

    def _read_minute(self) -> bool:
        before = self.position
        self._take("at")
        if self._take("minute") and (minute := self._number()) is not None:
            self.words.minute = minute
            return True
        self.position = before
        return False

    def _read_times(self) -> bool:
        """Read "at 6", "7:30 pm" or "at 6:00 and 18:00". A number without "at" needs minutes, or am or pm."""
        before = self.position
        has_preposition = self._take("at", "@")
        times: list[tuple[int, int]] = []
        while (moment := self._time(is_exact=not has_preposition)) is not None:
            times.append(moment)
            after = self.position
            is_separated = self._take("and", ",")
            self._take("at")
            if not is_separated or not self._next().is_number:
                self.position = after
                break
        if not times:
            self.position = before
        self.words.times = self.words.times or tuple(times)
        return bool(times)

    def _time(self, *, is_exact: bool) -> tuple[int, int] | None:
        """Read one time of day."""
        token = self._next()
        if token.word in vocabulary.TIMES:
            self.position += 1
            return vocabulary.TIMES[token.word]
        if not token.is_number:
            return None
        hour, _, minute = token.word.partition(":")
        half = {"am": 0, "pm": 12}.get(self._next(1).word)
        if is_exact and not minute and half is None:
            return None
        self.position += 1
        if half is not None:
            self.position += 1
            return (int(hour) % 12 + half if int(hour) <= 12 else 24), int(minute or 0)
        self._take("h", "oclock", "o'clock")
        return int(hour), int(minute or 0)

    def _unit(self) -> str:
        """Read a unit such as "hours". Returns its name, or ""."""
        unit = vocabulary.UNIT_NAMES.get(self._next().word, "")
        if unit:
            self.position += 1
        return unit

    def _number(self) -> int | None:
        token = self._next()
        number = vocabulary.NUMBERS.get(token.word)
        if number is None and token.word.isdigit() and len(token.word) <= 9:
            number = int(token.word)
        if number is not None:
            self.position += 1
        return number

    def _next(self, offset: int = 0) -> Token:
        position = self.position + offset
        return self.tokens[position] if 0 <= position < len(self.tokens) else Token("", 0, 0)

    def _take(self, *words: str) -> bool:
        if self._next().word not in words or not self._next().word:
            return False
        self.position += 1
        return True

    def _take_phrase(self, phrases: tuple[tuple[str, ...], ...]) -> bool:
        for phrase in phrases:
            words = tuple(t.word for t in self.tokens[self.position : self.position + len(phrase)])
            if words == phrase:
                self.position += len(phrase)
                return True
        return False
