"""Decide which records are new since the last run, by the values of a cursor field.

The state has the greatest value and marks of the records with it. An API that returns records "from this
value on" returns them again; they are dropped, and new records with the same value are kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MAX_TIES = 1000
DIGITS = re.compile(r"-?\d{1,18}")

Record = Mapping[str, Any]
Rank = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Watermark:
    """The greatest cursor value seen and the marks of the records with it (None: too many to keep)."""

    value: Any = None
    ties: tuple[str, ...] | None = ()

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Watermark:
        ties = state.get("ties")
        return cls(state.get("value"), None if ties is None and state else tuple(ties or ()))

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "ties": None if self.ties is None else list(self.ties)}


@dataclass(frozen=True, slots=True)
class CursorField:
    """The cursor field of a stream, and the fields that identify its records."""

    path: str
    primary_key: Sequence[str]

    def new(self, records: Sequence[Any], since: Watermark) -> list[Any]:
        """Return the records after the watermark.

        Records without a cursor value are kept, because they may be new.
        """
        if since.value is None:
            return list(records)
        return [record for record in records if self._is_new(record, since)]

    def advance(self, mark: Watermark, records: Sequence[Any]) -> Watermark:
        """Return the watermark after these records."""
        for record in records:
            value = at(record, self.path)
            if value is None:
                continue
            if mark.value is None or rank(value) > rank(mark.value):
                mark = Watermark(value, (self._mark(record),))
            elif rank(value) == rank(mark.value) and mark.ties is not None:
                full = len(mark.ties) >= MAX_TIES
                mark = Watermark(mark.value, None if full else (*mark.ties, self._mark(record)))
        return mark

    def _is_new(self, record: Any, since: Watermark) -> bool:
        value = at(record, self.path)
        if value is None or rank(value) > rank(since.value):
            return True
        if rank(value) < rank(since.value) or since.ties is None:
            return False
        return self._mark(record) not in since.ties

    def _mark(self, record: Record) -> str:
        identity: Any = [at(record, path) for path in self.primary_key] or record
        text = json.dumps(identity, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def rank(value: Any) -> Rank:
    """Return a sort key for cursor values: numbers (also as text), then times, then other texts."""
    if isinstance(value, int | float):
        return 0, value
    text = str(value)
    if DIGITS.fullmatch(text):
        return 0, int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 2, text
    return 1, moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def at(value: Any, path: str) -> Any:
    """Return the value at a path of names (and list indexes) joined by dots; None if there is none."""
    for name in path.split(".") if path else []:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
