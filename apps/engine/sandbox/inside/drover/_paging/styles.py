"""The styles of pagination: how to request a page, and how its response leads to the next page.

No style takes a short page for the last one, because many servers return fewer records than a request asks for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urldefrag, urljoin, urlsplit

from drover._failures import ConfigurationError, SourceFailure
from drover._paging.hints import find_hint, find_position, flag_beside
from drover._paging.paths import (
    MISSING,
    describe,
    describe_type,
    find,
    find_or_null,
    leads_into_list,
)
from drover._paging.responses import Json, Page, Request, relation_of
from drover._paging.values import as_stored, as_yes_or_no, is_end, is_number

UNKNOWN_CURSOR = "drover-no-such-cursor"


class CursorMissing(ConfigurationError):
    """The first page has records, but no cursor or link. It is the only page, or the settings are wrong."""


class OnlyPage(CursorMissing):
    """Nothing says that more records follow, but nothing confirms the settings either."""


class Contradiction(SourceFailure):
    """What the response says about the next page contradicts itself or the settings."""

    retryable = False


class NotAUrl(SourceFailure):
    """The link to the next page is not a URL."""

    retryable = False


@dataclass(frozen=True)
class PageSize:
    """The number of records to ask for (0 for the API's own), and the parameter or the path in the body that says it."""

    records: int = 0
    param: str = ""
    path: str = ""


@dataclass(frozen=True)
class StartTest:
    """A request near the first page, and what its records show. They are given as digests, those of the first page first."""

    request: Request
    is_wrong: Callable[[Sequence[str], Sequence[str]], bool]
    conclusion: str
    is_one_record: bool = False  # whether it shows that one record is missing
    min_count: int = 0  # records of the first page that it needs


@dataclass(frozen=True)
class Paging:
    """Base class of the styles: one response has all records.

    A position is JSON that describes a page; it is empty for the first page. With `hints`, fields of the response
    that say that more records follow count, although the settings do not name them.
    """

    hints: bool = dataclasses.field(default=True, kw_only=True)

    is_counted: ClassVar[bool] = False  # whether the position is a number that grows with each page
    is_offset: ClassVar[bool] = False  # whether it counts records

    def request(self, position: Json, size: int = 0) -> Request:
        """Return the request of the page, with `size` records if that is not 0 and the style can say it."""
        return self._sized(size)

    def next_position(self, position: Json, page: Page) -> Json | None:
        """Return the position of the next page, or None after the last. Raises CursorMissing and other failures."""
        hint = (find_hint(page) or find_position(page)) if self.hints else ""
        if hint:
            raise CursorMissing(
                f"more records follow, because {hint}, but no pagination is set; turn off `hints` if this means"
                " something else"
            )
        return None

    def expects_more(self, page: Page) -> bool:
        """Whether a field that the settings name says that more pages follow. `next_position` has checked it."""
        return False

    def says_end(self, page: Page) -> bool:
        """Whether a field that the settings name says that no page follows."""
        return False

    @property
    def named_paths(self) -> tuple[str, ...]:
        """The paths of the settings into responses."""
        return ()

    def request_beyond_end(self, position: Json) -> Request | None:
        """Return the request of a page that cannot exist, or None if the style cannot ask for one.

        An API that answers it with records does not look at the position.
        """
        return None

    def test_of_start(self) -> StartTest | None:
        """Return what shows whether the first page is the first one, or None if the style cannot tell it."""
        return None

    def request_after(self, position: Json, page_size: int) -> Request | None:
        """Return the request of the page after this one, also if that is empty, or None if the style cannot tell it.

        `page_size` is the number of records of the largest page so far.
        """
        return None

    @property
    def ends_by_empty_page(self) -> bool:
        """Whether only an empty page tells the end."""
        return False

    @property
    def ends_by_total(self) -> bool:
        """Whether a total that the settings name tells the end."""
        return False

    def may_be_capped(self, page: Page) -> bool:
        """Whether the total that the settings name is a round number, up to which the API may count."""
        return False

    @property
    def is_cut(self) -> bool:
        """Whether the settings end the stream before its last record."""
        return False

    @property
    def page_size(self) -> PageSize:
        return PageSize()

    @property
    def can_choose_size(self) -> bool:
        return bool(self.page_size.param or self.page_size.path)

    def _sized(self, size: int, params: Json | None = None, body: Json | None = None) -> Request:
        wanted = self.page_size
        size = size or wanted.records
        params, body = params or {}, body or {}
        if size and wanted.param:
            params = {**params, wanted.param: size}
        if size and wanted.path:
            body = {**body, wanted.path: size}
        return Request(params, body)


@dataclass(frozen=True)
class Cursor(Paging):
    """The response has a cursor at `field`, or in the header `header`. The next request sends it as `param`.

    The field may be one of the last record: `data.-1.id`. `more` is the path of a field that is true if more pages
    follow. With `body_path`, the cursor is sent in the JSON body. `stop_after_empty_page` is for APIs whose pages
    always have a cursor.
    """

    field: str = ""
    param: str = "cursor"
    header: str = dataclasses.field(default="", kw_only=True)
    more: str = dataclasses.field(default="", kw_only=True)
    body_path: str = dataclasses.field(default="", kw_only=True)
    size: int = dataclasses.field(default=0, kw_only=True)
    size_param: str = dataclasses.field(default="", kw_only=True)
    size_path: str = dataclasses.field(default="", kw_only=True)
    stop_after_empty_page: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def page_size(self) -> PageSize:
        return PageSize(self.size, self.size_param, self.size_path)

    def request(self, position: Json, size: int = 0) -> Request:
        if "cursor" not in position:
            return self._sized(size)
        return self._at(position["cursor"], size)

    def next_position(self, position: Json, page: Page) -> Json | None:
        more = read_flag(page, self.more)
        if more is False:
            return None
        cursor = self._cursor(page)
        if page.count == 0 and not more and self._is_idle(position, page, cursor):
            return None
        if cursor is MISSING or (is_end(cursor) and not self._is_field_of_record):
            self._require_end(page, cursor, more)
            return None
        return {"cursor": self._checked(cursor)}

    def expects_more(self, page: Page) -> bool:
        return read_flag(page, self.more) is True

    def says_end(self, page: Page) -> bool:
        cursor = MISSING if self._is_field_of_record else self._cursor(page)
        return read_flag(page, self.more) is False or (cursor is not MISSING and is_end(cursor))

    @property
    def named_paths(self) -> tuple[str, ...]:
        return (self.field, self.more)

    def request_beyond_end(self, position: Json) -> Request | None:
        is_scalar = isinstance(position.get("cursor"), str | int | float)
        return self._at(UNKNOWN_CURSOR, 0) if is_scalar else None

    def _at(self, cursor: Any, size: int) -> Request:
        if self.body_path:
            return self._sized(size, body={self.body_path: cursor})
        return self._sized(size, {self.param: cursor})

    @property
    def _is_field_of_record(self) -> bool:
        return not self.header and leads_into_list(self.field)

    def _cursor(self, page: Page) -> Any:
        if self.header:
            return page.response.headers.get(self.header, MISSING)
        find_cursor = find if self._is_field_of_record else find_or_null
        return find_cursor(page.document, self.field)

    def _is_idle(self, position: Json, page: Page, cursor: Any) -> bool:
        """Whether an empty page says that the stream has no more records for now."""
        stays = "cursor" in position and cursor == position["cursor"]
        if stays or self.stop_after_empty_page:
            return True
        return self.hints and flag_beside(page.document, self.field) is False

    def _require_end(self, page: Page, cursor: Any, more: bool | None) -> None:
        place = f"in the header {self.header!r}" if self.header else f"at {self.field!r}"
        require_end(self, page, cursor, more, place, self.field)

    def _checked(self, cursor: Any) -> Any:
        place = self.header or self.field
        if isinstance(cursor, str):
            return _require_text(cursor, place)
        is_scalar = is_number(cursor) or (self._is_field_of_record and isinstance(cursor, bool))
        may_be_json = bool(self.body_path) and isinstance(cursor, list | dict)
        if not is_scalar and not may_be_json:
            raise ConfigurationError(
                f"the value at {place!r} is {describe_type(cursor)}, not a cursor"
            )
        return as_stored(cursor)


@dataclass(frozen=True)
class _Linked(Paging):
    """`stop_after_empty_page` is for APIs whose pages always have a link."""

    size: int = dataclasses.field(default=0, kw_only=True)
    size_param: str = dataclasses.field(default="", kw_only=True)
    more: str = dataclasses.field(default="", kw_only=True)
    stop_after_empty_page: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def page_size(self) -> PageSize:
        return PageSize(self.size, self.size_param)

    def request(self, position: Json, size: int = 0) -> Request:
        if "url" in position:
            return Request(url=position["url"])
        return self._sized(size)

    def expects_more(self, page: Page) -> bool:
        return read_flag(page, self.more) is True

    @property
    def named_paths(self) -> tuple[str, ...]:
        return (self.more,)

    def says_end(self, page: Page) -> bool:
        return read_flag(page, self.more) is False

    def _follow(self, position: Json, page: Page, link: Any, place: str, path: str) -> Json | None:
        more = read_flag(page, self.more)
        if more is False:
            return None
        link = _url_of(link)
        if link is MISSING or is_end(link):
            require_end(self, page, link, more, place, path)
            return None
        if not isinstance(link, str):
            raise ConfigurationError(f"the value {place} is {describe_type(link)}, not a URL")
        try:
            url = urldefrag(urljoin(page.response.url, _require_text(link, place))).url
            _ = urlsplit(url).port
        except ValueError as error:
            raise NotAUrl(
                "the link to the next page is not a URL", evidence=(link[:300],)
            ) from error
        is_idle = self.stop_after_empty_page or url == position.get("url")
        if page.count == 0 and not more and is_idle:
            return None
        return {"url": url}


@dataclass(frozen=True)
class LinkHeader(_Linked):
    """The `Link: <…>; rel="next"` header (RFC 8288)."""

    def next_position(self, position: Json, page: Page) -> Json | None:
        link = page.response.next_link or MISSING
        return self._follow(position, page, link, "in the `Link` header", "")


@dataclass(frozen=True)
class NextUrl(_Linked):
    """The response has the URL of the next page at `field`, or an object or a list of objects with URLs there."""

    field: str = "next"

    @property
    def named_paths(self) -> tuple[str, ...]:
        return (self.field, self.more)

    def says_end(self, page: Page) -> bool:
        link = _url_of(find_or_null(page.document, self.field))
        return super().says_end(page) or (link is not MISSING and is_end(link))

    def next_position(self, position: Json, page: Page) -> Json | None:
        link = find_or_null(page.document, self.field)
        return self._follow(position, page, link, f"at {self.field!r}", self.field)


def _url_of(link: Any) -> Any:
    """Return the URL of a link: JSON:API has objects with `href`, FHIR lists of objects with a relation and `url`.

    A list without the relation `next` is that of the last page.
    """
    if isinstance(link, list) and all(relation_of(item) for item in link):
        link = next((item for item in link if relation_of(item) == "next"), None)
    if isinstance(link, Mapping):
        return next((link[name] for name in ("href", "url") if name in link), link)
    return link


def require_end(
    style: Paging, page: Page, value: Any, more: bool | None, place: str, path: str
) -> None:
    """Raise an exception unless a page without a cursor or link can be the last one.

    On the first page with records, a value that is missing may be a wrong setting: CursorMissing is raised, so that
    the caller can find out.
    """
    shape = (f"it has {describe(page.document)}",)
    if more or (style.hints and flag_beside(page.document, path)):
        raise CursorMissing(
            f"the response says that more records follow, but has no cursor or link {place}",
            evidence=shape,
        )
    if not page.is_first or page.count == 0:
        return
    hint = find_hint(page) if style.hints else ""
    if hint:
        raise CursorMissing(
            f"the response has no cursor or link {place}, but more records follow, because {hint}",
            evidence=shape,
        )
    if value is MISSING:
        raise OnlyPage(f"the response has no cursor or link {place}", evidence=shape)


def read_flag(page: Page, path: str) -> bool | None:
    """Return the field that is true if more pages follow, or None if there is none. Raises ConfigurationError."""
    if not path or page.response.has_no_content:
        return None
    value = find(page.document, path)
    if value is MISSING:
        if page.is_first and page.count:
            raise wrong_path(page, path, "whether more pages follow")
        return None
    flag = as_yes_or_no(value)
    if flag is None:
        raise ConfigurationError(
            f"the value at {path!r} is {describe_type(value)}, not true or false"
        )
    return flag


def wrong_path(page: Page, path: str, meaning: str) -> ConfigurationError:
    return ConfigurationError(
        f"the response does not have {path!r}, which should tell {meaning}",
        evidence=(f"it has {describe(page.document)}",),
    )


def _require_text(value: str, place: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Contradiction(f"the cursor or link at {place!r} is not valid text") from error
    return value
