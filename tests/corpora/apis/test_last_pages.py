"""APIs that refuse the page after the last one: the end of the stream, if all records of the reported total were read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.corpora.apis.public_apis import PAGE, Asked
from tests.corpora.paged_apis import READERS, PagedApi, make_items, read_with_rest
from tests.engine.sources.api import ReceivedRequest, Reply

ITEMS = make_items(57)
PAGES = {"type": "page"}
OFFSETS = {"type": "offset", "page_size": PAGE}


def pages_of(asked: Asked) -> int:
    return max(-(-len(asked.rows) // PAGE), 1)


def wordpress(asked: Asked) -> Reply:
    page = asked.number("page", 1)
    if not 1 <= page <= pages_of(asked):
        return Reply({"code": "rest_post_invalid_page_number", "data": {"status": 400}}, 400)
    headers = {"X-WP-Total": str(len(asked.rows)), "X-WP-TotalPages": str(pages_of(asked))}
    return Reply({"data": asked.page_at((page - 1) * PAGE)[0]}, headers=headers)


def linode(asked: Asked) -> Reply:
    page = asked.number("page", 1)
    if not 1 <= page <= pages_of(asked):
        return Reply({"errors": [{"reason": "Page does not exist", "field": "page"}]}, 404)
    rows, _ = asked.page_at((page - 1) * PAGE)
    return Reply({"data": rows, "page": page, "pages": pages_of(asked), "results": len(asked.rows)})


def rick_and_morty(asked: Asked) -> Reply:
    page = asked.number("page", 1)
    rows, more = asked.page_at((page - 1) * PAGE)
    if not rows or page < 1:
        return Reply({"error": "There is nothing here"}, 404)
    following = asked.link(f"page={page + 1}") if more else None
    info = {"count": len(asked.rows), "pages": pages_of(asked), "next": following}
    return Reply({"info": info, "data": rows})


def by_offset(asked: Asked) -> Reply:
    rows, _ = asked.page_at(asked.number("offset"))
    if not rows:
        return Reply({"message": "The offset is out of range"}, 416)
    return Reply({"total_results": len(asked.rows), "data": rows})


APIS: dict[str, tuple[Callable[[Asked], Reply], dict[str, Any], tuple[int, ...]]] = {
    "WordPress": (wordpress, PAGES, (0, 1, 9, 10, 11, 20, 57)),
    "Linode": (linode, PAGES, (0, 1, 9, 10, 11, 20, 57)),
    "Rick and Morty": (rick_and_morty, PAGES, (1, 9, 10, 11, 20, 57)),
    "offsets": (by_offset, OFFSETS, (11, 20, 57)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("name", "count"), [(name, count) for name, (_, _, counts) in APIS.items() for count in counts]
)
def test_a_page_that_is_refused_after_all_records_is_the_end(
    name: str, count: int, reader: str
) -> None:
    answer, style, _ = APIS[name]

    def respond(request: ReceivedRequest) -> Reply:
        return answer(Asked(ITEMS[:count], request))

    outcome = READERS[reader](PagedApi(respond, style, resumes=True))
    assert (outcome.message, outcome.rows) == ("", ITEMS[:count])
    assert all(rows == ITEMS[count - len(rows) : count] for rows in outcome.resumed)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("status", [400, 404, 422, 401, 403, 429, 500])
@pytest.mark.parametrize("fields", [{}, {"total": 57}, {"pages": 6}, {"total": 10}], ids=str)
def test_a_page_that_is_refused_before_is_a_failure(
    fields: dict[str, Any], status: int, reader: str
) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        page = int(request.params["page"])
        if page == 2:
            return Reply({"message": "no"}, status)
        return Reply({"data": ITEMS[max(page - 1, 0) * 10 :][:10], **fields})

    assert read_failing(reader, PagedApi(respond, PAGES))


def test_a_page_that_is_refused_without_a_total_names_the_setting() -> None:
    def respond(request: ReceivedRequest) -> Reply:
        rows, _ = Asked(ITEMS, request).page_at(max(int(request.params["page"]) - 1, 0) * PAGE)
        return Reply({"data": rows}) if rows else Reply({"message": "Not found"}, 404)

    outcome = read_with_rest(PagedApi(respond, PAGES))
    assert (outcome.failure, outcome.is_retryable) == ("configuration", False)
    assert "`response_actions`" in outcome.message
    outcome = read_with_rest(PagedApi(respond, PAGES, end_statuses=(404,)))
    assert (outcome.message, outcome.rows) == ("", ITEMS)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_failure_after_all_records_is_a_failure(status: int, reader: str) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        asked = Asked(ITEMS, request)
        return linode(asked) if asked.number("page", 1) < 7 else Reply({"message": "no"}, status)

    assert read_failing(reader, PagedApi(respond, PAGES))


def read_failing(reader: str, case: PagedApi) -> bool:
    """Return whether the read failed. A custom source raises the error of its HTTP client for a status."""
    try:
        return bool(READERS[reader](case).failure)
    except requests.RequestException:
        return True
