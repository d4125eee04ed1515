"""Records at the beginning of a page that the page before had at its end.

Records were added before them, or a cursor or link includes the record that it names. They are left out if they have
keys, because records without keys may be equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from drover._paging.keys import has_id, keys_of
from drover._paging.trails import digest

MAX_DIGESTS = 32
MAX_KEY = 80  # characters


@dataclass(frozen=True)
class Tail:
    """The end of a page: digests of its last records, the key of the last one, and the number of its records."""

    digests: Sequence[str] = ()
    key: str = ""
    count: int = 0

    @classmethod
    def from_json(cls, value: Any) -> Tail:
        # Earlier releases have stored a list.
        return cls(**value) if isinstance(value, Mapping) else cls()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "digests": list(self.digests)}


def read_overlap(
    records: Sequence[Any], before: Tail, primary_key: Sequence[str]
) -> tuple[int, Tail]:
    """Return how many records at the beginning were at the end of the page before, and the end of this page."""
    keys = [str(key)[:MAX_KEY] for key in keys_of(records, primary_key)]
    is_single = len(records) == 1 and (before.count > 0 or has_id(records[0]))
    if not keys and not is_single:
        return 0, Tail()
    digests = tuple(digest(record) for record in records[-MAX_DIGESTS:])
    tail = Tail(digests, keys[-1] if keys else "", len(records))
    for count in range(min(len(records), before.count), 0, -1):
        # The key is compared first, because a digest takes longer.
        may_be_same = not keys or not before.key or keys[count - 1] == before.key
        if may_be_same and _ends_with(records[:count], before.digests):
            return count, tail
    return 0, tail


def _ends_with(records: Sequence[Any], digests: Sequence[str]) -> bool:
    compared = min(len(records), len(digests))
    newest = [digest(record) for record in records[-compared:]]
    return newest == list(digests[-compared:])
