"""Pagination of an API: how to request a page, and how to find the next page in the response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from apps.engine.sources.http.responses import PermanentSourceError
from apps.engine.sources.rest.config import (
    CursorToken,
    NextLink,
    NoPagination,
    OffsetLimit,
    PageNumber,
)
from apps.engine.sources.rest.cursors import value_at

PaginationStyle = NoPagination | PageNumber | OffsetLimit | CursorToken | NextLink
Token = Mapping[str, Any]
Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The request for a page: a whole URL, or parameters for the stream's own URL."""

    params: Params
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PageResponse:
    """The parts of a response that determine the next page; `count` is its number of records."""

    document: Any
    count: int
    url: str
    links: Mapping[str, Any]


def page_request(style: PaginationStyle, token: Token) -> PageRequest:
    """Return the request for the page that the token describes. An empty token describes the first page."""
    match style:
        case PageNumber():
            page = {style.page_param: token.get("page", style.first_page)}
            return PageRequest(page | _size_param(style.size_param, style.page_size))
        case OffsetLimit():
            offset = {style.offset_param: token.get("offset", 0)}
            return PageRequest(offset | _size_param(style.limit_param, style.page_size))
        case CursorToken():
            cursor = {style.cursor_param: token["cursor"]} if "cursor" in token else {}
            return PageRequest(cursor | _size_param(style.size_param, style.page_size))
        case NextLink():
            if "url" in token:
                return PageRequest({}, token["url"])
            return PageRequest(_size_param(style.size_param, style.page_size))
        case NoPagination():
            return PageRequest({})


def next_token(style: PaginationStyle, token: Token, response: PageResponse) -> dict[str, Any]:
    """Return the next page's token, or {} if this was the last page."""
    match style:
        case PageNumber():
            page = int(token.get("page", style.first_page))
            return {"page": page + 1} if _has_more(style.more_path, response) else {}
        case OffsetLimit():
            next_offset = int(token.get("offset", 0)) + response.count
            return {"offset": next_offset} if _has_more(style.more_path, response) else {}
        case CursorToken():
            cursor = value_at(response.document, style.cursor_path)
            has_more = style.more_path is None or bool(value_at(response.document, style.more_path))
            return {"cursor": cursor} if has_more and cursor not in (None, "") else {}
        case NextLink():
            link = _next_link(style, response)
            return {"url": url_on_same_host(link, response.url)} if link else {}
        case NoPagination():
            return {}


def url_on_same_host(link: str, url: str) -> str:
    """Return the link as a whole URL.

    Raises PermanentSourceError if it leads to another host, which would receive our credentials.
    """
    origin = urlsplit(url)
    try:
        target = urlsplit(urljoin(url, link))
        target_host = (target.hostname, target.port or origin.port)
    except ValueError as error:
        raise PermanentSourceError(
            "the link to the next page is not a URL", evidence=(link[:300],)
        ) from error
    if target_host != (origin.hostname, origin.port):
        raise PermanentSourceError(
            "the link to the next page leads to another host", evidence=(str(target.hostname),)
        )
    # Servers behind a proxy often write http:// into the links of an https:// API.
    return urlunsplit(target._replace(scheme=origin.scheme, netloc=origin.netloc, fragment=""))


def remove_param(url: str, name: str) -> str:
    """Remove a query parameter, such as a key that must not be stored, from the URL."""
    parts = urlsplit(url)
    other_params = [(key, value) for key, value in parse_qsl(parts.query, True) if key != name]
    return urlunsplit(parts._replace(query=urlencode(other_params)))


def _has_more(more_path: str | None, response: PageResponse) -> bool:
    if more_path is None:
        # A page shorter than requested does not mean the end: many servers limit the page size.
        return response.count > 0
    return bool(value_at(response.document, more_path)) and response.count > 0


def _size_param(param: str | None, size: int) -> Params:
    return {param: size} if param else {}


def _next_link(style: NextLink, response: PageResponse) -> str | None:
    if style.link_path is not None:
        link = value_at(response.document, style.link_path)
    else:
        link = response.links.get("next", {}).get("url")
    return link if isinstance(link, str) and link else None
