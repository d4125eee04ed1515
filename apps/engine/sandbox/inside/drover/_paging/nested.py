"""Records in lists inside of the items of a page, such as the lines of orders: `orders[].lines`.

The pages of such an API are cut by the items. A single item may also be only a wrapper of the list that is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drover._paging.keys import keys_of
from drover._paging.paths import Step, find_inner, items_at, parse, split_at_each
from drover._paging.trails import digest
from drover._paging.values import as_count, only_letters

# Names in lower case and without other characters than letters.
PAGING = re.compile(r"page|paging|pagination|meta|links?$|cursor")
TOTALS = frozenset({"totalsize", "totalcount", "totalresults", "totalrecords"})
POSITIONS = frozenset({"maxresults", "limit", "perpage", "pagesize", "startat", "offset"})


@dataclass(frozen=True)
class Nesting:
    """The items of a page whose lists have the records."""

    count: int
    longest: int  # records of the longest list
    identity: str  # digest of the items without their lists; empty if they have nothing else


def find_nesting(document: Any, path: str) -> Nesting | None:
    """Return the items whose lists have the records, or None if each item has one record."""
    before, after = split_at_each(parse(path))
    items = items_at(document, before) if after else None
    lists = [found for item in items or () if isinstance(found := find_inner(item, after), list)]
    if not items or not lists:
        return None
    keys = keys_of(items, ()) or [_plain_fields(item) for item in items]
    longest = max(len(found) for found in lists)
    return Nesting(len(items), longest, digest(keys) if any(keys) else "")


def _plain_fields(item: Any) -> dict[str, Any]:
    fields = item.items() if isinstance(item, Mapping) else ()
    return {name: value for name, value in fields if not isinstance(value, list | Mapping)}


def cut_lists(document: Any, path: str) -> Iterator[tuple[Mapping[str, Any], list[Any]]]:
    """Yield the lists inside of the items, each with the fields beside it that may tell that it is not complete."""
    before, after = split_at_each(parse(path))
    for item in items_at(document, before) or () if after else ():
        yield from _lists_of(item, after)


def _lists_of(item: Any, steps: tuple[Step, ...]) -> Iterator[tuple[Mapping[str, Any], list[Any]]]:
    before, after = split_at_each(steps)
    found, parent = find_inner(item, before), find_inner(item, before[:-1])
    # The fields of the item itself are those of a record.
    if isinstance(found, list) and isinstance(parent, Mapping) and parent is not item:
        yield {name: value for name, value in parent.items() if _may_tell(name, value)}, found
    if after:
        for inner in items_at(item, before) or ():
            yield from _lists_of(inner, after)


def missing_records(fields: Mapping[str, Any], count: int) -> str:
    """Return what says that a list has fewer records than there are, or an empty text. A bare `total` may be a price."""
    names = {only_letters(name) for name in fields}
    totals = TOTALS | ({"total"} if names & POSITIONS else set())
    for name, value in fields.items():
        if only_letters(name) in totals and (as_count(value) or 0) > count:
            return f"`{name}` is {value}"
    return ""


def _may_tell(name: str, value: Any) -> bool:
    if isinstance(value, list):
        return False
    return not isinstance(value, Mapping) or PAGING.match(only_letters(name)) is not None
