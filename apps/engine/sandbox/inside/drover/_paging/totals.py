"""Find the total number of records that an API reports with a page."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from drover._paging.paths import find, places_around, walk_objects
from drover._paging.values import as_count, only_letters

# As in `X-Total-Count` and `X-WP-Total`, without other characters than letters.
HEADER = re.compile(
    r"x?(wp|pagination|list|results?|records?|items?)?total(count|results?|records?|items?|elements?|rows?|entries|hits)?"
)
HEADER_OF_JSON = re.compile(r"x?(pagination|paging|pageinfo)")
# As in `items 0-9/57` and `0-9/57`, but not in bytes.
CONTENT_RANGE = re.compile(r"\s*((?!bytes)[a-z]\w*[\s=]+)?(\d{1,15})-(\d{1,15})/(\d{1,15})\s*")
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
    "result_info.",
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
        *(
            "totalresults",
            "totalrecords",
            "totalitems",
            "totalelements",
            "totalrows",
            "totalhits",
        ),
        *("totalentries", "totalobjects", "totaldocs", "nbhits", "numfound", "recordstotal"),
        *("totalmatches", "totalnumber", "totalnumberofrecords", "totalrowcount"),
    }
)
# These may also be the number of the records in the page.
UNCLEAR_NAMES = frozenset({"numberofrecords", "numberofresults", "numberofitems", "rowcount"})
# The total of Elasticsearch, which is a number or an object.
OTHER_PLACES = ("hits.total.value", "hits.total")
# Objects in which `total_count` is not the number of the records.
OTHER_THINGS = re.compile(r"usage|quota|limit|facet|stat|aggregat|rate|cost|cache")
MAX_DEPTH = 3
MAX_FIELDS = 200  # to look at


def reported_total(
    document: Any, headers: Mapping[str, str], count: int, path: str = ""
) -> int | None:
    """Return the reported total, or None. `count` is the number of records in this page, `path` leads to them.

    A total that is smaller than the page is not a total of the records. A top-level `count` may be the size of the
    page, so it is used only if it is larger.
    """
    for value in _candidates(document, headers, path):
        if value is not None and value >= max(count, 1):
            return value
    if isinstance(document, dict):
        for value in (
            _whole_number(find(document, "count")),
            *_totals_named(document, UNCLEAR_NAMES),
        ):
            if value is not None and value > count:
                return value
    return None


def reports_none(document: Any, headers: Mapping[str, str], path: str) -> bool:
    """Whether the API reports a total of 0, and no other total."""
    totals = {value for value in _candidates(document, headers, path) if value is not None}
    return totals == {0}


def _candidates(document: Any, headers: Mapping[str, str], path: str) -> Iterator[int | None]:
    for name, text in headers.items():
        if HEADER.fullmatch(only_letters(name)):
            yield _whole_number(text)
    content_range = CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if content_range is not None:
        yield int(content_range[4])
    if isinstance(document, dict):
        for place in (*PLACES, *places_around(path)):
            for name in NAMES:
                yield _whole_number(find(document, place + name))
        for place in OTHER_PLACES:
            yield _whole_number(find(document, place))
    yield from _totals_named(document, CLEAR_NAMES)
    for described in documents_in_headers(headers):
        yield from _totals_named(described, CLEAR_NAMES | {"total", "totalcount"})


def _totals_named(document: Any, names: Collection[str]) -> Iterator[int | None]:
    """Yield the numbers with one of these names, wherever they are, unless their place says that they count other things."""
    for place, value in islice(walk_objects(document, MAX_DEPTH), MAX_FIELDS):
        parents, _, name = place.rpartition(".")
        if only_letters(name) in names and not OTHER_THINGS.search(parents.lower()):
            yield _whole_number(value)


def documents_in_headers(headers: Mapping[str, str]) -> list[Any]:
    """Return the JSON objects in headers such as `X-Pagination: {"totalPages": 3}`."""
    documents = []
    for name, text in headers.items():
        if text.startswith("{") and HEADER_OF_JSON.fullmatch(only_letters(name)):
            try:
                documents.append(json.loads(text))
            except (ValueError, RecursionError):
                continue
    return documents


def _whole_number(value: Any) -> int | None:
    return as_count(value) if isinstance(value, int | str) else None
