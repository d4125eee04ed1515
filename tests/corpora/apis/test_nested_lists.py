"""Records in lists inside of the items of a page, such as the lines of orders: `orders[].lines`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.corpora.paged_apis import READERS, PagedApi, json_reply
from tests.engine.sources.api import ReceivedRequest, Reply, RequestHandler

Rows = list[dict[str, Any]]
PAGES = {"type": "page"}
OFFSETS = {"type": "offset", "page_size": 10}
CURSOR = {"type": "cursor", "cursor_path": "next", "cursor_param": "after"}
PATH = "orders[].lines"


def orders_with_lines(*counts: int) -> Rows:
    """Return one order for each count, with as many lines."""
    return [
        {"id": order, "lines": [{"id": order * 100 + line} for line in range(count)]}
        for order, count in enumerate(counts, 1)
    ]


def without_ids(orders: Rows) -> Rows:
    return [{"number": order["id"], "lines": order["lines"]} for order in orders]


def lines_of(orders: Rows) -> Rows:
    return [line for order in orders for line in order["lines"]]


def serve(orders: Rows, **fields: Any) -> RequestHandler:
    """Answer with ten orders from the requested page, offset or cursor on."""

    def respond(request: ReceivedRequest) -> Reply:
        params = request.params
        start = int(params.get("offset") or params.get("after") or 0)
        if "page" in params:
            start = (int(params["page"]) - 1) * 10
        has_cursor = not params.keys() & {"page", "offset"} and start + 10 < len(orders)
        following = {"next": str(start + 10)} if has_cursor else {}
        return json_reply(orders=orders[start : start + 10], **following, **fields)

    return respond


THREE_EACH = orders_with_lines(*[3] * 57)
GAPS = orders_with_lines(*[2] * 20, *[0] * 20, *[2] * 17)  # pages 3 and 4 have no lines
ORDERS = {
    "lines": THREE_EACH,
    "gaps": GAPS,
    "few lines": orders_with_lines(*[1, 0] * 28, 1),
    "gaps, without ids": without_ids(GAPS),
    "none on the first page": without_ids(orders_with_lines(*[0] * 20, *[2] * 37)),
    "many on the last page": orders_with_lines(*[1] * 53, *[12] * 4),
    "other lines at each offset": orders_with_lines(1, *[0] * 9, *[1] * 47),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("pagination", [PAGES, OFFSETS, CURSOR], ids=lambda style: style["type"])
@pytest.mark.parametrize("fields", [{}, {"total": 57}], ids=["no total", "total"])
@pytest.mark.parametrize("orders", ORDERS.values(), ids=ORDERS.keys())
def test_the_items_of_a_page_are_counted_and_not_the_records_in_them(
    orders: Rows, fields: dict[str, Any], pagination: dict[str, Any], reader: str
) -> None:
    outcome = READERS[reader](PagedApi(serve(orders, **fields), pagination, records=PATH))
    assert (outcome.message, outcome.rows) == ("", lines_of(orders))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("pagination", [PAGES, OFFSETS, CURSOR], ids=lambda style: style["type"])
def test_a_single_item_without_records_is_the_total(
    pagination: dict[str, Any], reader: str
) -> None:
    orders = orders_with_lines(0)
    outcome = READERS[reader](PagedApi(serve(orders, total=1), pagination, records=PATH))
    assert (outcome.message, outcome.rows) == ("", [])


@pytest.mark.parametrize("reader", READERS)
def test_an_offset_ends_at_the_total_of_the_items(reader: str) -> None:
    by_total = OFFSETS | {"total_path": "total"}
    outcome = READERS[reader](PagedApi(serve(THREE_EACH, total=57), by_total, records=PATH))
    assert (outcome.message, outcome.rows) == ("", lines_of(THREE_EACH))


def serve_boards(size: int, boards: int) -> RequestHandler:
    """Answer with some boards, each with as many items from the offset or page on, of 25."""

    def respond(request: ReceivedRequest) -> Reply:
        start = int(request.params.get("offset", 0))
        if "page" in request.params:
            start = max(int(request.params["page"]) - 1, 0) * size
        return json_reply(
            boards=[
                {"id": board, "items": [{"id": board * 100 + n} for n in range(25)][start:][:size]}
                for board in range(1, boards + 1)
            ]
        )

    return respond


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("pagination", [PAGES, OFFSETS], ids=lambda style: style["type"])
def test_the_records_of_a_single_item_are_counted_themselves(
    pagination: dict[str, Any], reader: str
) -> None:
    case = PagedApi(serve_boards(10, 1), pagination, records="boards[].items")
    outcome = READERS[reader](case)
    assert (outcome.message, len(outcome.rows)) == ("", 25)


@pytest.mark.parametrize("reader", READERS)
def test_lists_that_are_cut_themselves_end_with_a_page_without_records(reader: str) -> None:
    outcome = READERS[reader](PagedApi(serve_boards(10, 3), PAGES, records="boards[].items"))
    assert (outcome.message, len(outcome.rows)) == ("", 75)


@pytest.mark.parametrize("reader", READERS)
def test_an_offset_in_several_lists_at_once_is_refused(reader: str) -> None:
    outcome = READERS[reader](PagedApi(serve_boards(10, 3), OFFSETS, records="boards[].items"))
    assert outcome.failure == "configuration"
    assert "3 lists" in outcome.message


RECORD = {"id": 7}
CUT_LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "GraphQL": (
        {"items": {"edges": [{"node": RECORD}], "pageInfo": {"hasNextPage": True}}},
        "items.edges[].node",
    ),
    "Salesforce": (
        {"Contacts": {"totalSize": 300, "done": False, "records": [RECORD]}},
        "Contacts.records",
    ),
    "Facebook": (
        {"comments": {"data": [RECORD], "paging": {"next": "https://x.example/next"}}},
        "comments.data",
    ),
    "Stripe": ({"lines": {"data": [RECORD], "has_more": True}}, "lines.data"),
    "Jira": (
        {"worklog": {"startAt": 0, "maxResults": 1, "total": 35, "worklogs": [RECORD]}},
        "worklog.worklogs",
    ),
}
WHOLE_LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "GraphQL": (
        {"items": {"edges": [{"node": RECORD}], "pageInfo": {"hasNextPage": False}}},
        "items.edges[].node",
    ),
    "Salesforce": (
        {"Contacts": {"totalSize": 1, "done": True, "records": [RECORD]}},
        "Contacts.records",
    ),
    "a price": ({"cart": {"total": 59, "total_items": 3, "lines": [RECORD]}}, "cart.lines"),
    "a resource": ({"next": "x", "done": False, "lines": [RECORD]}, "lines"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("item", "path"), CUT_LISTS.values(), ids=CUT_LISTS.keys())
def test_a_list_inside_of_an_item_that_is_not_complete_fails_the_run(
    item: dict[str, Any], path: str, reader: str
) -> None:
    case = PagedApi(lambda _: Reply([item]), {"type": "none"}, records=f"[].{path}")
    outcome = READERS[reader](case)
    assert outcome.failure == "configuration"
    assert "is not complete" in outcome.message
    assert outcome.is_retryable is False


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("item", "path"), WHOLE_LISTS.values(), ids=WHOLE_LISTS.keys())
def test_a_whole_list_inside_of_an_item_arrives(
    item: dict[str, Any], path: str, reader: str
) -> None:
    case = PagedApi(lambda _: Reply([item]), {"type": "none"}, records=f"[].{path}")
    outcome = READERS[reader](case)
    assert (outcome.message, outcome.rows) == ("", [RECORD])


@pytest.mark.parametrize("reader", READERS)
def test_cut_lists_inside_of_items_are_accepted_without_hints(reader: str) -> None:
    item, path = CUT_LISTS["GraphQL"]
    style = {"type": "none", "hints": False}
    outcome = READERS[reader](PagedApi(lambda _: Reply([item]), style, records=f"[].{path}"))
    assert (outcome.message, outcome.rows) == ("", [RECORD])
