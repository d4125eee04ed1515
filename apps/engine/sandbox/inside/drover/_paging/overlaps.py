"""Records at the beginning of a page that the page before had at its end.

Records were added before them, or a cursor or link includes the record that it names. They are left out if they have
keys, because records without keys may be equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drover._paging.keys import has_id, keys_of
from drover._paging.trails import digest

TAIL = 32  # records at the end of a page whose digests are stored


def read_overlap(
    records: Sequence[Any], tail: Sequence[str], primary_key: Sequence[str]
) -> tuple[int, list[str]]:
    """Return how many records at the beginning were on the page before, and the digests of the last records.

    `tail` are the digests of the last records of the page before.
    """
    is_single = len(records) == 1 and (bool(tail) or has_id(records[0]))
    if not is_single and not keys_of(records, primary_key):
        return 0, []
    newest = [digest(record) for record in records[-TAIL:]]
    return _count_overlap(records, tail), newest


def _count_overlap(records: Sequence[Any], tail: Sequence[str]) -> int:
    if not tail:
        return 0
    is_whole = len(tail) == TAIL and len(records) > TAIL
    digests = [digest(record) for record in (records if is_whole else records[:TAIL])]
    for end in range(len(digests), len(tail) - 1, -1):
        if digests[end - 1] == tail[-1] and digests[end - len(tail) : end] == list(tail):
            return end
    longest = min(len(digests), len(tail) - 1)
    return next((n for n in range(longest, 0, -1) if list(tail[-n:]) == digests[:n]), 0)
