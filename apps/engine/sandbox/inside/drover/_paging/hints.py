"""What a response says about more pages in fields that the settings do not name.

A path of the settings may be mistyped. The response often tells, so that the sync can fail instead of ending early.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from drover._paging.paths import MISSING, find_parent, walk_objects
from drover._paging.responses import Page, relation_of
from drover._paging.totals import CONTENT_RANGE, documents_in_headers, reported_total
from drover._paging.values import as_count, is_end, is_number, only_letters

# Names in lower case and without other characters than letters.
_RECORDS = (
    r"(page|item|result|record|row|entrie|element|object|match|document|content)(e?s)?|entry|data"
)
MORE_FLAG = re.compile(
    rf"(has|is|are)(more|next)({_RECORDS})?(available|incollection)?|hasadditional({_RECORDS})"
    rf"|more({_RECORDS})?(available|incollection|exists?)?|nextpage(available|exists)"
    rf"|(is)?({_RECORDS})?(is)?truncated|exceededtransferlimit"
    rf"|({_RECORDS})?limit(reached|exceeded)|max({_RECORDS})(reached|exceeded)"
)
LAST_FLAG = re.compile(
    rf"(is|at)?(last|final)(page)?|(is)?(done|exhausted|eof)|(is|at)?end(of)?({_RECORDS}|stream|list)"
    rf"|nomore({_RECORDS})?"
)
NEXT_FIELDS = frozenset(
    {
        *("next", "nextlink", "nexturl", "nexturi", "nexthref", "nextpage", "nextpageurl"),
        *("nextpagelink", "nextpagetoken", "nexttoken", "nextcursor", "nextpagecursor"),
        *("nextmarker", "nextcontinuationtoken", "continuationtoken", "odatanextlink"),
        *("nextoffset", "nextrecordsurl", "nextpageid", "nextid", "nextstart"),
    }
)
# Fields that tell the position of the next page, unless the response says that it is the last one.
POSITION_FIELDS = frozenset(
    {
        *(
            "offset",
            "continuation",
            "continue",
            "scrollid",
            "scroll",
            "scrolltoken",
            "resumptiontoken",
        ),
        *("paginationtoken", "pagetoken", "pagingtoken", "marker", "bookmark", "position"),
        *("after", "aftercursor", "cursor", "endcursor", "startingafter", "lastkey", "searchafter"),
        *("lastevaluatedkey", "exclusivestartkey", "nextkey", "skiptoken", "cursormark"),
        *("nextcursormark", "pagestate", "pagingstate", "pagecursor", "nexttokens"),
    }
)
PAGE_TOTALS = frozenset(
    {
        *("totalpages", "pagestotal", "pagecount", "numpages", "nbpages", "numberofpages", "pages"),
        *("lastpage", "maxpage", "totalpagecount", "pagetotal", "lastpagenumber"),
    }
)
CURRENT_PAGES = frozenset({"page", "currentpage", "number", "pagenumber", "pageno", "pageindex"})
REMAINING = re.compile(
    r"remaining(item|record|result|row|entr)|^(item|record|result|row)s?(remaining|left)$"
)
HEADER_POSITIONS = re.compile(r"next|cursor|continuation|marker|scroll|bookmark|pagetoken")
HEADER_PAGES = re.compile(r"totalpages|pagecount|lastpage|pagetotal")
PARTIAL_CONTENT = 206
# Fields whose text or number is surely not the position of the next page.
DESCRIPTIONS = re.compile(
    r"(self|first|last|prev|url|uri|href|base|kind|etag|object|type|context|schema|version|time|date|took|duration|elapsed"
    r"|generated|created|updated|request|trace|correlation|newest|oldest|since|until|delta|nextsync|size|limit|perpage|total|count"
    r"|status|code|message|msg|name|title|description|currency|locale|lang|api|server|odatacontext|odatadelta|page"
    r"|\w*(version|hash|checksum|estimate)$|(start|from|before)$"
    r"|(account|user|tenant|org|organi[sz]ation|workspace|customer|team|project|company|site|app|application|client|session|job"
    r"|query|execution|report|dataset|portal|shop|store|owner|group|list|folder|parent|channel|board)(id|key|uuid|guid)?$)"
)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# The last name of a path. A name in quotes may contain dots.
LAST_NAME = re.compile(r"""('[^']*'|"[^"]*"|[^.]*)$""")
MAX_FIELDS = 1000  # fields to look at


def find_hint(page: Page) -> str:
    """Return in words what says that another page follows, or an empty text.

    A document that is itself the record has no hints: its fields are those of the record.
    """
    hint = _hint_of_headers(page)
    if hint or page.is_object:
        return hint
    for place, value in _fields(page):
        name = _plain(place)
        if _is_flag(name) and _flag(name, value):
            return f"`{place}` is {str(value).lower()}"
        if name in NEXT_FIELDS and _is_next(value):
            return f"it has `{place}`"
        if REMAINING.search(name) and is_number(value) and value > 0:
            return f"`{place}` is {value}"
        if isinstance(value, list) and value is not page.records and _has_next_link(value):
            return f"it has a link to the next page in `{place}`"
    pages = find_page_total(page)
    if pages > max(_current_page(page), 1):
        return f"it reports {pages:,} pages"
    return ""


def find_possible_cursor(page: Page) -> str:
    """Return a field of the response that may be the cursor, although its name is unusual, or an empty text.

    Short words, dates, small numbers and fields with a known meaning are none.
    """
    if page.is_object or _says_last(page):
        return ""
    for place, value in _fields(page):
        name = _plain(place)
        if _is_flag(name) or name in CURRENT_PAGES or DESCRIPTIONS.match(name):
            continue
        if isinstance(value, str) and _may_be_cursor(value):
            return place
        if is_number(value) and value > page.count:
            return place
    return ""


def find_page_total(page: Page) -> int:
    """Return the number of pages that the response reports, or 0."""
    for header, text in page.response.headers.items():
        if HEADER_PAGES.search(_plain(header)) and (total := as_count(text)):
            return total
    if page.is_object:
        return 0
    for place, value in _fields(page):
        if _plain(place) in PAGE_TOTALS and is_number(value) and (total := as_count(value)):
            return total
    return 0


def _fields(page: Page) -> Iterator[tuple[str, Any]]:
    """Yield the fields of the response, and of JSON in a header such as `X-Pagination`."""
    for document in (page.document, *documents_in_headers(page.response.headers)):
        yield from islice(walk_objects(document), MAX_FIELDS)


def _hint_of_headers(page: Page) -> str:
    response = page.response
    if response.next_link:
        return "its `Link` header has the URL of a next page"
    content_range = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if content_range is not None:
        _, last, total = (int(number) for number in content_range.groups()[1:])
        return (
            f"its `Content-Range` header is {content_range[0].strip()!r}"
            if last + 1 < total
            else ""
        )
    if response.status == PARTIAL_CONTENT:
        return "its status is 206 (partial content)"
    for header, value in response.headers.items():
        name = _plain(header).removeprefix("x")
        if MORE_FLAG.fullmatch(name) and _flag(name, value):
            return f"the header `{header}` is {value}"
    return ""


def find_position(page: Page) -> str:
    """Return in words which field or header tells the position of the next page, or an empty text.

    It counts only if nothing is found at the path of the cursor or link, or no path is set.
    """
    for header, value in page.response.headers.items():
        if HEADER_POSITIONS.search(_plain(header)) and not is_end(value):
            return f"it has the header `{header}`"
    if page.is_object or _says_last(page):
        return ""
    for place, value in _fields(page):
        is_position = (isinstance(value, str) and not DATE.match(value)) or is_number(value)
        is_key = isinstance(value, Mapping) and "key" in _plain(place)
        if _plain(place) in POSITION_FIELDS and (is_position or is_key) and not is_end(value):
            return f"it has `{place}`"
    return ""


def _says_last(page: Page) -> bool:
    """Whether a flag says that no page follows, or the reported total is that of this page."""
    flags = (
        _flag(_plain(place), value) for place, value in _fields(page) if _is_flag(_plain(place))
    )
    total = reported_total(page.document, page.response.headers, page.count)
    return False in flags or total == page.count or find_page_total(page) == 1


def _has_next_link(links: list[Any]) -> bool:
    """Whether one of the links has the relation `next`, as in HATEOAS and FHIR."""
    following = (link for link in links[:20] if relation_of(link) == "next")
    return any(not is_end(link.get("href", link.get("url", "x"))) for link in following)


def _current_page(page: Page) -> int:
    numbers = [
        as_count(value) or 0
        for place, value in _fields(page)
        if _plain(place) in CURRENT_PAGES and is_number(value)
    ]
    return max(numbers, default=0)


def _may_be_cursor(text: str) -> bool:
    """Whether the text is opaque: it has digits, or is long and has no spaces. A date is not."""
    if is_end(text) or DATE.match(text) or " " in text or "@" in text:
        return False
    return any(character.isdigit() for character in text) or len(text) >= 16


def flag_beside(document: Any, path: str) -> bool | None:
    """Return what a flag beside the path, or at the top level, says about more pages; None without such a flag."""
    for place in _objects_beside(document, path):
        for field, value in place.items():
            name = _plain(str(field))
            if _is_flag(name) and (flag := _flag(name, value)) is not None:
                return flag
    return None


def flag_at_top(document: Any) -> bool | None:
    """Return what a flag at the top level, or up to two levels below, says about more pages; None without such a flag."""
    for place, value in walk_objects(document, depth=3):
        name = _plain(place)
        if _is_flag(name) and (flag := _flag(name, value)) is not None:
            return flag
    return None


def _objects_beside(document: Any, path: str) -> Iterator[Mapping[str, Any]]:
    parent = find_parent(document, path) if path else MISSING
    for place in (parent, document):
        if isinstance(place, Mapping):
            yield place


def _flag(name: str, value: Any) -> bool | None:
    """Return whether a flag says that more follows. `last` may also be a URL, and `more` a number."""
    text, says_more = str(value).lower(), MORE_FLAG.fullmatch(name) is not None
    if says_more and name != "more" and text in ("1", "yes", "y"):
        return True
    if not isinstance(value, bool) and text not in ("true", "false"):
        return None
    return (text == "true") == says_more


def _is_flag(name: str) -> bool:
    return MORE_FLAG.fullmatch(name) is not None or LAST_FLAG.fullmatch(name) is not None


def _is_next(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_next(inner) for inner in list(value.values())[:10])
    return (value is True or isinstance(value, str) or is_number(value)) and not is_end(value)


def _plain(place: str) -> str:
    match = LAST_NAME.search(place)
    return only_letters(match[0]) if match else ""
