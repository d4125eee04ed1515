"""Records that do not arrive: how many, and the first of them as exact text.

A record is *rejected* if it could not be read or does not fit, and nobody chose to leave it out. It is *skipped* if the
user chose to leave it out: a line that may be bad, a record for which a transform returns nothing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from apps.engine.frames.kept_records import KeptRecord

Kind = Literal["rejected", "skipped"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# What `decoding.describe_value` writes, and what follows it.
_NAMED_VALUE = re.compile(r"^(the field .+?) has the value .+(, and its column .+)$", re.DOTALL)

# The name of a file of such records: the first page of its batch, its part, the number of its records, and how many of
# them can be sent again. Older releases wrote neither the part nor the last number.
FILE_NAME = re.compile(
    r"(?P<page>\d{12})(?:\.\d{3})?-(?P<records>\d{4})(?:-(?P<sendable>\d{4}))?\.jsonl"
)
# Records of a kind that are kept per stream of a run, and their bytes. Rejected records can be sent again.
MAX_KEPT: Mapping[Kind, int] = {"rejected": 100_000, "skipped": 1_000}
MAX_KEPT_BYTES: Mapping[Kind, int] = {"rejected": 64 << 20, "skipped": 16 << 20}
# Bytes of one record that are shown. Of a longer record, only the beginning is shown.
MAX_RECORD_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class LeftOutRecord:
    """One record: the reason, its place in the source, and its JSON text, which is exact if `complete`.

    `kept` is the record as the source has returned it (`frames.kept_records`), if it can be sent again.
    """

    reason: str
    position: str
    record: str
    complete: bool
    kept: str | None = None

    @property
    def size(self) -> int:
        return len(self.record) + len(self.kept or "")


@dataclass(slots=True)
class _Records:
    kind: Kind
    count: int = 0
    size: int = 0  # characters of the kept records
    kept: list[LeftOutRecord] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        return len(self.kept) < MAX_KEPT[self.kind] and self.size < MAX_KEPT_BYTES[self.kind]

    def keep(self, record: LeftOutRecord) -> None:
        self.kept.append(record)
        self.size += record.size


class LeftOutRecords:
    """The rejected and skipped records of a page or a batch. All are counted; the first of each kind are kept."""

    def __init__(self) -> None:
        self._by_kind: dict[Kind, _Records] = {kind: _Records(kind) for kind in KINDS}

    def add(
        self,
        kind: Kind,
        record: object,
        *,
        reason: str,
        position: str,
        find_source: Callable[[], KeptRecord | None] = lambda: None,
    ) -> None:
        """Count a record, and keep it if there is room.

        `find_source` returns it as the source has returned it, or None if it cannot be sent again.
        """
        records = self._by_kind[kind]
        records.count += 1
        if not records.has_room:
            return
        text, complete = record_text(record)
        source = find_source()
        kept = _kept_text(source) if source is not None else None
        reason, position = _storable(reason), _storable(position)
        records.keep(LeftOutRecord(reason, position, text, complete, kept))

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
            records.size = sum(record.size for record in records.kept)

    def count(self, kind: Kind) -> int:
        return self._by_kind[kind].count

    def kept(self, kind: Kind) -> list[LeftOutRecord]:
        return self._by_kind[kind].kept


def without_value(reason: str) -> str:
    """Return the reason without the value that it names, for those who may not see the records."""
    return _NAMED_VALUE.sub(r"\1 has a value that does not fit\2", reason)


def most_frequent(reasons: Iterable[str], limit: int) -> list[tuple[str, int]]:
    """Return the most frequent reasons and their counts. Reasons that differ only by a value count as the first of them."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for reason in reasons:
        first.setdefault(without_value(reason), reason)
        counts[without_value(reason)] += 1
    return [(first[reason], count) for reason, count in counts.most_common(limit)]


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


def _kept_text(record: KeptRecord) -> str | None:
    from apps.engine.frames.kept_records import kept_text

    return kept_text(record)


def _text_of(value: Any) -> str:
    from apps.engine.frames.texts import Unrepresentable, exact_text

    try:
        return exact_text(value)
    except Unrepresentable:
        return str(value)


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
