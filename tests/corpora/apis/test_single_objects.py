"""Responses with one object where a list of records is expected: a record, an error, or a list that is written as an object."""

from __future__ import annotations

from typing import Any

import pytest

from tests.corpora.paged_apis import PagedApi, make_items, read_with_rest
from tests.engine.sources.api import ReceivedRequest, Reply

NO_PAGES = {"type": "none"}
ERRORS: list[dict[str, Any]] = [
    {"error": "x"},
    {"errors": [{"message": "x"}]},
    {"errorMessages": ["x"], "errors": {}},
    {"error": {"code": 429, "message": "x"}},
    {"message": "API rate limit exceeded", "documentation_url": "https://x.example"},
    {"code": 429, "msg": "too many requests"},
    {"errcode": 45009, "errmsg": "x"},
    {"detail": "Request was throttled."},
    {"success": False, "reason": "quota"},
    {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 5"},
    {"status": "error"},
    {"fault": {"faultstring": "x"}},
    {"Message": "Rate exceeded"},
    {"type": "https://x.example/limit", "title": "Too many", "status": 429, "detail": "slow down"},
    {"statusCode": 503, "message": "Service Unavailable", "requestId": "f5"},
]
RECORDS: list[dict[str, Any]] = [
    {"id": 5, "status": "failed", "error": "boom"},
    {"status": "ok", "message": "All systems operational"},
    {"status": {"indicator": "none"}, "message": "All systems operational", "success": True},
    {"login": "ada", "message": "Hello, how are you?"},
    {"name": "ada", "error": None},
    {"uptime": 5, "status": "error"},
]


@pytest.mark.parametrize("records", ["", "data"])
@pytest.mark.parametrize("document", ERRORS, ids=str)
def test_an_error_is_no_record(document: dict[str, Any], records: str) -> None:
    reply = Reply({records: document} if records else document)
    outcome = read_with_rest(PagedApi(lambda _: reply, NO_PAGES, records=records))
    assert (outcome.failure, outcome.is_retryable, outcome.rows) == ("source", True, [])
    assert "looks like an error" in outcome.message


@pytest.mark.parametrize("records", ["", "data"])
@pytest.mark.parametrize("document", RECORDS, ids=str)
def test_a_single_object_is_a_record(document: dict[str, Any], records: str) -> None:
    reply = Reply({records: document} if records else document)
    outcome = read_with_rest(PagedApi(lambda _: reply, NO_PAGES, records=records))
    assert (outcome.message, outcome.rows) == ("", [document])


def test_an_error_is_a_record_without_hints() -> None:
    style = {"type": "none", "hints": False}
    outcome = read_with_rest(PagedApi(lambda _: Reply({"error": "x"}), style, records=""))
    assert (outcome.message, outcome.rows) == ("", [{"error": "x"}])


@pytest.mark.parametrize("numbers", [[0, 2], [7]])
def test_a_list_that_is_written_as_an_object_with_numbers_asks_for_another_path(
    numbers: list[int],
) -> None:
    """As PHP writes lists from which items were removed."""
    items = make_items(10)
    reply = Reply({"data": {str(number): items[number] for number in numbers}})
    outcome = read_with_rest(PagedApi(lambda _: reply, NO_PAGES))
    assert (outcome.failure, outcome.is_retryable) == ("source", False)
    assert "`data.*`" in outcome.message
    outcome = read_with_rest(PagedApi(lambda _: reply, NO_PAGES, records="data.*"))
    assert outcome.rows == [items[number] for number in numbers]


@pytest.mark.parametrize(
    ("style", "total"),
    [
        ({"type": "offset", "page_size": 500, "total_path": "total"}, 1000),
        ({"type": "page", "total_path": "total"}, 100),
    ],
)
def test_a_total_that_the_api_caps_does_not_end_the_stream(
    style: dict[str, Any], total: int
) -> None:
    size = style.get("page_size", 10)
    items = make_items(size * 5 if style["type"] == "offset" else 1057)

    def respond(request: ReceivedRequest) -> Reply:
        start = int(request.params.get("offset", 0))
        if "page" in request.params:
            start = int(request.params["page"]) * 10 - 10
        return Reply({"data": items[start : start + size], "total": total})

    outcome = read_with_rest(PagedApi(respond, style, requests=200))
    assert outcome.failure == "source"
    assert "the total ends the stream" in outcome.message
