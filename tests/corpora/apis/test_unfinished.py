"""Results that are not there yet, or not complete: the run fails instead of taking them for all records."""

from __future__ import annotations

from typing import Any

import pytest

from tests.corpora.paged_apis import READERS, PagedApi, json_reply, make_items
from tests.engine.sources.api import ReceivedRequest, Reply

ITEMS = make_items(57)
NO_PAGES = {"type": "none"}

NOT_READY: list[dict[str, Any]] = [
    {"kind": "bigquery#queryResponse", "jobReference": {"jobId": "job_1"}, "jobComplete": False},
    {"execution_id": "01HM", "is_execution_finished": False, "state": "QUERY_STATE_EXECUTING"},
    {"statement_id": "01e", "status": {"state": "PENDING"}},
    {"QueryExecution": {"Status": {"State": "RUNNING"}}},
    {"async_status": "Job Running", "async_percent_completion": 40},
    {"status": "IN_PROGRESS", "data": []},
    {"status": "queued"},
    {"status": "processing", "data": None},
    {"state": "GATHERING RESULTS", "data": []},
    {"job": {"status": "submitted"}, "data": []},
    {"ready": False, "data": []},
    {"isComplete": False, "data": []},
    {"loading": True, "data": []},
    {"retryAfter": 5, "data": []},
    {"message": "The report is being generated. Please try again later.", "data": []},
]
# There are no records, and nothing says that they come later.
EMPTY: list[dict[str, Any]] = [
    {"status": "OK", "data": []},
    {"status": "success", "complete": True, "data": []},
    {"filters": {"status": "pending"}, "data": []},
    {"params": {"state": "running"}, "data": []},
    {"message": "No records found", "data": []},
    {"state": "done", "loading": False, "data": []},
]
NOT_COMPLETE: list[dict[str, Any]] = [
    {"meta": {"status": "timeout"}},
    {"status": "PARTIAL_SUCCESS"},
    {"status": "partial"},
    {"incomplete_results": "true"},
    {"terminated_early": True},
    {"partialResponse": True},
    {"partialFailureError": {"code": 3}},
    {"allDataReturned": False},
    {"jobComplete": False},
    {"resultsTruncated": True},
    {"rows_truncated": True},
    {"limitReached": True},
    {"max_rows_reached": True},
    {"unreachable": ["locations/us-west1"]},
    {"UnprocessedKeys": {"orders": {"Keys": [1]}}},
    {"warnings": ["the result is truncated to 10 rows"]},
    {"_clusters": {"total": 2, "successful": 1, "skipped": 1}},
]
COMPLETE: list[dict[str, Any]] = [
    {"id": 5, "status": "partial"},  # of the resource to which the list belongs
    {"order": {"fulfillment_status": "partial", "status": "partial"}},
    {"state": "RUNNING"},
    {"complete": False},
    {"unreachable": []},
    {"warnings": ["missing_charset"]},
    {"rate_limit_exceeded": False, "textTruncated": True},
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("document", NOT_READY, ids=str)
def test_a_result_that_is_not_ready_fails_and_is_requested_again(
    document: dict[str, Any], reader: str
) -> None:
    outcome = READERS[reader](PagedApi(lambda _: Reply(document), NO_PAGES))
    assert (outcome.failure, outcome.is_retryable) == ("source", True)
    assert "not ready" in outcome.message


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("document", EMPTY, ids=str)
def test_an_empty_result_arrives(document: dict[str, Any], reader: str) -> None:
    outcome = READERS[reader](PagedApi(lambda _: Reply(document), NO_PAGES))
    assert (outcome.message, outcome.rows) == ("", [])


@pytest.mark.parametrize("reader", READERS)
def test_a_state_of_all_pages_is_not_that_of_the_result(reader: str) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        start = int(request.params["page"]) * 10 - 10
        return json_reply(state="running", data=ITEMS[max(start, 0) : max(start, 0) + 10])

    outcome = READERS[reader](PagedApi(respond, {"type": "page"}))
    assert (outcome.message, outcome.rows) == ("", ITEMS)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fields", NOT_COMPLETE, ids=str)
def test_a_result_that_is_not_complete_fails(fields: dict[str, Any], reader: str) -> None:
    outcome = READERS[reader](PagedApi(lambda _: json_reply(data=ITEMS[:10], **fields), NO_PAGES))
    assert outcome.failure in ("source", "configuration")
    assert "`hints`" in outcome.message


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fields", COMPLETE, ids=str)
def test_a_complete_result_arrives(fields: dict[str, Any], reader: str) -> None:
    outcome = READERS[reader](PagedApi(lambda _: json_reply(data=ITEMS[:10], **fields), NO_PAGES))
    assert (outcome.message, outcome.rows) == ("", ITEMS[:10])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content_range", ["0-9/57", "items 0-9/57", "items=0-9/57"])
def test_a_range_of_a_list_is_no_complete_result(content_range: str, reader: str) -> None:
    """PostgREST writes no unit."""
    reply = Reply(ITEMS[:10], headers={"Content-Range": content_range})
    outcome = READERS[reader](PagedApi(lambda _: reply, NO_PAGES, records=""))
    assert outcome.failure == "configuration"
    assert "Content-Range" in outcome.message


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 57])
def test_a_link_after_the_last_record_is_the_end_if_all_of_the_total_were_read(
    count: int, reader: str
) -> None:
    """As CKAN, whose pages always have a link."""

    def respond(request: ReceivedRequest) -> Reply:
        start = int(request.params.get("offset", 0))
        rows = ITEMS[:count][start : start + 10]
        links = {"next": f"/items?offset={start + 10}"}
        return json_reply(success=True, result={"total": count, "data": rows, "_links": links})

    style = {"type": "next_link", "link_path": "result._links.next"}
    outcome = READERS[reader](PagedApi(respond, style, records="result.data"))
    assert (outcome.message, outcome.rows) == ("", ITEMS[:count])
