"""Pagination of an API: how to request a page, and where the response has the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from apps.engine.sources.http.answers import UnhelpfulSourceError
from apps.engine.sources.rest.config import (
    CursorToken,
    NextLink,
    NoPagination,
    OffsetLimit,
    PageNumber,
)
from apps.engine.sources.rest.cursors import at

Style = NoPagination | PageNumber | OffsetLimit | CursorToken | NextLink
Token = Mapping[str, Any]
Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The request of a page: a whole URL, or parameters for the stream's own URL."""

    params: Params
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PageResponse:
    """The parts of a response that decide about the next page."""

    document: Any
    count: int
    url: str
    links: Mapping[str, Any]


def asked(style: Style, token: Token) -> PageRequest:
    """Return how to request the page at the token."""
    match style:
        case PageNumber():
            page = {style.page_param: token.get("page", style.first_page)}
            return PageRequest(page | _size(style.size_param, style.page_size))
        case OffsetLimit():
            offset = {style.offset_param: token.get("offset", 0)}
            return PageRequest(offset | _size(style.limit_param, style.page_size))
        case CursorToken():
            cursor = {style.cursor_param: token["cursor"]} if "cursor" in token else {}
            return PageRequest(cursor | _size(style.size_param, style.page_size))
        case NextLink():
            if "url" in token:
                return PageRequest({}, token["url"])
            return PageRequest(_size(style.size_param, style.page_size))
        case NoPagination():
            return PageRequest({})


def following(style: Style, token: Token, answered: PageResponse) -> dict[str, Any]:
    """Return the next page's token, {} if this was the last page."""
    match style:
        case PageNumber():
            page = int(token.get("page", style.first_page))
            return {"page": page + 1} if _more(style.more_path, answered) else {}
        case OffsetLimit():
            reached = int(token.get("offset", 0)) + answered.count
            return {"offset": reached} if _more(style.more_path, answered) else {}
        case CursorToken():
            cursor = at(answered.document, style.cursor_path)
            said = style.more_path is None or bool(at(answered.document, style.more_path))
            return {"cursor": cursor} if said and cursor not in (None, "") else {}
        case NextLink():
            link = _link(style, answered)
            return {"url": same_host(link, answered.url)} if link else {}
        case NoPagination():
            return {}


def same_host(link: str, url: str) -> str:
    """Return the link as a whole URL. Raises if it leads to another host, which would get our credentials."""
    origin = urlsplit(url)
    try:
        target = urlsplit(urljoin(url, link))
        place = (target.hostname, target.port or origin.port)
    except ValueError as error:
        raise UnhelpfulSourceError(
            "the link to the next page is not a URL", evidence=(link[:300],)
        ) from error
    if place != (origin.hostname, origin.port):
        raise UnhelpfulSourceError(
            "the link to the next page leads to another host", evidence=(str(target.hostname),)
        )
    # Servers behind a proxy often write http:// into the links of an https:// API.
    return urlunsplit(target._replace(scheme=origin.scheme, netloc=origin.netloc, fragment=""))


def without_param(url: str, name: str) -> str:
    """Return the URL without a query parameter, such as a key that must not be stored."""
    parts = urlsplit(url)
    kept = [(key, value) for key, value in parse_qsl(parts.query, True) if key != name]
    return urlunsplit(parts._replace(query=urlencode(kept)))


def _more(more_path: str | None, answered: PageResponse) -> bool:
    if more_path is None:
        # A page shorter than requested does not mean the end: many servers limit the page size.
        return answered.count > 0
    return bool(at(answered.document, more_path)) and answered.count > 0


def _size(param: str | None, size: int) -> Params:
    return {param: size} if param else {}


def _link(style: NextLink, answered: PageResponse) -> str | None:
    if style.link_path is not None:
        link = at(answered.document, style.link_path)
    else:
        link = answered.links.get("next", {}).get("url")
    return link if isinstance(link, str) and link else None
