"""Decide which records of an incremental sync are new, by the values of a cursor field.

A watermark is a number, a time, or text that grows with time (such as a ULID). Placeholders such as an empty text,
`N/A`, `0000-00-00` or `9999-12-31` are none: they would hide all later records. Records with such values are read,
and their digests are kept, so that they are not read again while they stay the same.

The state has the greatest value, and digests of the records with this value. An API that returns records "from this
value on" returns these records again, and they are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from drover._failures import ConfigurationError
from drover._paging.paths import MISSING, find, walk_objects
from drover._paging.trails import digest

Kind = Literal["time", "number", "text"]
SortKey = tuple[int, Any]

DIGEST_BYTES = 12
MAX_TIES = 1000  # stored digests of records with one value, and of records without a usable value
FUTURE_TOLERANCE = timedelta(days=1)  # clocks differ, and times without a zone may be local
KIND_ORDER: dict[Kind, int] = {"number": 0, "time": 1, "text": 2}
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
PLACEHOLDERS = frozenset(
    {
        *("", "-", "--", "?", "n/a", "na", "n.a.", "#n/a", "nil", "none", "null", "nan"),
        *("undefined", "unknown", "never", "tbd", "inf", "-inf", "+inf", "infinity"),
        *("-infinity", "+infinity", "true", "false", "invalid date", "error"),
    }
)


@dataclass(frozen=True)
class Watermark:
    """The greatest cursor value, and digests of records that were read: those with this value, and those without a
    usable value (`odd`). Digests are None if there are too many to store.
    """

    value: Any = None
    ties: tuple[str, ...] | None = ()
    odd: tuple[str, ...] | None = ()
    kind: Kind | None = None

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
            odd=_digests(state, "odd"),
            kind=state.get("kind") or kind_of(value),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "ties": None if self.ties is None else list(self.ties),
            "odd": None if self.odd is None else list(self.odd),
            "kind": self.kind,
        }


def _digests(state: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    digests = state.get(name)
    is_unknown = digests is None and (name in state or (name == "ties" and "value" in state))
    return None if is_unknown else tuple(digests or ())


@dataclass(frozen=True)
class CursorField:
    """The cursor field of a stream, and the fields that identify its records."""

    path: str
    primary_key: Sequence[str] = ()

    def settle(self, watermark: Watermark, records: Sequence[Any]) -> Watermark:
        """Return the watermark with the kind that the field has in these records, if it was not known.

        Raises ConfigurationError if the field has text that does not sort by time.
        """
        values = [self._value(record) for record in records]
        if watermark.kind is None:
            require_sortable(values, self.path, records)
            return replace(watermark, kind=find_kind(values))
        is_placeholder = watermark.kind == "number" and watermark.value in (0, -1, "0", "-1")
        if is_placeholder and find_kind(values) == "time":
            return replace(watermark, value=None, ties=(), kind="time")
        return watermark

    def warning(self, watermark: Watermark, records: Sequence[Any]) -> str:
        """Return a warning if values are there that cannot become the watermark, or an empty text."""
        values = (self._value(record) for record in records)
        odd = [
            value for value in values if value is not None and not _is_usable(value, watermark.kind)
        ]
        if not odd:
            return ""
        return (
            f"Some values of the cursor field {self.path!r} are no usable cursor, such as {str(odd[0])[:40]!r}."
            " Their records are read, but do not move the cursor."
        )

    def select_new(self, records: Sequence[Any], since: Watermark) -> list[Any]:
        """Return the records that are new since the watermark."""
        return [record for record in records if self._is_new(record, since)]

    def advance(self, watermark: Watermark, records: Sequence[Any]) -> Watermark:
        """Return the watermark after these records, whose kind is settled."""
        for record in records:
            value = self._value(record)
            if not _is_usable(value, watermark.kind):
                watermark = replace(watermark, odd=_add(watermark.odd, _digest(record)))
            elif watermark.value is None or sort_key(value) > sort_key(watermark.value):
                watermark = replace(watermark, value=value, ties=(self._identity(record),))
            elif sort_key(value) == sort_key(watermark.value):
                ties = _add(watermark.ties, self._identity(record))
                watermark = replace(watermark, ties=ties)
        return watermark

    def _is_new(self, record: Any, since: Watermark) -> bool:
        value = self._value(record)
        if not _is_usable(value, since.kind):
            return _digest(record) not in (since.odd or ())
        if since.value is None or sort_key(value) > sort_key(since.value):
            return True
        is_tie = sort_key(value) == sort_key(since.value)
        return is_tie and self._identity(record) not in (since.ties or ())

    def _value(self, record: Any) -> Any:
        value = find(record, self.path)
        return None if value is MISSING else value

    def _identity(self, record: Any) -> str:
        key = [find(record, path) for path in self.primary_key]
        is_complete = bool(key) and all(value is not None and value is not MISSING for value in key)
        return _digest(key if is_complete else record)


def _digest(value: Any) -> str:
    return digest(value, DIGEST_BYTES)


def _is_usable(value: Any, kind: Kind | None) -> bool:
    return kind is not None and kind_of(value) == kind


def _add(digests: tuple[str, ...] | None, new: str) -> tuple[str, ...] | None:
    if digests is None or new in digests:
        return digests
    return None if len(digests) >= MAX_TIES else (*digests, new)


def now() -> datetime:
    return datetime.now(UTC)


def kind_of(value: Any) -> Kind | None:
    """Return the kind of a value that may be a watermark, or None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float | Decimal):
        return "number" if math.isfinite(value) else None
    if not isinstance(value, str) or value.strip().lower() in PLACEHOLDERS:
        return None
    if NUMBER_TEXT.fullmatch(value):
        return "number"
    moment = as_time(value)
    if moment is not None:
        return "time" if moment <= now() + FUTURE_TOLERANCE else None
    return "text" if SORTABLE_TEXT.fullmatch(value) else None


def as_time(text: str) -> datetime | None:
    """Return the time that the text writes by ISO 8601, in UTC if it has no zone."""
    text = f"{text}-01" if YEAR_AND_MONTH.fullmatch(text) else text
    try:
        moment = datetime.fromisoformat(WRITTEN_ZONE.sub("", text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def sort_key(value: Any) -> SortKey:
    """Return a key by which plausible values of one kind sort."""
    kind = kind_of(value)
    if kind == "number":
        number = Decimal(value) if isinstance(value, str) else value
        return KIND_ORDER["number"], number
    if isinstance(value, str) and (moment := as_time(value)) is not None:
        return KIND_ORDER["time"], moment
    return KIND_ORDER["text"], str(value)


def find_kind(values: Iterable[Any]) -> Kind | None:
    """Return the kind of the field. Times win, because numbers such as 0 are placeholders among them."""
    kinds = {kind_of(value) for value in values}
    order: tuple[Kind, ...] = ("time", "number", "text")
    return next((kind for kind in order if kind in kinds), None)


def require_sortable(values: Sequence[Any], place: str, records: Iterable[Any]) -> None:
    """Raise ConfigurationError if the values of a cursor field are texts that do not sort by time."""
    if find_kind(values) is not None:
        return
    wrong = next(
        (value for value in values if isinstance(value, str) and is_unsortable(value)), None
    )
    if wrong is None:
        return
    fields = ", ".join(list(dict.fromkeys(_usable_fields(records)))[:5])
    proposal = f"choose one of these fields: {fields}" if fields else "choose another field"
    raise ConfigurationError(
        f"the cursor field {place!r} has text that does not sort by time; {proposal}, or use full refreshes",
        evidence=(f"{place} is {wrong[:40]!r}",),
    )


def is_unsortable(text: str) -> bool:
    """Whether the text is neither a usable value nor a placeholder for one."""
    plain = text.strip()
    if plain.lower() in PLACEHOLDERS or plain.startswith("0000-"):
        return False
    return bool(WRITTEN_DATE.fullmatch(plain)) or (kind_of(text) is None and as_time(text) is None)


def _usable_fields(records: Iterable[Any]) -> Iterator[str]:
    """Yield the fields of the first record whose values are times of the past."""
    for record in records:
        if isinstance(record, Mapping):
            for field, value in walk_objects(record):
                if isinstance(value, str) and kind_of(value) == "time":
                    yield field
        return
