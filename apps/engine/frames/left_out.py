"""Records that do not arrive: how many, and the first of them as exact text.

A record is *rejected* if it could not be read or does not fit, and nobody chose to leave it out. It is *skipped* if the
user chose to leave it out: a line that may be bad, a record for which a transform returns nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["rejected", "skipped"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# What `decoding.describe_value` writes, and what follows it.
_NAMED_VALUE = re.compile(r"^(the field .+?) has the value .+(, and its column .+)$", re.DOTALL)

MAX_KEPT = 1_000  # records of a kind that are kept per run
MAX_KEPT_BYTES = 16 << 20  # bytes of these records
MAX_RECORD_BYTES = 64 << 10  # bytes of one record; only the beginning of a longer record is kept


@dataclass(frozen=True, slots=True)
class LeftOutRecord:
    """One record: the reason, its place in the source, and its JSON text, which is exact if `complete`."""

    reason: str
    position: str
    record: str
    complete: bool


@dataclass(slots=True)
class _Records:
    count: int = 0
    size: int = 0  # bytes of the kept records
    kept: list[LeftOutRecord] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        return len(self.kept) < MAX_KEPT and self.size < MAX_KEPT_BYTES

    def keep(self, record: LeftOutRecord) -> None:
        self.kept.append(record)
        self.size += len(record.record)


class LeftOutRecords:
    """The rejected and skipped records of a page or a batch. All are counted; the first of each kind are kept."""

    def __init__(self) -> None:
        self._by_kind: dict[Kind, _Records] = {kind: _Records() for kind in KINDS}

    def add(self, kind: Kind, record: object, *, reason: str, position: str) -> None:
        """Count a record, and keep it if there is room."""
        records = self._by_kind[kind]
        records.count += 1
        if records.has_room:
            text, complete = record_text(record)
            records.keep(LeftOutRecord(_storable(reason), _storable(position), text, complete))

    def count_more(self, kind: Kind, count: int) -> None:
        """Count records that are not available, so they cannot be kept."""
        self._by_kind[kind].count += count

    def extend(self, later: LeftOutRecords) -> None:
        """Add the records that were left out after these."""
        for kind, records in self._by_kind.items():
            more = later._by_kind[kind]
            records.count += more.count
            for record in more.kept:
                if records.has_room:
                    records.keep(record)

    def change(self, change: Callable[[LeftOutRecord], LeftOutRecord]) -> None:
        """Replace each record that is kept."""
        for records in self._by_kind.values():
            records.kept = [change(record) for record in records.kept]
            records.size = sum(len(record.record) for record in records.kept)

    def count(self, kind: Kind) -> int:
        return self._by_kind[kind].count

    def kept(self, kind: Kind) -> list[LeftOutRecord]:
        return self._by_kind[kind].kept


def without_value(reason: str) -> str:
    """Return the reason without the value that it names, for those who may not see the records."""
    return _NAMED_VALUE.sub(r"\1 has a value that does not fit\2", reason)


def page_position(page: int, record: int, *, is_transformed: bool = False) -> str:
    """Return the position of a record whose source has no better name for it. Both numbers count from 0.

    With `is_transformed`, the number is that of the record among those that the transform returned for the page.
    """
    returned = " returned by the transform" if is_transformed else ""
    return f"page {page + 1:,}, record {record + 1:,}{returned}"


def record_text(record: object) -> tuple[str, bool]:
    """Return the record as JSON text, and whether it is complete. Values that JSON lacks become their exact text."""
    # These modules import polars, which the web process does not need.
    from apps.engine.frames.json_numbers import has_json_numbers
    from apps.engine.frames.texts import json_text

    try:
        if has_json_numbers(record):  # `json.dumps` would write the text of the float.
            text = json_text(record)
        else:
            text = json.dumps(record, ensure_ascii=False, default=_text_of)
        data = text.encode()
    except UnicodeEncodeError:  # Lone surrogates are kept as escapes.
        data = json.dumps(record, default=_text_of).encode()
    except (TypeError, ValueError, RecursionError):
        return json.dumps(f"a record that cannot be shown: {type(record).__name__}"), False
    if len(data) <= MAX_RECORD_BYTES:
        return data.decode(), True
    return data[:MAX_RECORD_BYTES].decode(errors="ignore"), False


def _text_of(value: Any) -> str:
    from apps.engine.frames.texts import Unrepresentable, exact_text

    try:
        return exact_text(value)
    except Unrepresentable:
        return str(value)


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
