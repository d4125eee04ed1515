"""Find the pagination of an endpoint by its parameters, its response and its Link header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from apps.agent.sources.descriptions import Endpoint, Parameter, Schema
from apps.agent.sources.plan import Pagination

PAGE_PARAMETERS = ("page", "pagenumber", "pageno", "pagenum", "pageindex", "currentpage", "p")
OFFSET_PARAMETERS = ("offset", "skip", "startat", "startindex", "startposition")
CURSOR_PARAMETERS = (
    *("cursor", "pagetoken", "nexttoken", "nextpagetoken", "continuationtoken", "continuation"),
    *("pagecursor", "startcursor", "nextcursor", "after", "startingafter", "pageafter", "token"),
    *("marker", "scrollid", "bookmark", "next"),
)
SIZE_PARAMETERS = (
    *("limit", "perpage", "pagesize", "size", "maxresults", "top", "count", "pagelimit", "take"),
    *("rows", "resultsperpage", "itemsperpage", "max"),
)
CURSOR_FIELDS = (
    *("nextcursor", "nextpagetoken", "nexttoken", "cursor", "nextpagecursor", "endcursor", "after"),
    *(
        "continuationtoken",
        "continuation",
        "nextmarker",
        "scrollid",
        "bookmark",
        "next",
        "nextpage",
    ),
)
URL_FIELDS = ("next", "nexturl", "nextlink", "nextpageurl", "nextpage", "nexthref", "href")
MAX_FIELD_DEPTH = 3
LARGEST_SIZE = 1_000
USUAL_SIZE = 100


def find_pagination(endpoint: Endpoint) -> Pagination:
    """Return how the next page is found. The most explicit sign wins: a Link header, then fields of the response."""
    if endpoint.has_link_header:
        return Pagination(kind="link_header")
    names = {_plain(name): parameter for name, parameter in endpoint.query_names().items()}
    cursor = _first(names, CURSOR_PARAMETERS)
    fields = list(_fields(endpoint.response, "", MAX_FIELD_DEPTH))
    next_url = next((place for place, schema in fields if _is_next_url(place, schema)), "")
    next_cursor = next((place for place, _ in fields if _plain_end(place) in CURSOR_FIELDS), "")
    if next_url and not cursor:
        return Pagination(kind="next_url", field=next_url)
    if cursor and next_cursor:
        return Pagination(kind="cursor", parameter=cursor.name, field=next_cursor)
    return _by_number(names)


def _by_number(names: Mapping[str, Parameter]) -> Pagination:
    size = _first(names, SIZE_PARAMETERS)
    size_name = size.name if size else ""
    offset, page = _first(names, OFFSET_PARAMETERS), _first(names, PAGE_PARAMETERS)
    if offset and size:
        return Pagination(
            kind="offset",
            parameter=offset.name,
            size_parameter=size_name,
            size=_page_size(size) or USUAL_SIZE,
        )
    if page:
        known_size = _page_size(size) if size else 0
        return Pagination(
            kind="page",
            parameter=page.name,
            size_parameter=size_name if known_size else "",
            size=known_size,
            start=0 if 0 in (page.schema.get("minimum"), page.schema.get("default")) else 1,
        )
    return Pagination()


def _page_size(parameter: Parameter) -> int:
    """Return the largest page that the document promises, or 0."""
    for name in ("maximum", "default"):
        value = parameter.schema.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return min(value, LARGEST_SIZE)
    return 0


def _is_next_url(place: str, schema: Schema) -> bool:
    """Whether the field has the URL of the next page: links.next, _links.next.href, next with the format uri."""
    *outer, last = [_plain(step) for step in place.split(".")]
    if last == "href":
        return bool(outer) and outer[-1] == "next"
    if last not in URL_FIELDS:
        return False
    says_url = schema.get("format") in ("uri", "url", "uri-reference") or _mentions_url(schema)
    return says_url or last in ("nexturl", "nextlink", "nextpageurl") or "links" in outer


def _mentions_url(schema: Schema) -> bool:
    texts = (str(schema.get("description", "")), str(schema.get("example", "")))
    return any(re.search(r"\burl\b|\blink\b|https?://", text, re.IGNORECASE) for text in texts)


def _fields(schema: Schema, prefix: str, levels_left: int) -> Iterator[tuple[str, Schema]]:
    """Yield each field that is not in a list, with its place. A name with a dot is in quotes."""
    for name, part in schema.get("properties", {}).items():
        if part.get("type") == "array" or ("." in name and "'" in name):
            continue
        step = f"'{name}'" if "." in name else name
        if part.get("properties"):
            if levels_left > 1:
                yield from _fields(part, f"{prefix}{step}.", levels_left - 1)
        else:
            yield f"{prefix}{step}", part


def _first(names: Mapping[str, Parameter], candidates: Sequence[str]) -> Parameter | None:
    return next((names[name] for name in candidates if name in names), None)


def _plain(name: str) -> str:
    """Return page[number], page_number and pageNumber as pagenumber."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _plain_end(place: str) -> str:
    return _plain(place.rpartition(".")[2])
