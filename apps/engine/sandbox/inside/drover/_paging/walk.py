"""Walk through the pages of a stream: what ends the walk, and what shows that it would never end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from drover._paging.ends import (
    has_read_total,
    is_all_read,
    require_complete,
    require_no_removals,
    require_one_list,
    require_progress,
    require_whole_lists,
)
from drover._paging.faults import (
    ErrorInsteadOfPage,
    NotReady,
    PageCountsRecords,
    RepeatedPages,
)
from drover._paging.forms import Form
from drover._paging.hints import find_position, find_possible_cursor, flag_at_top
from drover._paging.keys import content_of, has_id, keys_of
from drover._paging.overlaps import read_overlap
from drover._paging.page_faults import find_page_fault
from drover._paging.paths import describe, find_container
from drover._paging.probes import Probes
from drover._paging.progress import Progress
from drover._paging.responses import (
    ErrorsReported,
    Json,
    NoRecords,
    Page,
    Request,
    Response,
    read_page,
    require_success,
)
from drover._paging.styles import Contradiction, CursorMissing, OnlyPage, Paging
from drover._paging.totals import reported_total
from drover._paging.trails import digest
from drover._paging.unfinished import find_unfinished

MAX_REPEATED_PAGES = 1000  # in a row, by cursors or links; records without a key may be equal
MAX_REPEATED_IDS = 5  # pages that equal earlier pages, by cursors or links, if records have an id
# Statuses of an API that refuses the page after the last one.
LAST_PAGE_STATUSES = frozenset({400, 404, 416, 422})
MIN_OVERLAP = 2  # records that show that a page begins one record after the page before


class Ask(Protocol):
    """Sends a request and returns the response. Statuses of 400 and above are exceptions.

    With `is_probe`, a response with a status of `PROBE_STATUSES` is returned.
    """

    def __call__(self, request: Request, *, is_probe: bool = False) -> Response: ...


@dataclass(frozen=True)
class Step:
    """The records of a page, the token of the next page (empty after the last), and the total if the API tells it."""

    records: list[Any]
    next_token: Json
    total: int | None = None


@dataclass
class StreamFacts:
    """What earlier walks through the same stream have shown, such as those for the other records of a parent stream."""

    has_found_cursor: bool = False
    form: Form = field(default_factory=Form)  # of all responses


@dataclass(frozen=True)
class Walk:
    """Reads the pages of one stream. The token of a page is its position and the progress before it."""

    style: Paging
    ask: Ask
    records_path: str = ""
    may_be_object: bool = False
    key_field: str = ""  # the field for the names of an object whose values are the records
    primary_key: Sequence[str] = ()
    is_partial: bool = False  # whether only new records are requested, so that a total says nothing
    is_child: bool = False  # whether the stream is read once for each record of a parent stream
    max_pages: int = 100_000
    warn: Callable[[str], None] = lambda _: None
    facts: StreamFacts = field(default_factory=StreamFacts)

    def read(self, token: Mapping[str, Any]) -> Step:
        """Return the page that the token describes; an empty token describes the first page."""
        position = {name: value for name, value in token.items() if name != "progress"}
        progress = Progress.from_token(token)
        response = self._response(position, progress)
        if response is None:
            return Step([], {})
        require_success(response)
        if self._is_end(response, is_first=not position):
            self._require_end_expected(progress, response)
            self._probes.require_nothing_after(position, progress)
            return Step([], {})
        page = self._page(response, is_first=not position).without_known_items(progress.items)
        self._require_result(progress, page)
        require_one_list(self.style, position, progress, page)
        require_whole_lists(self.style, page, self.records_path)
        self._require_form_of_others(progress, page)
        total = self._total(page)
        progress.add(page)
        progress.has_total |= total is not None
        if self._is_last_page_again(position, progress, page, total):
            return Step([], {}, total)
        require_no_removals(self.style, progress, total)
        records = self._without_overlap(position, progress, page)
        following = self._next_position(position, page)
        if following and self._is_at_end(position, following, progress, page, records):
            following = None
        if page.is_first:
            self._probes.require_nothing_before(progress, page)
        if page.count == 0:
            self._probes.require_nothing_after(position, progress, goes_on=following is not None)
        if following is None:
            self._require_complete(progress, total)
            self._probes.require_total_of_all(position, progress, page)
            return Step(records, {}, total)
        has_flag = self.style.hints and not page.is_object and flag_at_top(page.document) is True
        progress.is_more_told = has_flag or self.style.expects_more(page)
        progress.is_all_read = is_all_read(progress, total)
        require_progress(self.style, progress, following, self.max_pages)
        return Step(records, {**following, "progress": progress.to_json()}, total)

    def _response(self, position: Json, progress: Progress) -> Response | None:
        """Return the response, or None if the API refuses the page after all records of the reported total."""
        request = self.style.request(position)
        if progress.is_all_read and self.style.is_counted and self.style.hints:
            response = self.ask(request, is_probe=True)
            if response.action or response.status < HTTPStatus.BAD_REQUEST:
                return response
            if response.status in LAST_PAGE_STATUSES:
                return None
        return self.ask(request)

    def _require_result(self, progress: Progress, page: Page) -> None:
        """Raise NotReady for a response without records that says that its result comes later."""
        if page.count or not self.style.hints:
            return
        sign = "it has status 202 (accepted)" if page.response.status == HTTPStatus.ACCEPTED else ""
        sign = sign or find_unfinished(
            page.document,
            find_container(page.document, self.records_path),
            known=progress.form or self.facts.form,
            has_list=page.has_list,
            is_child=self.is_child,
        )
        if sign:
            raise NotReady(
                f"the response has no records and its result is not ready, because {sign}; turn off `hints` if this means"
                " that there are none"
            )

    def _total(self, page: Page) -> int | None:
        if page.is_object:
            return None
        return reported_total(page.document, page.response.headers, page.count, self.records_path)

    def _page(self, response: Response, *, is_first: bool) -> Page:
        return read_page(
            response,
            self.records_path,
            is_first=is_first,
            may_be_object=self.may_be_object,
            key_field=self.key_field,
            checks_errors=self.style.hints,
        )

    def _is_end(self, response: Response, *, is_first: bool) -> bool:
        if response.has_no_content or response.action == "ignore":
            return True
        if response.action == "end" and is_first:
            raise Contradiction(
                f"the source did not accept the request of the first page ({response.status})"
            )
        return response.action == "end"

    def _require_end_expected(self, progress: Progress, response: Response) -> None:
        """Raise an exception if a response ends the stream by its status, although more records were announced."""
        if progress.is_more_told:
            raise Contradiction(
                f"the response ends the stream (status {response.status}), but the response before says that more"
                " records follow",
                evidence=(f"after {progress.records:,} records",),
            )
        self._require_complete(progress, None)

    def _require_form_of_others(self, progress: Progress, page: Page) -> None:
        """Raise ErrorInsteadOfPage for a response without records that may be an error, then remember its form."""
        records = find_container(page.document, self.records_path)
        form = progress.form or self.facts.form
        if self.style.hints and (page.count == 0 or page.is_object):
            fault = find_page_fault(self.style, form, page, records, self.primary_key)
            if fault:
                raise ErrorInsteadOfPage(
                    f"a response without records may be an error instead of the end of the stream: {fault}; turn off"
                    " `hints` if this is how the API says that there are no more records",
                    evidence=(f"it has {describe(page.document)}",),
                )
        if not page.is_object:
            for known in (progress.form, self.facts.form):
                known.add(page.document, records, has_list=page.has_list)

    def _next_position(self, position: Json, page: Page) -> Json | None:
        try:
            following = self.style.next_position(position, page)
        except OnlyPage as error:
            if not self.facts.has_found_cursor:
                self._require_only_page(page, error)
            return None
        self.facts.has_found_cursor |= following is not None
        return following

    def _require_only_page(self, page: Page, missing: CursorMissing) -> None:
        """Raise the exception if a page of one record has no cursor either, although more records exist, or if this
        cannot be found out, and the page has another field that may be the cursor.
        """
        if self._shows_cursor(page, missing):
            self.facts.has_found_cursor = True
            return
        asked = self.style.page_size.records
        if page.count == 1 < asked and self.style.can_choose_size:
            self.warn(f"The first page is taken for the only one: it has 1 of {asked:,} records.")
            return
        position = find_position(page) if self.style.hints else ""
        if position:
            raise CursorMissing(
                f"{missing}, but more records follow, because {position}; let the settings ask for a page size, or turn"
                " off `hints` if this means something else",
                evidence=missing.evidence,
            )
        place = find_possible_cursor(page) if self.style.hints else ""
        if place:
            raise CursorMissing(
                f"{missing}, but `{place}` may be it; correct the path, or turn off `hints` if it means something else",
                evidence=missing.evidence,
            )
        self.warn(f"The first page is taken for the only one: {missing}.")

    def _shows_cursor(self, page: Page, missing: CursorMissing) -> bool:
        """Whether a page of one record has a cursor. Raises the exception if it has none, although it is smaller."""
        if page.count < 2 or not self.style.can_choose_size:
            return False
        small_page = self._ask_for_page(self.style.request({}, 1))
        if small_page is None or not small_page.count:
            return False
        if small_page.count < page.count:
            try:
                self.style.next_position({}, small_page)
            except CursorMissing:
                raise missing from None
            return True
        is_whole = self._total(page) == page.count
        if page.count >= self.style.page_size.records and not is_whole:
            raise missing
        return False

    @property
    def _probes(self) -> Probes:
        may_be_whole = not self.is_partial and not self.is_child
        return Probes(self.style, self._ask_for_page, self.primary_key, may_be_whole)

    def _ask_for_page(self, request: Request) -> Page | None:
        """Return the page, or None if the API refuses the request or answers without a list of records."""
        response = self.ask(request, is_probe=True)
        if response.status >= 300:
            return None
        try:
            return self._page(response, is_first=True)
        except (NoRecords, ErrorsReported):
            return None

    def _is_last_page_again(
        self, position: Json, progress: Progress, page: Page, total: int | None
    ) -> bool:
        """Whether all records have been read, and the API returns its last page for every position after it.

        Raises RepeatedPages if the API does not look at the position, or repeats pages without an end. Equal pages
        whose records have no key do not show that: different records may look alike. So the API is asked for a page
        that cannot exist, and only an API that answers this with records does not look at the position.
        """
        if not page.records:
            return False
        content = content_of(page.records, self.primary_key)
        has_ids = has_id(page.records[0])
        if not progress.contents.add(content):
            progress.repeated = progress.repeated if has_ids else 0
            return False
        if self.style.is_counted and progress.is_whole and progress.records - page.count == total:
            return True
        is_told = self.style.hints and flag_at_top(page.document) is False
        if has_ids and is_told and not self.style.is_counted:
            return True
        progress.repeated += 1
        if bool(keys_of(page.records, self.primary_key)):
            raise RepeatedPages(
                "the API returns the same page again: all records of this page have been read before",
                evidence=(f"page {progress.pages:,}",),
            )
        if not progress.is_trusted:
            self._probes.require_answer_to_position(position, content)
            progress.is_trusted = True
        limit = MAX_REPEATED_IDS if has_ids else MAX_REPEATED_PAGES
        if progress.repeated >= limit and not self.style.is_counted:
            raise RepeatedPages(
                f"the API returns the same pages again: {progress.repeated:,} pages equal earlier pages"
            )
        return False

    def _without_overlap(self, position: Json, progress: Progress, page: Page) -> list[Any]:
        """Return the records without those at the end of the page before. Raises PageCountsRecords."""
        overlap, progress.tail = read_overlap(page.records, progress.tail, self.primary_key)
        if overlap == page.count - 1 >= MIN_OVERLAP and progress.pages == 2 and "page" in position:
            raise PageCountsRecords(
                "the second page begins with the second record of the first page, so the parameter counts records; use the"
                " pagination `offset`"
            )
        if page.count == len(page.records):
            progress.records -= overlap
        progress.rows -= overlap
        return page.records[overlap:]

    def _is_at_end(
        self, position: Json, following: Json, progress: Progress, page: Page, records: list[Any]
    ) -> bool:
        """Whether a cursor or link leads back, because it includes the last records: no others follow them."""
        if self.style.is_counted:
            return False
        if page.count == 0:
            return has_read_total(self.style, progress, page, self.records_path)
        is_told = self.style.hints and flag_at_top(page.document) is False
        if is_told and (following == position or digest(following) in progress.positions):
            return True
        return following == position and not records and 0 < page.count < progress.largest

    def _require_complete(self, progress: Progress, total: int | None) -> None:
        if not self.is_partial:
            require_complete(self.style, progress, total)
