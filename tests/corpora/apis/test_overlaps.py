"""Pages that begin with records of the page before, because a cursor or link includes its record, or a setting counts something else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.corpora.apis.public_apis import Asked
from tests.corpora.paged_apis import READERS, PagedApi, json_reply, make_items
from tests.engine.sources.api import ReceivedRequest, Reply, RequestHandler

ITEMS = make_items(57)
COUNTS = [1, 2, 9, 10, 11, 19, 57]
LAST_ID = {"type": "cursor", "cursor_path": "data.-1.id", "cursor_param": "from"}


def from_record(count: int, *, flag: str = "", links: bool = False) -> RequestHandler:
    """Answer with ten records, from the named one on (included). `flag` tells that the page is the last one."""
    rows = ITEMS[:count]

    def respond(request: ReceivedRequest) -> Reply:
        asked = Asked(rows, request)
        start = max(asked.number("from", 1) - 1, 0)
        page, more = asked.page_at(start)
        fields: dict[str, Any] = {flag: more if flag == "has_more" else not more} if flag else {}
        if links:
            fields["next_page"] = asked.link(f"from={page[-1]['id']}") if page else None
        return json_reply(data=page, **fields)

    return respond


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("count", COUNTS)
def test_a_record_that_ends_a_page_and_begins_the_next_one_arrives_once(
    count: int, reader: str
) -> None:
    style = LAST_ID | {"more_path": "has_more"}
    outcome = READERS[reader](PagedApi(from_record(count, flag="has_more"), style, resumes=True))
    assert (outcome.message, outcome.rows) == ("", ITEMS[:count])
    for resumed in outcome.resumed:
        assert resumed == ITEMS[count - len(resumed) : count]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("count", COUNTS)
def test_a_link_back_to_the_last_records_is_the_end_if_a_flag_says_so(
    count: int, reader: str
) -> None:
    """As the incremental exports of Zendesk by time."""
    style = {"type": "next_link", "link_path": "next_page"}
    respond = from_record(count, flag="end_of_stream", links=True)
    outcome = READERS[reader](PagedApi(respond, style))
    assert (outcome.message, outcome.rows) == ("", ITEMS[:count])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("flag", ["", "has_more"])
def test_an_api_that_does_not_look_at_the_cursor_fails(flag: str, reader: str) -> None:
    fields = {flag: True} if flag else {}
    case = PagedApi(lambda _: json_reply(data=ITEMS[:10], **fields), LAST_ID)
    outcome = READERS[reader](case)
    assert (outcome.failure, outcome.is_retryable) == ("source", False)
    assert outcome.rows in ([], ITEMS[:10])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("size", [40, 50, 100])
def test_a_page_parameter_that_counts_records_fails(size: int, reader: str) -> None:
    rows = make_items(257)

    def respond(request: ReceivedRequest) -> Reply:
        start = max(int(request.params["start"]) - 1, 0)
        return json_reply(data=rows[start : start + size])

    outcome = READERS[reader](PagedApi(respond, {"type": "page", "page_param": "start"}))
    assert outcome.failure == "configuration"
    assert "counts records" in outcome.message


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("count", [57, 557])
def test_an_offset_that_counts_pages_fails(count: int, reader: str) -> None:
    rows = make_items(count)

    def respond(request: ReceivedRequest) -> Reply:
        start = int(request.params["offset"]) * 10
        return json_reply(data=rows[start : start + 10])

    outcome = READERS[reader](PagedApi(respond, {"type": "offset", "page_size": 10}))
    assert outcome.failure == "configuration"
    assert "counts pages" in outcome.message


@pytest.mark.parametrize("reader", READERS)
def test_a_first_offset_that_leaves_out_the_first_record_fails(reader: str) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        start = int(request.params["offset"])
        return json_reply(data=ITEMS[start : start + 10])

    style = {"type": "offset", "page_size": 10, "first_offset": 1}
    outcome = READERS[reader](PagedApi(respond, style))
    assert outcome.failure == "configuration"
    assert "`first_offset`" in outcome.message


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 2, 9, 10, 57])
def test_offsets_from_one_arrive_also_if_zero_is_asked(count: int, first: int, reader: str) -> None:
    """As SCIM, which takes 0 for 1."""

    def respond(request: ReceivedRequest) -> Reply:
        start = max(int(request.params["startIndex"]), 1) - 1
        return json_reply(data=ITEMS[:count][start : start + 10])

    style = {"type": "offset", "offset_param": "startIndex", "page_size": 10, "first_offset": first}
    outcome = READERS[reader](PagedApi(respond, style))
    assert (outcome.message, outcome.rows) == ("", ITEMS[:count])
