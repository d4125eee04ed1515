"""Find the total number of records that an API reports with a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from drover._paging.paths import find, walk_objects
from drover._paging.values import as_count

HEADERS = ("X-Total-Count", "X-Total", "Total-Count")
# As in `items 0-9/57`, but not in bytes.
CONTENT_RANGE = re.compile(r"\s*(?!bytes)\w+\s+(\d{1,15})-(\d{1,15})/(\d{1,15})\s*")
PLACES = (
    "",
    "meta.",
    "metadata.",
    "_meta.",
    "pagination.",
    "meta.pagination.",
    "paging.",
    "page.",
    "_metadata.",
    "pageInfo.",
    "page_info.",
    "paginator.",
)
NAMES = (
    "total",
    "total_count",
    "totalCount",
    "total_results",
    "totalResults",
    "total_records",
    "totalRecords",
    "total_items",
    "totalItems",
    "totalElements",
    "totalSize",
    "'@odata.count'",
)
# Names that mean the total of the records wherever they are, in lower case and without other characters than letters.
CLEAR_NAMES = frozenset(
    {
        *("totalresults", "totalrecords", "totalitems", "totalelements", "totalrows", "totalhits"),
        *("totalentries", "totalobjects", "totaldocs", "nbhits", "numfound", "recordstotal"),
    }
)
MAX_DEPTH = 3
MAX_FIELDS = 200  # to look at


def reported_total(document: Any, headers: Mapping[str, str], count: int) -> int | None:
    """Return the reported total, or None. `count` is the number of records in this page.

    A total that is smaller than the page is not a total of the records. A top-level `count` may be the size of the
    page, so it is used only if it is larger.
    """
    for value in _candidates(document, headers):
        if value is not None and value >= max(count, 1):
            return value
    in_document = _whole_number(find(document, "count")) if isinstance(document, dict) else None
    return in_document if in_document is not None and in_document > count else None


def _candidates(document: Any, headers: Mapping[str, str]) -> Iterator[int | None]:
    for name in HEADERS:
        yield _whole_number(headers.get(name))
    content_range = CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if content_range is not None:
        yield int(content_range[3])
    if isinstance(document, dict):
        for place in PLACES:
            for name in NAMES:
                yield _whole_number(find(document, place + name))
        for place, value in islice(walk_objects(document, MAX_DEPTH), MAX_FIELDS):
            if re.sub(r"[^a-z]", "", place.rpartition(".")[2].lower()) in CLEAR_NAMES:
                yield _whole_number(value)


def _whole_number(value: Any) -> int | None:
    return as_count(value) if isinstance(value, int | str) else None
