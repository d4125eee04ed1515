"""What shows that the pages of a stream are not complete, or would never end."""

from __future__ import annotations

from drover._paging.faults import EndsTooEarly, ListCut, RecordsRemoved, RepeatedPages
from drover._paging.hints import find_hint, flag_at_top
from drover._paging.nested import cut_lists, missing_records
from drover._paging.progress import Progress
from drover._paging.responses import Json, Page, Response
from drover._paging.styles import Contradiction, Paging
from drover._paging.totals import reported_total, reports_none
from drover._paging.trails import digest

MAX_EMPTY_PAGES = 10  # in a row
MAX_EMPTY_PAGES_WITHOUT_HINTS = 1000


def require_no_removals(style: Paging, progress: Progress, total: int | None) -> None:
    """Raise RecordsRemoved if the API reports fewer records than with the page before: a counted position has
    skipped as many records as were removed before it.
    """
    before = progress.total
    if total is not None:
        # A total that is not larger than what was read may be that of the page.
        progress.total = total if total > progress.records else None
    if not style.is_counted or not style.hints or total is None or before is None:
        return
    if total < before:
        raise RecordsRemoved(
            f"the total of records fell from {before:,} to {total:,} while the pages were read, so some may have"
            " been skipped; sort the list so that new and removed records are at its end, or turn off `hints`"
        )


def require_complete(style: Paging, progress: Progress, total: int | None) -> None:
    """Raise Contradiction if the API reports more records than its pages had.

    Records are added and removed while several pages are read, so a small difference is accepted then.
    """
    if style.is_cut or not progress.is_whole or not style.hints:
        return
    total = progress.total if total is None else total
    full_pages = progress.pages - progress.empty
    if 0 < full_pages < progress.page_total and (total is None or progress.records < total):
        raise EndsTooEarly(
            f"the API reports {progress.page_total:,} pages, but its records end after {full_pages:,}; turn off"
            " `hints` if this number means something else"
        )
    if total is None:
        return
    accepted = 0 if progress.pages == 1 else max(progress.largest - 1, total // 100)
    if total - max(progress.records, progress.rows, progress.outer) > accepted:
        raise Contradiction(
            f"the API reports a total of {total:,} records, but its pages end after {progress.records:,}:"
            " the pagination settings are wrong, or the API limits how far its pages reach; turn off `hints` if this"
            " total means something else"
        )


def has_read_total(style: Paging, progress: Progress, page: Page, path: str) -> bool:
    """Whether a page without records reports as many as were read, and nothing says that more follow."""
    document, headers = page.document, page.response.headers
    says_more = style.expects_more(page) or flag_at_top(document) is True
    if says_more or not style.hints or not progress.is_whole:
        return False
    if page.is_first:
        return reports_none(document, headers, path)
    total = reported_total(document, headers, page.count, path)
    return total is not None and total <= progress.records


def is_all_read(progress: Progress, total: int | None) -> bool:
    """Whether the pages before have all records that the API reports. The total of a single page may be its own count."""
    if not progress.is_whole:
        return False
    if progress.page_total:
        return progress.pages >= progress.page_total and (
            total is None or progress.records >= total
        )
    return total is not None and progress.pages > 1 and progress.records >= total


def require_progress(style: Paging, progress: Progress, following: Json, max_pages: int) -> None:
    """Raise RepeatedPages if the next page was read before, or if there are too many pages."""
    if not style.is_counted and progress.positions.add(digest(following)):
        raise RepeatedPages(
            "the API leads back to a page that was read before, so its pages would never end",
            evidence=(f"after page {progress.pages:,}", str(following)[:300]),
        )
    most = MAX_EMPTY_PAGES if style.hints else MAX_EMPTY_PAGES_WITHOUT_HINTS
    if progress.empty >= most:
        raise RepeatedPages(
            f"the API returned {progress.empty:,} empty pages in a row and says that more follow; turn off `hints`"
            f" to accept up to {MAX_EMPTY_PAGES_WITHOUT_HINTS:,}, or set `stop_after_empty_page` if the first one is the end"
        )
    if progress.pages >= max_pages:
        raise RepeatedPages(f"the stream has more than {max_pages:,} pages (`max_pages`)")


def require_one_list(style: Paging, position: Json, progress: Progress, page: Page) -> None:
    """Raise ListCut if the offset counts in several lists at once: then the same items come again with other records."""
    nesting = page.nesting
    if not style.hints or nesting is None or nesting.count < 2 or not page.records:
        return
    is_unknown = not nesting.identity and nesting.longest >= style.page_size.records > nesting.count
    if ("offset" in position and nesting.identity == progress.items) or (
        page.is_first and style.is_offset and is_unknown
    ):
        raise ListCut(
            f"the offset counts in {nesting.count:,} lists at once, so it cannot be known; read the lists as a child stream, or"
            " request one of them"
        )


def require_whole_lists(style: Paging, page: Page, path: str) -> None:
    """Raise ListCut if a list inside of an item, such as the lines of an order, has more pages of its own."""
    for fields, records in cut_lists(page.document, path):
        inner = Page(Response(page.response.status, fields), records, is_first=False)
        hint = find_hint(inner) or missing_records(fields, len(records))
        if hint and style.hints:
            raise ListCut(
                f"a list of {len(records):,} records inside of an item is not complete, because {hint}; read it as a child"
                " stream, request more of its records at once, or turn off `hints` if this means something else"
            )
