"""Which records are new since the last run, by the values of a cursor field.

The state keeps the greatest value and marks of the records that had it: an API that answers "from
this value on" repeats them, and they are dropped; others that share the value later are kept.
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
    """The greatest cursor value seen and the marks of the records that have it (None: too many)."""

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
    """The cursor field of a stream, and what tells its records apart."""

    path: str
    primary_key: Sequence[str]

    def new(self, records: Sequence[Any], since: Watermark) -> list[Any]:
        """The records beyond the watermark. One without a cursor value might be new, so it stays."""
        if since.value is None:
            return list(records)
        return [record for record in records if self._is_new(record, since)]

    def advance(self, mark: Watermark, records: Sequence[Any]) -> Watermark:
        """The watermark after these records."""
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
    """Orders cursor values: numbers (also written as text), times, then other texts."""
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
    """What is at a path of names (and list positions) joined by dots; None when there is nothing."""
    for name in path.split(".") if path else []:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
