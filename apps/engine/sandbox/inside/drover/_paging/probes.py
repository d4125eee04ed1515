"""Requests for other pages than the next one. They show that a stream begins or ends at the wrong place.

The settings may be wrong, or the API may leave out pages or not look at the requested position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drover._paging.faults import PageLeftOut, RepeatedPages, WrongFirstPage
from drover._paging.keys import comparable_digests, content_of
from drover._paging.paths import describe
from drover._paging.progress import Progress
from drover._paging.responses import Json, Page, Request
from drover._paging.styles import Contradiction, Paging


@dataclass(frozen=True)
class Probes:
    """Asks for single pages beside the walk. `ask_for_page` returns None if the API refuses, or answers without a list."""

    style: Paging
    ask_for_page: Callable[[Request], Page | None]
    primary_key: Sequence[str]
    may_be_whole: bool  # whether the walk reads all records, and not only new ones or those of a parent record

    def require_nothing_before(self, progress: Progress, page: Page) -> None:
        """Raise WrongFirstPage if another page near the first one shows that the settings begin at the wrong place.

        A total shows that too, unless only one record is missing.
        """
        start = self.style.test_of_start()
        if start is None or not self.style.hints or not self._is_full_read(progress):
            return
        if (
            page.nesting
            or page.count < start.min_count
            or (progress.has_total and not start.is_one_record)
        ):
            return
        answer = self.ask_for_page(start.request)
        if answer is None or answer.is_object or not answer.records:
            return
        first, other = comparable_digests(page.records, answer.records, self.primary_key)
        if start.is_wrong(first, other):
            raise WrongFirstPage(
                f"{start.conclusion}, or turn off `hints` if this means something else"
            )

    def require_nothing_after(
        self, position: Json, progress: Progress, *, goes_on: bool = False
    ) -> None:
        """Raise PageLeftOut if the page after an empty one has records, so that the empty one is not the end.

        If the API says that more follow, it may leave out records after it has cut the pages. Then not all pages
        before are full.
        """
        is_full = 1 < progress.smallest == progress.largest
        asks = self.style.hints and is_full if goes_on else self._may_probe(progress)
        count = self._count_after(position, progress) if asks and progress.records else 0
        if count:
            raise PageLeftOut(
                f"the page after {progress.records:,} records is empty, but the next page has {count:,}, so the API has"
                " left out a page; turn off `hints` if its pages may be empty"
            )

    def require_total_of_all(self, position: Json, progress: Progress, page: Page) -> None:
        """Raise Contradiction if a total ends the stream, although the next page has records.

        The settings may name the number of the page, or of its records. Some APIs count up to a round number only.
        """
        is_told = self.style.hints and self.style.ends_by_total and self._is_full_read(progress)
        may_be_wrong = page.is_first or self.style.may_be_capped(page)
        if not is_told or self.style.is_cut or not may_be_wrong or not page.count:
            return
        if count := self._count_after(position, progress):
            raise Contradiction(
                f"the total ends the stream after {progress.records:,} records, but the next page has {count:,}; name the field"
                " with the total of all pages, or turn off `hints`",
                evidence=(f"it has {describe(page.document)}",),
            )

    def require_answer_to_position(self, position: Json, content: str) -> None:
        """Raise RepeatedPages if a page that cannot exist has records, and shows that the API ignores the position."""
        request = self.style.request_beyond_end(position)
        answer = self.ask_for_page(request) if request is not None else None
        if answer is None or not answer.records:
            return
        is_same = content_of(answer.records, self.primary_key) == content
        if is_same or self.style.ends_by_empty_page:
            raise RepeatedPages(
                "the API returns the same page again, and has records on a page that cannot exist: it does not look at"
                " the requested position, or repeats its last page; correct the pagination settings, or name the field"
                " with the total or the one that tells whether more pages follow"
            )

    def _count_after(self, position: Json, progress: Progress) -> int:
        """Return how many records the next page has, or 0 if it has been read before."""
        request = self.style.request_after(position, progress.largest)
        answer = self.ask_for_page(request) if request is not None else None
        if answer is None or answer.is_object or not answer.records:
            return 0
        is_known = content_of(answer.records, self.primary_key) in progress.contents
        return 0 if is_known else answer.count

    def _is_full_read(self, progress: Progress) -> bool:
        return self.may_be_whole and progress.is_whole

    def _may_probe(self, progress: Progress) -> bool:
        """Whether to ask for one more page because nothing else confirms the end of the stream."""
        return (
            self._is_full_read(progress)
            and self.style.hints
            and self.style.ends_by_empty_page
            and not progress.has_total
        )
