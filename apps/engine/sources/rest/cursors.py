"""Decide which records are new since the last run, by the values of a cursor field.

The state has the greatest value, and digests of the records with this value. An API that returns records "from this
value on" returns these records again, and they are dropped. New records with the same value are not dropped, unless
there are too many digests to store.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.engine.sandbox.library import paths

MAX_TIES = 1000  # stored digests of records with the same value
INTEGER_TEXT = re.compile(r"-?\d{1,18}")

Record = Mapping[str, Any]
SortKey = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Watermark:
    """The greatest cursor value, and digests of the records with it (None if there are too many to store)."""

    value: Any = None
    ties: tuple[str, ...] | None = ()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Watermark:
        ties = state.get("ties")
        return cls(state.get("value"), None if ties is None and state else tuple(ties or ()))

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "ties": None if self.ties is None else list(self.ties)}


@dataclass(frozen=True, slots=True)
class CursorField:
    """The cursor field of a stream, and the fields that identify its records."""

    path: str
    primary_key: Sequence[str]

    def select_new_records(self, records: Sequence[Any], since: Watermark) -> list[Any]:
        """Return the records that are new since the watermark. Records without a cursor value count as new."""
        if since.value is None:
            return list(records)
        return [record for record in records if self._is_new(record, since)]

    def advance(self, watermark: Watermark, records: Sequence[Any]) -> Watermark:
        """Return the watermark after these records."""
        for record in records:
            value = value_at(record, self.path)
            if value is None:
                continue
            current = watermark.value
            if current is None or sort_key(value) > sort_key(current):
                watermark = Watermark(value, (self._digest(record),))
            elif sort_key(value) == sort_key(current) and watermark.ties is not None:
                is_full = len(watermark.ties) >= MAX_TIES
                ties = None if is_full else (*watermark.ties, self._digest(record))
                watermark = Watermark(current, ties)
        return watermark

    def _is_new(self, record: Any, since: Watermark) -> bool:
        value = value_at(record, self.path)
        if value is None or sort_key(value) > sort_key(since.value):
            return True
        if sort_key(value) < sort_key(since.value) or since.ties is None:
            return False
        return self._digest(record) not in since.ties

    def _digest(self, record: Record) -> str:
        identity: Any = [value_at(record, path) for path in self.primary_key] or record
        text = json.dumps(identity, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def sort_key(value: Any) -> SortKey:
    """Return a sort key for cursor values: numbers (also whole numbers as text), then times, then other texts."""
    if isinstance(value, int | float):
        return 0, value
    text = str(value)
    if INTEGER_TEXT.fullmatch(text):
        return 0, int(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return 2, text
    return 1, time if time.tzinfo else time.replace(tzinfo=UTC)


def value_at(value: Any, path: str) -> Any:
    """Return the value at a path, or None if there is no value."""
    found = paths.find(value, path)
    return None if found is paths.MISSING else found
