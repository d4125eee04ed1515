"""What a response says about more pages in fields that the settings do not name.

A path of the settings may be mistyped. The response often tells, so that the sync can fail instead of ending early.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from drover._paging.paths import MISSING, find_parent, walk_objects
from drover._paging.responses import Page
from drover._paging.values import is_end, is_number

# Names in lower case and without other characters than letters.
MORE_FLAGS = frozenset(
    {
        *("hasmore", "hasnext", "hasnextpage", "hasnextpages", "hasmoreitems", "hasmorepages"),
        *("hasmoreresults", "hasmorerecords", "more", "morerecords", "moreresults", "moreitems"),
        *("moreavailable", "istruncated"),
    }
)
LAST_FLAGS = frozenset({"islast", "islastpage", "lastpage", "last", "finalpage", "isfinalpage"})
NEXT_FIELDS = frozenset(
    {
        *("next", "nextlink", "nexturl", "nexturi", "nexthref", "nextpage", "nextpageurl"),
        *("nextpagelink", "nextpagetoken", "nexttoken", "nextcursor", "nextpagecursor"),
        *("nextmarker", "nextcontinuationtoken", "continuationtoken", "odatanextlink"),
        *("nextoffset", "nextrecordsurl", "nextpageid", "nextid", "nextstart"),
    }
)
LAST_NAME = re.compile(
    r"""('[^']*'|"[^"]*"|[^.]*)$"""
)  # of a path; a name in quotes may contain dots
MAX_FIELDS = 1000  # fields to look at


def find_hint(page: Page) -> str:
    """Return in words what says that another page follows, or an empty text.

    A document that is itself the record has no hints: its fields are those of the record.
    """
    if page.response.next_link:
        return "its `Link` header has the URL of a next page"
    if page.is_object:
        return ""
    for number, (place, value) in enumerate(walk_objects(page.document)):
        if number == MAX_FIELDS:
            break
        name = _plain(place)
        if name in MORE_FLAGS | LAST_FLAGS and _flag(name, value):
            return f"`{place}` is {str(value).lower()}"
        if name in NEXT_FIELDS and _is_next(value):
            return f"it has `{place}`"
    return ""


def flag_beside(document: Any, path: str) -> bool | None:
    """Return what a flag beside the path, or at the top level, says about more pages; None without such a flag."""
    for place in _objects_beside(document, path):
        for field, value in place.items():
            name = _plain(str(field))
            if name in MORE_FLAGS | LAST_FLAGS and (flag := _flag(name, value)) is not None:
                return flag
    return None


def flag_at_top(document: Any) -> bool | None:
    """Return what a flag at the top level, or one level below, says about more pages; None without such a flag."""
    for place, value in walk_objects(document, depth=2):
        name = _plain(place)
        if name in MORE_FLAGS | LAST_FLAGS and (flag := _flag(name, value)) is not None:
            return flag
    return None


def _objects_beside(document: Any, path: str) -> Iterator[Mapping[str, Any]]:
    parent = find_parent(document, path) if path else MISSING
    for place in (parent, document):
        if isinstance(place, Mapping):
            yield place


def _flag(name: str, value: Any) -> bool | None:
    """Return whether a flag says that more follows. Only true and false are flags: `last` may also be a URL."""
    text = str(value).lower()
    if not isinstance(value, bool) and text not in ("true", "false"):
        return None
    return (text == "true") == (name in MORE_FLAGS)


def _is_next(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_next(inner) for inner in list(value.values())[:10])
    return (value is True or isinstance(value, str) or is_number(value)) and not is_end(value)


def _plain(place: str) -> str:
    match = LAST_NAME.search(place)
    return re.sub(r"[^a-z]", "", match[0].lower()) if match else ""
