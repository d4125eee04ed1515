"""Pagination of the REST source: its settings as the styles that custom sources use too."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from apps.engine.failures import ConfigurationError, EngineError
from apps.engine.sandbox.library import failures, styles
from apps.engine.sources.http.responses import PermanentSourceError
from apps.engine.sources.rest.config import (
    CursorToken,
    NextLink,
    NoPagination,
    OffsetLimit,
    PageNumber,
)

Pagination = NoPagination | PageNumber | OffsetLimit | CursorToken | NextLink


def make_style(pagination: Pagination) -> styles.Paging:
    """Return the style that the settings describe."""
    match pagination:
        case PageNumber():
            return styles.PageNumber(
                size=pagination.page_size,
                param=pagination.page_param,
                size_param=pagination.size_param or "",
                start=pagination.first_page,
                more=pagination.more_path or "",
                total=pagination.total_path or "",
                maximum=pagination.maximum_page,
                hints=pagination.hints,
            )
        case OffsetLimit():
            return styles.Offset(
                size=pagination.page_size,
                param=pagination.offset_param,
                size_param=pagination.limit_param or "",
                start=pagination.first_offset,
                more=pagination.more_path or "",
                total=pagination.total_path or "",
                maximum=pagination.maximum_offset,
                hints=pagination.hints,
            )
        case CursorToken():
            return styles.Cursor(
                pagination.cursor_path,
                param=pagination.cursor_param,
                size=pagination.page_size,
                size_param=pagination.size_param or "",
                more=pagination.more_path or "",
                hints=pagination.hints,
            )
        case NextLink():
            options: dict[str, Any] = {
                "size": pagination.page_size,
                "size_param": pagination.size_param or "",
                "more": pagination.more_path or "",
                "hints": pagination.hints,
            }
            if pagination.link_path is None:
                return styles.LinkHeader(**options)
            return styles.NextUrl(pagination.link_path, **options)
        case NoPagination():
            return styles.Paging(hints=pagination.hints)


def as_engine_error(failure: failures.SourceFailure, evidence: tuple[str, ...]) -> EngineError:
    """Return the engine's exception for a failure of the shared rules, with the evidence of the response."""
    error_type = ConfigurationError if failure.failure == "configuration" else PermanentSourceError
    return error_type(str(failure), evidence=(*failure.evidence, *evidence))


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


def param_value(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
