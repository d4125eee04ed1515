"""Styles of pagination that count pages or records."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from drover._failures import ConfigurationError
from drover._paging.hints import flag_at_top
from drover._paging.paths import MISSING, describe_type, find, find_beside
from drover._paging.responses import Json, Page, Request
from drover._paging.styles import Contradiction, PageSize, Paging, StartTest, read_flag, wrong_path
from drover._paging.values import as_count

FAR_PAGES = 1_000_000  # pages to skip to be beyond the end of every stream
FAR_RECORDS = 1_000_000_000


@dataclass(frozen=True)
class _Numbered(Paging):
    """Base class of the styles that count pages or records.

    `more` is the path of a field that is true if more pages follow, `total` the path of a total, which may be in the
    header `total_header` instead. `maximum` ends the stream there. With `body_path`, the number is sent in the JSON body.
    """

    is_counted: ClassVar[bool] = True
    round_total: ClassVar[int] = 100  # totals at which APIs stop to count are multiples of this

    more: str = dataclasses.field(default="", kw_only=True)
    total: str = dataclasses.field(default="", kw_only=True)
    total_header: str = dataclasses.field(default="", kw_only=True)
    maximum: int | None = dataclasses.field(default=None, kw_only=True)
    body_path: str = dataclasses.field(default="", kw_only=True)
    size_path: str = dataclasses.field(default="", kw_only=True)

    @property
    def ends_by_empty_page(self) -> bool:
        is_told = self.more or self.ends_by_total
        return not is_told and self.maximum is None

    @property
    def ends_by_total(self) -> bool:
        return bool(self.total or self.total_header)

    def may_be_capped(self, page: Page) -> bool:
        total = read_total(page, self.total, self.total_header)
        return total is not None and total > 0 and total % self.round_total == 0

    @property
    def is_cut(self) -> bool:
        return self.maximum is not None

    def says_end(self, page: Page) -> bool:
        return read_flag(page, self.more) is False

    def expects_more(self, page: Page) -> bool:
        total = read_total(page, self.total, self.total_header)
        return total is not None or read_flag(page, self.more) is True

    @property
    def named_paths(self) -> tuple[str, ...]:
        return (self.more, self.total)

    def _at(self, param: str, number: int, size: int) -> Request:
        if self.body_path:
            return self._sized(size, body={self.body_path: number})
        return self._sized(size, {param: number})

    def _is_end(self, page: Page, next_number: int) -> bool:
        """Whether a field of the response, or the maximum, says that the page with this number is not to be read."""
        more = read_flag(page, self.more)
        if more is None and page.count == 0 and self.hints:
            more = flag_at_top(page.document)
        if self.maximum is not None and next_number > self.maximum:
            return True
        if more is not None:
            return not more
        return page.count == 0


@dataclass(frozen=True)
class PageNumber(_Numbered):
    """`?page=2`, until a page is empty. `total` is the path of the number of pages."""

    size: int = 0
    param: str = "page"
    size_param: str = "per_page"
    start: int = 1

    @property
    def page_size(self) -> PageSize:
        return PageSize(self.size, self.size_param, self.size_path)

    def request(self, position: Json, size: int = 0) -> Request:
        return self._at(self.param, position.get("page", self.start), size)

    def next_position(self, position: Json, page: Page) -> Json | None:
        number = int(position.get("page", self.start))
        total = read_total(page, self.total, self.total_header)
        if total is not None:
            is_last = number >= self.start + total - 1
            if page.count == 0 and not is_last:
                raise Contradiction(
                    f"page {number:,} is empty, but the API reports {total:,} pages"
                )
            if is_last:
                return None
        return None if self._is_end(page, number + 1) else {"page": number + 1}

    def request_beyond_end(self, position: Json) -> Request:
        return self._at(self.param, int(position.get("page", self.start)) + FAR_PAGES, 0)

    def test_of_start(self) -> StartTest | None:
        if self.start != 1 or not self.ends_by_empty_page:
            return None
        return StartTest(
            self._at(self.param, 0, 0),
            lambda first, before: len(before) >= (2 if first else 1) and not {*first} & {*before},
            "the API has other records on page 0 than on page 1, so it counts its pages from 0; set `first_page` to 0",
        )

    def request_after(self, position: Json, page_size: int) -> Request:
        return self._at(self.param, int(position.get("page", self.start)) + 1, 0)


@dataclass(frozen=True)
class Offset(_Numbered):
    """`?limit=100&offset=200`, until a page is empty. The offset grows by the number of records that arrived.

    `total` is the path of the number of records.
    """

    is_offset: ClassVar[bool] = True
    round_total: ClassVar[int] = 1000

    size: int = 100
    param: str = "offset"
    size_param: str = "limit"
    start: int = 0

    @property
    def page_size(self) -> PageSize:
        return PageSize(self.size, self.size_param, self.size_path)

    def request(self, position: Json, size: int = 0) -> Request:
        return self._at(self.param, position.get("offset", self.start), size)

    def next_position(self, position: Json, page: Page) -> Json | None:
        offset = int(position.get("offset", self.start))
        following = offset + page.count
        total = read_total(page, self.total, self.total_header)
        if total is not None:
            if following - self.start >= total:
                return None
            if page.count == 0:
                raise Contradiction(
                    f"the page at offset {offset:,} is empty, but the API reports {total:,} records"
                )
        if self._is_end(page, following):
            return None
        if page.count == 0:
            raise Contradiction(
                f"the page at offset {offset:,} is empty, but the response says that more records follow"
            )
        return {"offset": following}

    def test_of_start(self) -> StartTest | None:
        if self.start == 1:
            return StartTest(
                self._at(self.param, 0, 0),
                lambda first, before: before[0] not in first,
                "the API has another record at offset 0, so it counts from 0; set `first_offset` to 0",
                is_one_record=True,
            )
        if self.start != 0 or not self.ends_by_empty_page:
            return None
        return StartTest(
            self._at(self.param, 1, 0),
            lambda first, after: not {*first} & {*after},
            "the API has only other records at offset 1, so its offset counts pages; use the pagination `page` with"
            " `first_page` 0",
            min_count=2,
        )

    def request_beyond_end(self, position: Json) -> Request:
        return self._at(self.param, int(position.get("offset", self.start)) + FAR_RECORDS, 0)

    def request_after(self, position: Json, page_size: int) -> Request:
        return self._at(self.param, int(position.get("offset", self.start)) + page_size, 0)


def read_total(page: Page, path: str, header: str) -> int | None:
    """Return the total at the path or in the header, or None if there is none. Raises ConfigurationError."""
    place = header or path
    if not place or page.response.has_no_content:
        return None
    value = page.response.headers.get(header, MISSING) if header else find(page.document, path)
    if value is MISSING and page.is_first and page.count:
        raise wrong_path(page, place, "the total")
    if value is MISSING or value is None:
        return None
    total = as_count(value)
    if total == 0 and page.count:
        return None  # Some APIs tell the total on the first page only.
    if path and find_beside(page.document, path, "relation") == "gte":
        return None  # Elasticsearch counts up to 10,000 records; there may be more.
    if total is None:
        raise ConfigurationError(f"the value at {place!r} is {describe_type(value)}, not a total")
    return total
