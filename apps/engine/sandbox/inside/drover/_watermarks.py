"""Decide which records of an incremental sync are new, by the values of a cursor field.

A watermark is a number, a time, or text that grows with time (such as a ULID). Placeholders such as an empty text,
`N/A`, `0000-00-00` or `9999-12-31` are none: they would hide all later records. Records with such values are read,
and their digests are kept, so that they are not read again while they stay the same.

Numbers that are times have placeholders too (see `_number_times`).

The state has the greatest value, and digests of the records with this value. An API that returns records "from this
value on" returns these records again, and they are left out. Records without a key that are equal are counted (`digest*2`), so
that one more of them is new. A digest without a number stands for any number of records.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from drover._failures import ConfigurationError
from drover._number_times import (
    FUTURE_TOLERANCE,
    GREATEST_INTEGERS,
    find_unit,
    greatest_number,
    is_placeholder,
    is_time_name,
    now,
)
from drover._paging.paths import MISSING, find, walk_objects
from drover._paging.trails import digest
from drover._paging.values import as_stored

Kind = Literal["time", "number", "text"]

DIGEST_BYTES = 12
UNCOUNTED = sys.maxsize  # a digest that stands for any number of records
MAX_TIES = 1000  # stored digests of records with one value, and of records without a usable value
LATEST = datetime.max.replace(tzinfo=UTC)
NUMBER_TEXT = re.compile(r"-?\d{1,25}(\.\d{1,18})?")
YEAR_AND_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
# Texts that grow with time: ULID, KSUID, ids of MongoDB, UUIDs of version 6 and 7, row versions of SQL Server.
SORTABLE_TEXT = re.compile(
    r"[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9A-Za-z]{27}|[0-9a-f]{24}|0x[0-9A-Fa-f]{16}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[67][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
)
# A zone as many APIs write it after a time: ` UTC`, ` +0000`.
WRITTEN_ZONE = re.compile(r"\s*(UTC|GMT|[zZ])$|\s+(?=[+-]\d\d:?\d\d$)")
WRITTEN_DATE = re.compile(
    r"\d{1,4}[/.]\d{1,2}[/.]\d{2,4}\b.*|\d{1,2}-\d{1,2}-\d{4}\b.*"
    r"|.*\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b.*\d.*",
    re.IGNORECASE | re.DOTALL,
)
# Texts that programs write for a missing value, in lower case.
MISSING_TEXTS = frozenset(
    {"", "-", "--", "?", "n/a", "na", "n.a.", "#n/a", "nil", "none", "null", "nan"}
)
PLACEHOLDERS = MISSING_TEXTS.union(
    {
        *("undefined", "unknown", "never", "tbd", "inf", "-inf", "+inf", "infinity"),
        *("-infinity", "+infinity", "true", "false", "invalid date", "error"),
    }
)


@dataclass(frozen=True)
class Watermark:
    """The greatest cursor value, and digests of records that were read: those with this value, and those without a
    usable value. Digests are None if there are too many to store.
    """

    value: Any = None
    ties: tuple[str, ...] | None = ()
    unusable: tuple[str, ...] | None = ()
    kind: Kind | None = None
    unit: str = ""  # of a number that is a time, see `_number_times`
    repeated: tuple[str, ...] = ()  # digests of earlier records that this sync has received again

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Watermark:
        """Return the watermark of a stored state. Raises ConfigurationError if its value cannot be one."""
        value = state.get("value")
        if value is not None and kind_of(value) is None:
            raise ConfigurationError(
                f"the saved cursor value {str(value)[:40]!r} would hide all later records; reset the stream"
            )
        return cls(
            value,
            ties=_digests(state, "ties"),
            unusable=_digests(state, "odd"),
            kind=state.get("kind") or kind_of(value),
            unit=find_unit([classify(value, LATEST)[1]]),
            repeated=tuple(state.get("repeated", ())),
        )

    @property
    def key(self) -> Any:
        """Return the key by which the value sorts, or None without a value."""
        return None if self.value is None else classify(self.value, LATEST)[1]

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "ties": None if self.ties is None else list(self.ties),
            "odd": None if self.unusable is None else list(self.unusable),
            "kind": self.kind,
            **({"repeated": list(self.repeated)} if self.repeated else {}),
        }


def _digests(state: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    digests = state.get(name)
    is_unknown = digests is None and (name in state or (name == "ties" and "value" in state))
    return None if is_unknown else tuple(digests or ())


class Reading(NamedTuple):
    """A record with its cursor value. `kind` is None if the value cannot be a watermark; `key` sorts its kind."""

    record: Any
    value: Any
    kind: Kind | None
    key: Any


@dataclass(frozen=True)
class CursorField:
    """The cursor field of a stream, and the fields that identify its records."""

    path: str
    primary_key: Sequence[str] = ()

    def read(self, records: Sequence[Any]) -> list[Reading]:
        latest = now() + FUTURE_TOLERANCE
        readings = []
        for record in records:
            value = self._value(record)
            kind, key = classify(value, latest)
            readings.append(Reading(record, value, kind, key))
        return readings

    def with_kind(self, watermark: Watermark, readings: Sequence[Reading]) -> Watermark:
        """Return the watermark with the kind that the field has in these records, if it was not known.

        Raises ConfigurationError if the field has text that does not sort by time.
        """
        if watermark.kind is None:
            self._require_sortable(readings)
            numbers = [reading.key for reading in readings if reading.kind == "number"]
            return replace(watermark, kind=find_kind(readings), unit=find_unit(numbers))
        is_placeholder = watermark.kind == "number" and watermark.value in (0, -1, "0", "-1")
        if is_placeholder and find_kind(readings) == "time":
            return replace(watermark, value=None, ties=(), kind="time")
        return watermark

    def warning(self, watermark: Watermark, readings: Sequence[Reading]) -> str:
        """Return a warning if values are there that cannot become the watermark, or an empty text."""
        for reading in readings:
            if reading.value is not None and not self.is_usable(reading, watermark):
                return (
                    f"Some values of the cursor field {self.path!r} are no usable cursor, such as"
                    f" {str(reading.value)[:40]!r}. Their records are read, but do not move the cursor."
                )
        return ""

    def take_new(
        self, readings: Sequence[Reading], since: Watermark, mark: Watermark, *, is_last: bool
    ) -> tuple[list[Reading], Watermark]:
        """Return the records that are new since the watermark, and the mark after them.

        `mark` is the watermark after the pages before this one, and `is_last` whether no page follows.
        """
        known = _Known(self, since, mark.repeated)
        new = [reading for reading in readings if known.is_new(reading)]
        repeated = () if is_last else _to_digests(known.repeated)
        return new, replace(self.advance(mark, new), repeated=repeated)

    def select_new(self, readings: Sequence[Reading], since: Watermark) -> list[Reading]:
        """Return the records that are new since the watermark, if they are all records of a sync."""
        return self.take_new(readings, since, since, is_last=True)[0]

    def advance(self, watermark: Watermark, new: Sequence[Reading]) -> Watermark:
        """Return the watermark after these new records. Only values of its kind move it."""
        usable = [reading for reading in new if self.is_usable(reading, watermark)]
        if len(usable) < len(new):
            others = [reading for reading in new if not self.is_usable(reading, watermark)]
            watermark = replace(watermark, unusable=self._add(watermark.unusable, others, _digest))
        if not usable:
            return watermark
        greatest = max(usable, key=lambda reading: reading.key)
        if watermark.value is None or greatest.key > watermark.key:
            watermark = replace(watermark, value=as_stored(greatest.value), ties=())
        key = watermark.key
        tied = [reading for reading in usable if reading.key == key]
        return replace(watermark, ties=self._add(watermark.ties, tied, self.identity))

    def _add(
        self,
        digests: tuple[str, ...] | None,
        readings: Sequence[Reading],
        identify: Callable[[Any], str],
    ) -> tuple[str, ...] | None:
        """Return the digests with those of the records, or None if they are too many."""
        if digests is None:
            return None
        counts = _to_counts(digests)
        for reading in readings:
            digest = identify(reading.record)
            is_counted = not self._has_key(reading.record)
            counts[digest] = counts.get(digest, 0) + 1 if is_counted else UNCOUNTED
        return _to_digests(counts) if len(counts) <= MAX_TIES else None

    def is_usable(self, reading: Reading, watermark: Watermark) -> bool:
        if reading.kind is None or reading.kind != watermark.kind:
            return False
        return reading.kind != "number" or not self._is_far_time(reading.key, watermark.unit)

    def _is_far_time(self, number: Any, unit: str) -> bool:
        """Whether the number is a time of the future, in a field whose numbers are times."""
        if not unit or number <= greatest_number(unit):
            return False
        return is_placeholder(number, unit) or is_time_name(self.path)

    def _value(self, record: Any) -> Any:
        if type(record) is dict and self.path in record:
            return record[self.path]
        value = find(record, self.path)
        return None if value is MISSING else value

    def identity(self, record: Any) -> str:
        return _digest(self._key(record) if self._has_key(record) else record)

    def _key(self, record: Any) -> list[Any]:
        return [find(record, path) for path in self.primary_key]

    def _has_key(self, record: Any) -> bool:
        """Whether the record has a complete key, so that it is the same record if it comes again."""
        key = self._key(record)
        return bool(key) and all(value is not None and value is not MISSING for value in key)

    def _require_sortable(self, readings: Sequence[Reading]) -> None:
        if any(reading.kind is not None for reading in readings):
            return
        values = (reading.value for reading in readings)
        wrong = next((v for v in values if isinstance(v, str) and is_unsortable(v)), None)
        if wrong is None:
            return
        fields = ", ".join(list(dict.fromkeys(_usable_fields(readings[0].record)))[:5])
        proposal = f"choose one of these fields: {fields}" if fields else "choose another field"
        raise ConfigurationError(
            f"the cursor field {self.path!r} has text that does not sort by time; {proposal}, or use full refreshes",
            evidence=(f"{self.path} is {wrong[:40]!r}",),
        )


def _digest(value: Any) -> str:
    return digest(value, DIGEST_BYTES)


class _Known:
    """The records that were read before this sync. Those that come again are counted in `repeated`."""

    def __init__(self, field: CursorField, since: Watermark, repeated: tuple[str, ...]) -> None:
        self._field, self._since, self._since_key = field, since, since.key
        self._ties, self._unusable = _to_counts(since.ties), _to_counts(since.unusable)
        self.repeated = _to_counts(repeated)

    def is_new(self, reading: Reading) -> bool:
        if not self._field.is_usable(reading, self._since):
            return not self._repeats(self._unusable, _digest, reading)
        if self._since_key is None or reading.key > self._since_key:
            return True
        is_tied = bool(reading.key == self._since_key)
        return is_tied and not self._repeats(self._ties, self._field.identity, reading)

    def _repeats(
        self, known: Mapping[str, int], identify: Callable[[Any], str], reading: Reading
    ) -> bool:
        """Whether the record is one of the known records that this sync has not received again yet."""
        if not known:
            return False
        digest = identify(reading.record)
        count = known.get(digest, 0)
        if count == UNCOUNTED:
            return True
        if self.repeated.get(digest, 0) >= count:
            return False
        self.repeated[digest] = self.repeated.get(digest, 0) + 1
        return True


def _to_counts(digests: Sequence[str] | None) -> dict[str, int]:
    """Return how many records each digest stands for."""
    parts = (digest.partition("*") for digest in digests or ())
    return {digest: int(count) if count else UNCOUNTED for digest, _, count in parts}


def _to_digests(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(
        digest if count == UNCOUNTED else f"{digest}*{count}" for digest, count in counts.items()
    )


def classify(value: Any, latest: datetime) -> tuple[Kind | None, Any]:
    """Return the kind of a value that may be a watermark, and a key by which values of the kind sort; else None."""
    if isinstance(value, str):
        return _classify_text(value, latest)
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return _classify_number(value) if is_number else (None, None)


def _classify_text(text: str, latest: datetime) -> tuple[Kind | None, Any]:
    if NUMBER_TEXT.fullmatch(text):
        return _classify_number(Decimal(text) if "." in text else int(text))
    moment = as_time(text)
    if moment is not None:
        return ("time", moment) if moment <= latest else (None, None)
    return ("text", text) if SORTABLE_TEXT.fullmatch(text) else (None, None)


def _classify_number(number: Any) -> tuple[Kind | None, Any]:
    is_usable = math.isfinite(number) and number not in GREATEST_INTEGERS
    return ("number", number) if is_usable else (None, None)


def kind_of(value: Any) -> Kind | None:
    return classify(value, now() + FUTURE_TOLERANCE)[0]


def as_time(text: str) -> datetime | None:
    """Return the time that the text writes by ISO 8601, in UTC if it has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        text = f"{text}-01" if YEAR_AND_MONTH.fullmatch(text) else WRITTEN_ZONE.sub("", text)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def find_kind(readings: Iterable[Reading]) -> Kind | None:
    """Return the kind of the field. Times win, because numbers such as 0 are placeholders among them."""
    kinds = {reading.kind for reading in readings}
    order: tuple[Kind, ...] = ("time", "number", "text")
    return next((kind for kind in order if kind in kinds), None)


def is_unsortable(text: str) -> bool:
    """Whether the text is neither a usable value nor a placeholder for one."""
    plain = text.strip()
    if plain.lower() in PLACEHOLDERS or plain.startswith("0000-") or NUMBER_TEXT.fullmatch(plain):
        return False
    return bool(WRITTEN_DATE.fullmatch(plain)) or (kind_of(text) is None and as_time(text) is None)


def _usable_fields(record: Any) -> Iterator[str]:
    """Yield the fields of the record whose values are times of the past."""
    if isinstance(record, Mapping):
        for field, value in walk_objects(record):
            if isinstance(value, str) and kind_of(value) == "time":
                yield field
