"""Faults of paging that look like the end of a stream: the run fails instead of leaving out records."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from tests.corpora.paged_apis import READERS, PagedApi, json_reply, make_items, slice_of
from tests.engine.sources.api import ReceivedRequest, Reply, RequestHandler

ITEMS = make_items(57)
PAGES = {"type": "page"}
OFFSETS = {"type": "offset", "page_size": 10}
CURSOR = {"type": "cursor", "cursor_path": "next", "cursor_param": "after"}
LINK = {"type": "next_link", "link_path": "next"}


def rows_of(request: ReceivedRequest) -> tuple[int, list[Any]]:
    """Return the number of the first record of the requested page, and its ten records."""
    params = request.params
    if "page" in params:
        start = (int(params["page"]) - 1) * 10
    else:
        start = int(params.get("after") or params.get("offset") or 0)
    return start, slice_of(ITEMS, start, 10)


def working_page(request: ReceivedRequest, fields: dict[str, Any]) -> Reply:
    start, rows = rows_of(request)
    following = {"next": str(start + 10)} if start + 10 < len(ITEMS) else {}
    return json_reply(data=rows, **following, **fields)


def page_four(
    reply: Any, http_status: int = 200, fields: dict[str, Any] | None = None
) -> RequestHandler:
    """Answer the fourth page with this reply, and the others with records and these fields."""

    def respond(request: ReceivedRequest) -> Reply:
        if rows_of(request)[0] == 30:
            return Reply(reply, http_status)
        return working_page(request, fields or {})

    return respond


def last_page(reply: Any, fields: dict[str, Any]) -> RequestHandler:
    """Answer the pages after the last record with this reply."""

    def respond(request: ReceivedRequest) -> Reply:
        _start, rows = rows_of(request)
        return json_reply(data=rows, **fields) if rows else Reply(reply)

    return respond


def first_page(
    fields: dict[str, Any], http_status: int = 200, headers: dict[str, str] | None = None
) -> RequestHandler:
    """Answer every request with the first ten records and these fields."""
    return lambda _: Reply({"data": ITEMS[:10], **fields}, http_status, headers=headers or {})


# Page 4 is one of these: the API reports an error, in a way of its own.
ERRORS: list[Any] = [
    {"code": 429, "msg": "too many requests"},
    {"errcode": 45009, "errmsg": "x"},
    {"detail": "Request was throttled."},
    {"status": "error"},
    {"status": "ERROR", "data": []},
    {"Message": "Rate exceeded"},
    {"errorCode": 7},
    {"statusCode": 503},
    {"meta": {"code": 429}},
    {"response": {"error": "x"}},
    {"meta": {"error": "x"}, "data": []},
    {"rate_limited": True},
    {"data": [], "partial": True},
    {"data": [], "warnings": ["partial result"]},
    {"code": "Throttling", "requestId": "x1"},
    {"ret": -1, "data": []},
    {"result": "fail", "reason": "quota"},
    {"type": "error"},
    {"object": "error"},
    {"data": None, "notice": "later"},
    {"items": {}},
    {"data": {}},
    {"data": {"message": "later"}},
    {},
]
# The pages before have the first fields, and page 4 has the second.
CHANGES: list[tuple[dict[str, Any], Any]] = [
    ({"status": "OK"}, {"status": "ERROR", "data": []}),
    ({"code": 0}, {"code": 429, "data": []}),
    ({"code": 200, "msg": "ok"}, {"code": 503, "msg": "ok", "data": None}),
    ({"meta": {"code": 200}}, {"meta": {"code": 429}}),
    ({"ret": 0}, {"ret": -1}),
    ({"ok": True}, {"ok": False, "data": []}),
    ({"kind": "list"}, {"kind": "fault"}),
    ({"status": {"code": 0}}, {"status": "unavailable", "data": []}),
    ({"message": None}, {"message": "Please try again later", "data": []}),
]
# What comes after the last record in APIs without a fault. The pages before have the first fields.
ENDS: list[tuple[dict[str, Any], Any]] = [
    ({}, {"data": []}),
    ({}, {"data": None}),
    ({}, {"data": [], "next": None}),
    ({}, {"data": [], "prev": "/items?page=5"}),
    ({}, {"kind": "list"}),
    ({"total": 57}, {"total": 57}),
    ({"total": 57}, {"data": [], "total": 57}),
    ({"count": 10}, {"data": [], "count": 0}),
    ({"status": "OK", "code": 0}, {"status": "OK", "code": 0, "data": []}),
    ({"status": "OK", "code": 0}, {"status": "OK", "code": 0}),
    ({"has_more": True}, {"data": [], "has_more": False}),
    ({"page": 3}, {"data": [], "page": 7, "request_id": "f5a"}),
    ({"links": {"next": "/items?page=9"}}, {"data": [], "links": {"prev": "/items?page=9"}}),
    ({"error": None}, {"error": None, "data": []}),
    ({"included": [1]}, {"data": [], "included": []}),
    ({"took": 5}, {"took": 9, "data": []}),
    ({}, {"data": [], "message": "No more results"}),
    ({"message": "Records read"}, {"data": [], "message": "No records found"}),
    ({}, {"data": [], "info": "You have reached the end of the list"}),
]
# The last response says by a field that the settings name that nothing follows, and has a new text beside that.
NAMED_ENDS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    (CURSOR, {"data": [], "next": None, "notice": "Maintenance on Sunday"}, True),
    (LINK, {"data": [], "next": None, "notice": "Maintenance on Sunday"}, True),
    ({**PAGES, "more_path": "more"}, {"data": [], "more": False, "backoff": "10s"}, True),
    (CURSOR, {"data": [], "next": None, "error": "no"}, False),
    (CURSOR, {"data": [], "next": None, "partial": True}, False),
    (CURSOR, {"data": [], "next": None, "status": "ERROR"}, False),
    (CURSOR, {"data": None, "notice": "later"}, False),
    (CURSOR, {"data": [], "message": "No data: service unavailable"}, False),
]

EMPTY_PAGES: list[dict[str, Any]] = [{"data": []}, {"data": None}, {"error": None, "data": None}]

EARLY: dict[str, PagedApi] = {
    **{
        f"{style['type']}, {error}": PagedApi(page_four(error), style, is_retryable=True)
        for error in ERRORS
        for style in (PAGES, CURSOR)
    },
    **{
        f"{fields} becomes {reply}": PagedApi(page_four(reply, 200, fields), PAGES)
        for fields, reply in CHANGES
    },
    "an object after pages that are lists": PagedApi(
        lambda request: (
            Reply({"message": "slow down"})
            if rows_of(request)[0] == 30
            else Reply(rows_of(request)[1])
        ),
        PAGES,
        records="",
    ),
    # The settings end the stream, but the API has said that more records follow
    "404 before the total": PagedApi(
        page_four({}, 404, {"total": 57}),
        {**OFFSETS, "total_path": "total"},
        says="more records follow",
        end_statuses=(404,),
    ),
    "404 before the number of pages": PagedApi(
        page_four({}, 404, {"pages": 6}),
        {**PAGES, "total_path": "pages"},
        says="more records follow",
        end_statuses=(404,),
    ),
    "404 before a total that is not named": PagedApi(
        page_four({}, 404, {"total": 57}), PAGES, says="57", end_statuses=(404,)
    ),
    "404 although a flag says more": PagedApi(
        page_four({}, 404, {"has_more": True}),
        {**CURSOR, "more_path": "has_more"},
        says="more records follow",
        end_statuses=(404,),
    ),
    "404 although a flag that is not named says more": PagedApi(
        page_four({}, 404, {"has_more": True}),
        CURSOR,
        says="more records follow",
        end_statuses=(404,),
    ),
    "204 before the total": PagedApi(
        page_four(b"", 204, {"total": 57}),
        {**OFFSETS, "total_path": "total"},
        says="more records follow",
    ),
    "204 before a total that is not named": PagedApi(
        page_four(b"", 204, {"total": 57}), PAGES, says="57"
    ),
    "the last page has no total any more": PagedApi(
        page_four({"data": []}, 200, {"total": 57}), PAGES, says="57"
    ),
    # An empty page before the number of pages
    **{
        f"an empty page, {fields}": PagedApi(
            page_four({"data": [], **fields}, 200, fields), PAGES, says="6 pages"
        )
        for fields in (
            {"total_pages": 6},
            {"meta": {"last_page": 6}},
            {"pagination": {"pageCount": 6}},
            {"nbPages": 6},
        )
    },
    "an empty page without the number of pages": PagedApi(
        page_four({"data": []}, 200, {"total_pages": 6}), PAGES, says="6 pages"
    ),
    # A page is left out, and the next attempt asks for it again
    **{
        f"page 4 is {reply} with {fields}, {style['type']}": PagedApi(
            page_four(reply, 200, fields), style, says="left out a page", is_retryable=True
        )
        for reply in EMPTY_PAGES
        for fields in ({}, {"error": None})
        for style in (PAGES, OFFSETS)
    },
    **{
        f"page 4 has no records, but {more}": PagedApi(
            page_four({"data": [], **more}, 200, more),
            PAGES,
            says="left out a page",
            is_retryable=True,
        )
        for more in ({"has_more": True}, {"meta": {"pagination": {"has_more": True}}})
    },
    "404 in the middle": PagedApi(
        page_four({}, 404),
        PAGES,
        says="left out a page",
        end_statuses=(404,),
        is_retryable=True,
    ),
    # The settings name another number than the total
    "the number of records of the page as total": PagedApi(
        lambda request: json_reply(data=rows_of(request)[1], count=len(rows_of(request)[1])),
        {**OFFSETS, "total_path": "count"},
        says="total of all pages",
    ),
    "the number of the page as total": PagedApi(
        lambda request: json_reply(data=rows_of(request)[1], page=int(request.params["page"])),
        {**PAGES, "total_path": "page"},
        says="total of all pages",
    ),
    # Statuses that are no page
    "304": PagedApi(page_four(b"", 304), PAGES, says="status 304"),
    "300": PagedApi(page_four({"data": []}, 300), CURSOR, says="status 300"),
    "202 without records": PagedApi(
        page_four({"data": []}, 202), CURSOR, says="not ready", is_retryable=True
    ),
    "202 at once": PagedApi(
        lambda _: Reply({"status": "running"}, 202), CURSOR, says="not ready", is_retryable=True
    ),
    # The API says that records are missing in a page
    **{
        f"records and {fields}": PagedApi(
            page_four({"data": ITEMS[30:40], **fields}),
            PAGES,
            says="not complete",
            is_retryable=True,
        )
        for fields in (
            {"timed_out": True},
            {"incomplete_results": True},
            {"incompleteSearch": True},
            {"_shards": {"total": 5, "failed": 1}},
            {"meta": {"partial": True}},
        )
    },
    # The settings begin with the second page
    **{
        f"pages from 0, {count} records": PagedApi(
            lambda request, count=count: json_reply(  # type: ignore[misc]
                data=slice_of(ITEMS[:count], int(request.params["page"]) * 10, 10)
            ),
            PAGES,
            says="`first_page` to 0",
        )
        for count in (1, 10, 57)
    },
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", EARLY)
def test_a_stream_that_ends_early_fails(name: str, reader: str) -> None:
    case = EARLY[name]
    outcome = READERS[reader](case)
    assert outcome.failure in ("source", "configuration"), len(outcome.rows)
    assert case.says in f"{outcome.message}\n{outcome.evidence}"


@pytest.mark.parametrize("reader", READERS)
def test_the_total_beside_the_records_counts_and_that_of_other_lists_does_not(reader: str) -> None:
    for total, other in ((57, 10), (10, 57)):
        issues = {"totalCount": total, "nodes": ITEMS[:10]}
        repository = {"stars": {"totalCount": other}, "issues": issues}
        respond = first_page({"repository": repository})
        case = PagedApi(respond, {"type": "none"}, records="repository.issues.nodes")
        assert bool(READERS[reader](case).failure) == (total == 57)


@pytest.mark.sample(3)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("fields", "reply"), ENDS, ids=str)
def test_a_working_api_may_say_the_end_in_many_ways(
    fields: dict[str, Any], reply: Any, reader: str
) -> None:
    outcome = READERS[reader](PagedApi(last_page(reply, fields), PAGES))
    assert not outcome.failure, f"{outcome.message}\n{outcome.evidence}"
    assert outcome.rows == ITEMS


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("style", "last", "is_end"), NAMED_ENDS, ids=str)
def test_a_new_text_beside_a_named_end_is_no_error(
    style: dict[str, Any], last: dict[str, Any], is_end: bool, reader: str
) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        start, rows = rows_of(request)
        following = (
            {"next": f"/items?after={start + 10}"} if style is LINK else {"next": start + 10}
        )
        return json_reply(data=rows, more=True, **following) if rows else Reply(last)

    outcome = READERS[reader](PagedApi(respond, style))
    assert bool(outcome.failure) != is_end, f"{outcome.message}\n{outcome.evidence}"
    assert outcome.rows == ITEMS


FIRST_ERRORS = [
    *({"code": 429, "msg": "too many requests"}, {"status": "ERROR", "data": []}, {"errorCode": 7}),
    *({"detail": "Request was throttled."}, {"ok": False, "data": []}, {"meta": {"code": 503}}),
    *({"status": 429, "title": "x", "data": None}, {"ret": -1}, {"result": "fail", "data": []}),
]
FIRST_ENDS = [
    *({}, {"kind": "list"}, {"code": 0, "message": "success"}, {"meta": {"result_count": 0}}),
    *({"data": [], "message": "No records found"}, {"status": 200, "data": []}),
    {"status": "OK", "errors": [], "data": None},
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("document", [*FIRST_ERRORS, *FIRST_ENDS], ids=str)
def test_an_error_as_the_first_response_is_not_an_empty_stream(
    document: dict[str, Any], reader: str
) -> None:
    outcome = READERS[reader](PagedApi(lambda _: Reply(document), PAGES))
    assert bool(outcome.failure) == (document in FIRST_ERRORS), outcome.message


def test_without_hints_a_response_without_the_list_is_the_end() -> None:
    for reader in READERS.values():
        outcome = reader(PagedApi(last_page({"finis": "1"}, {}), {**PAGES, "hints": False}))
        assert outcome.rows == ITEMS


# What the first page has beside ten records if more follow.
SIGNS: list[dict[str, Any]] = [
    *(
        {name: "10"}
        for name in (
            *("offset", "continuation", "scroll_id", "pagination_token", "page_token", "marker"),
            *("bookmark", "position", "after", "weiter"),
        )
    ),
    {"offset": 10},
    {"weiter": 11},
    {"LastEvaluatedKey": {"id": {"N": "10"}}},
    {"_scroll_id": "DXF1ZXJ5QW5kRmV0Y2gBAAAAAAAAAD4WYm9laVYtZndUQlNsdDcwakFMNjU1QQ=="},
    {"total_pages": 6},
    {"meta": {"last_page": 6, "current_page": 1}},
    {"@odata.count": 57},
    {"response": {"numFound": 57}},
    {"recordsTotal": 57},
    {"pageInfo": {"totalResults": 57}},
    {"_metadata": {"total": 57}},
    {"num_found": 57},
    {"metadata": {"remainingItemCount": 47}},
    {"metadata": {"continue": "eyJ2IjoibWV0YSJ9"}},
    {"links": [{"rel": "self", "href": "/a"}, {"rel": "next", "href": "/b"}]},
    {"link": [{"relation": "next", "url": "/b"}]},
    {"hasNextPage": 1},
    {"done": False},
    {"moreDataAvailable": True},
    {"exceededTransferLimit": True},
    {"additional_data": {"pagination": {"more_items_in_collection": True}}},
    {"end_of_stream": False},
    {"result_info": {"total_count": 57}},
    {"rowCount": 57},
    {"hits": {"total": {"value": 57, "relation": "eq"}}},
]
HEADER_SIGNS: list[tuple[int, dict[str, str]]] = [
    (200, {"X-Next-Page": "2"}),
    (200, {"X-Total-Pages": "6"}),
    (200, {"X-Continuation-Token": "abc"}),
    (200, {"Content-Range": "items 0-9/57"}),
    (200, {"X-Pagination-Total-Count": "57"}),
    (200, {"X-WP-Total": "57"}),
    (200, {"X-Has-More": "true"}),
    (200, {"X-Pagination": '{"CurrentPage": 1, "TotalPages": 6}'}),
    (206, {}),
]
# What the only page may have.
HONEST: list[dict[str, Any]] = [
    {},
    {"kind": "list", "etag": '"3a"'},
    {"total": 10, "count": 10, "page": 1, "per_page": 100, "total_pages": 1},
    {"totalSize": 10, "done": True},
    {"@odata.context": "https://graph/v1.0/$metadata#users"},
    {"meta": {"result_count": 10, "newest_id": "15", "oldest_id": "2"}},
    {"_links": {"base": "https://example.test/wiki", "self": "/items"}},
    {"has_more": False, "object": "list", "url": "/v1/charges"},
    {"status": "OK", "code": 200, "message": "success"},
    {"generated_at": "2024-01-01T10:00:00Z", "took": 112, "request_id": "a8f1"},
    {"offset": 0, "limit": 100},
    {"last_page": 1, "current_page": 1},
    {"deltaLink": "https://graph/delta?token=ab12", "nextSyncToken": "ab12"},
    {"metadata": {"resourceVersion": "1452"}, "account_id": 8812, "isLast": True},
    {"hits": {"total": {"value": 10}}, "timed_out": False, "_shards": {"failed": 0}},
    {
        "rowCount": 10,
        "usage": {"totalCount": 9000},
        "repository": {"stargazers": {"totalCount": 57}},
    },
    {"list": {"id": 7, "complete": False}},
]


@pytest.mark.sample(4)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fields", SIGNS, ids=str)
@pytest.mark.parametrize(
    "style",
    [{"type": "none"}, CURSOR, LINK, {**CURSOR, "size_param": "n", "page_size": 20}],
    ids=str,
)
def test_a_first_page_that_shows_signs_of_more_is_not_the_only_page(
    style: dict[str, Any], fields: dict[str, Any], reader: str
) -> None:
    if style["type"] == "none" and "weiter" in fields:
        pytest.skip("without settings of pagination, unknown names say nothing")
    outcome = READERS[reader](
        PagedApi(
            first_page(fields),
            {**style, **({"cursor_path": "typo"} if style["type"] == "cursor" else {})},
        )
    )
    assert outcome.failure in ("source", "configuration"), len(outcome.rows)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("status", "headers"), HEADER_SIGNS, ids=str)
@pytest.mark.parametrize(
    "style", [{"type": "none"}, {"type": "cursor", "cursor_header": "X-NextPage"}], ids=str
)
def test_headers_that_show_more_fail_the_run(
    style: dict[str, Any], status: int, headers: dict[str, str], reader: str
) -> None:
    outcome = READERS[reader](PagedApi(first_page({}, status, headers), style))
    assert outcome.failure in ("source", "configuration"), len(outcome.rows)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fields", HONEST, ids=str)
@pytest.mark.parametrize("style", [{"type": "none"}, CURSOR, LINK], ids=str)
def test_the_only_page_of_a_working_api_is_accepted(
    style: dict[str, Any], fields: dict[str, Any], reader: str
) -> None:
    outcome = READERS[reader](PagedApi(first_page(fields), style))
    assert not outcome.failure, f"{outcome.message}\n{outcome.evidence}"
    assert outcome.rows == ITEMS[:10]


def shuffled(**changes: Any) -> RequestHandler:
    """Return the same ten records for ever, in another order and with another cursor each time."""
    numbers = itertools.count(1)
    generator = random.Random(1)

    def respond(_: ReceivedRequest) -> Reply:
        number = next(numbers)
        rows = [{**row, **dict.fromkeys(changes, number)} for row in ITEMS[:10]]
        generator.shuffle(rows)
        return json_reply(data=rows, next=f"c{number}")

    return respond


def shuffled_without_keys() -> RequestHandler:
    """Return the same ten records without keys for ever."""
    numbers = itertools.count(1)

    def respond(_: ReceivedRequest) -> Reply:
        number = next(numbers)
        rows = [{"state": n} for n in range(10)]
        return json_reply(data=rows[number % 10 :] + rows[: number % 10], next=f"c{number}")

    return respond


def cycle_of_records(length: int) -> RequestHandler:
    """Return one record a page, and the same records again after this many pages."""
    numbers = itertools.count(1)

    def respond(request: ReceivedRequest) -> Reply:
        place = int(request.params.get("page") or next(numbers))
        return json_reply(data=[{"id": place % length}], next=f"c{place + 1}")

    return respond


REPEATS: dict[str, PagedApi] = {
    "the cursor is ignored, shuffled": PagedApi(shuffled(), CURSOR, requests=4),
    "the cursor is ignored, shuffled, no keys": PagedApi(
        shuffled_without_keys(), CURSOR, requests=4
    ),
    "the page is ignored, a field changes": PagedApi(shuffled(served=1), PAGES, requests=4),
    "records in a cycle of 100 by page": PagedApi(
        cycle_of_records(100), {**PAGES, "first_page": 0}, requests=105
    ),
    "records in a cycle of 100 by cursor": PagedApi(cycle_of_records(100), CURSOR, requests=110),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", REPEATS)
def test_records_that_were_read_before_end_the_run(name: str, reader: str) -> None:
    case = REPEATS[name]
    outcome = READERS[reader](case)
    assert "again" in outcome.message
    assert len(outcome.requests) <= case.requests
