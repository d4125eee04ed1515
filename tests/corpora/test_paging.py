"""Pages of APIs: all records arrive, or the run fails. Each server is read by the REST source and by a custom source."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from apps.connectors import schemas
from apps.engine import catalogue
from apps.engine.failures import ConfigurationError
from apps.engine.library import paths, trails
from tests.corpora.paged_apis import READERS, PagedApi, json_reply, make_items, slice_of
from tests.engine.sources.api import ReceivedRequest, Reply, RequestHandler
from tests.engine.sources.reading import make_source

Trail, digest = trails.Trail, trails.digest
MISSING, find = paths.MISSING, paths.find

ITEMS = make_items(57)
CURSOR = {"type": "cursor", "cursor_path": "next", "cursor_param": "after"}
LINK = {"type": "next_link", "link_path": "next"}


def by_cursor(request: ReceivedRequest) -> tuple[list[Any], int | None]:
    """Return ten records, and the cursor of the next page."""
    start = int(request.params.get("after", 0))
    return slice_of(ITEMS, start, 10), start + 10 if start + 10 < len(ITEMS) else None


def with_cursor(
    name: str = "next", last: Any = None, *, leave_out: bool = False, **fields: Any
) -> RequestHandler:
    """Return a server whose last page has the value `last` as cursor, or no cursor."""

    def respond(request: ReceivedRequest) -> Reply:
        rows, cursor = by_cursor(request)
        if cursor is None and leave_out:
            return json_reply(data=rows, **fields)
        return json_reply(data=rows, **{name: last if cursor is None else str(cursor)}, **fields)

    return respond


def with_last_record(request: ReceivedRequest) -> Reply:
    """Page as Stripe does: the cursor is the id of the last record."""
    after = int(request.params.get("starting_after", 0))
    rows = slice_of(ITEMS, after, 10)
    return json_reply(object="list", data=rows, has_more=after + 10 < len(ITEMS))


def with_last_record_only(request: ReceivedRequest) -> Reply:
    reply = with_last_record(request)
    del reply.body["has_more"]
    return reply


def odata(request: ReceivedRequest) -> Reply:
    start = int(request.params.get("$skip", 0))
    link = f"http://{request.headers['host']}/items?$skip={start + 10}"
    following = {"@odata.nextLink": link} if start + 10 < len(ITEMS) else {}
    return json_reply(value=slice_of(ITEMS, start, 10), **following)


def capped(request: ReceivedRequest) -> Reply:
    """Return at most 5 records, whatever size is asked for."""
    if "offset" in request.params:
        return json_reply(data=slice_of(ITEMS, int(request.params["offset"]), 5))
    return json_reply(data=slice_of(ITEMS, (int(request.params["page"]) - 1) * 5, 5))


def always(**fields: Any) -> RequestHandler:
    return lambda _: json_reply(**fields)


def endless_fresh_cursors(request: ReceivedRequest) -> Reply:
    return json_reply(data=[], next=str(int(request.params.get("after", 0)) + 1))


def ignores_fresh_cursors() -> RequestHandler:
    """Return the first page for ever, each time with another cursor."""
    answers = iter(range(1, 10_000))
    return lambda _: json_reply(data=ITEMS[:1], next=f"c{next(answers)}")


def stuck_at_the_end(request: ReceivedRequest) -> Reply:
    """Return the last cursor for ever, with no records."""
    rows, cursor = by_cursor(request)
    return json_reply(data=rows, next=cursor or 60)


def loop_of(length: int, *, before: int = 0) -> RequestHandler:
    """Return one record a page, by links in a loop of this length after some pages."""

    def respond(request: ReceivedRequest) -> Reply:
        page = int(request.params.get("after", 0))
        following = page + 1 if page + 1 < before + length else before
        return json_reply(data=[{"n": page}], next=f"/items?after={following}")

    return respond


def fragments() -> RequestHandler:
    """Return the same page for ever, each time with another fragment in the link to it."""
    numbers = iter(range(10_000))
    return lambda _: json_reply(data=[{"state": "up"}], next=f"/items?a=1#{next(numbers)}")


def equal_pages(pages: int) -> RequestHandler:
    """Return one record a page. All records are equal, and the pages end."""

    def respond(request: ReceivedRequest) -> Reply:
        place = (
            request.params.get("offset")
            or request.params.get("after")
            or request.params.get("page")
        )
        if place is not None and not place.isdecimal():
            return Reply({"error": "no such cursor"}, 400)
        number = int(place or 0) - (1 if "page" in request.params else 0)
        rows = [{"state": "up"}] if number < pages else []
        following = number + 1 if number + 1 < pages else None
        return json_reply(data=rows, next=following, link=following and f"/items?after={following}")

    return respond


def wraps_around(request: ReceivedRequest) -> Reply:
    """Return page 1 again after the last page, for ever."""
    number = int(request.params["page"]) % 6
    return json_reply(data=slice_of(ITEMS, number * 10, 10))


def clamps(request: ReceivedRequest) -> Reply:
    """Return the last page for every page number that is too large."""
    number = min(int(request.params["page"]), 6)
    return json_reply(data=slice_of(ITEMS, (number - 1) * 10, 10), pages=6, more=number < 6)


def numbered(request: ReceivedRequest, **fields: Any) -> Reply:
    number = int(request.params["page"])
    return json_reply(data=slice_of(ITEMS, (number - 1) * 10, 10), **fields)


def numbered_by_offset(request: ReceivedRequest, **fields: Any) -> Reply:
    return json_reply(data=slice_of(ITEMS, int(request.params["offset"]), 10), **fields)


def refuses_after_the_end(status: int) -> RequestHandler:
    def respond(request: ReceivedRequest) -> Reply:
        reply = numbered(request)
        return reply if reply.body["data"] else Reply(b"no such page", status)

    return respond


def then_no_content(request: ReceivedRequest) -> Reply:
    reply = numbered(request)
    return reply if reply.body["data"] else Reply(b"", 204)


def then_no_list(request: ReceivedRequest) -> Reply:
    reply = numbered(request)
    return reply if reply.body["data"] else json_reply(kind="list")


def with_link_header(request: ReceivedRequest, last_page: int | None = 6) -> Reply:
    """Page by the Link header. Without a last page, the pages go round."""
    number = int(request.params.get("page", 1))
    following = number % 6 + 1
    link = f'</items?page={following}>; rel="last Next", </items>; rel="first"'
    headers = {"Link": link} if number != last_page else {}
    return Reply({"data": slice_of(ITEMS, (number - 1) * 10, 10)}, headers=headers)


def shifting(change: int) -> RequestHandler:
    """Add or remove records at the beginning of the list, once, after the second page."""

    def respond(request: ReceivedRequest) -> Reply:
        number = int(request.params.get("page", 0))
        start = (number - 1) * 10 if number else int(request.params["offset"])
        if start < 20:
            return json_reply(data=slice_of(ITEMS, start, 10), total=len(ITEMS))
        changed = [*make_items(1000)[-change:], *ITEMS] if change > 0 else ITEMS[-change:]
        return json_reply(data=slice_of(changed, start, 10), total=len(changed))

    return respond


VISIBLE = [item for item in ITEMS if item["id"] % 7]


def hides_records(request: ReceivedRequest) -> Reply:
    """Take ten records from the offset on, and leave out those that the user may not see."""
    rows = slice_of(ITEMS, int(request.params["offset"]), 10)
    return json_reply(data=[row for row in rows if row in VISIBLE])


def limited_depth(request: ReceivedRequest) -> Reply:
    """Return no records beyond the third page, although the total is larger."""
    reply = numbered(request, total=57)
    return reply if int(request.params["page"]) <= 3 else json_reply(data=[], total=57)


def repeats_a_page(request: ReceivedRequest) -> Reply:
    """Take page 0 for page 1."""
    number = max(int(request.params["page"]), 1)
    return json_reply(data=slice_of(ITEMS, (number - 1) * 10, 10))


PAGES = {"type": "page"}
OFFSETS = {"type": "offset", "page_size": 10}

LAST_CURSORS: list[Any] = [
    *(None, False, 0, -1, 0.0, "", "0", "-1", "false", "null", "None", " ", [], {})
]
CASES: dict[str, PagedApi] = {
    # A link or cursor that ends the pages
    "OData, path in quotes": PagedApi(
        odata, {**LINK, "link_path": "'@odata.nextLink'"}, ITEMS, records="value"
    ),
    "OData, path without quotes": PagedApi(
        odata, {**LINK, "link_path": "@odata.nextLink"}, ITEMS, records="value"
    ),
    "OData, mistyped path": PagedApi(
        odata, {**LINK, "link_path": "odata.nextLink"}, says="@odata.nextLink", records="value"
    ),
    "Stripe": PagedApi(
        with_last_record,
        {
            "type": "cursor",
            "cursor_path": "data.-1.id",
            "cursor_param": "starting_after",
            "more_path": "has_more",
        },
        ITEMS,
    ),
    "Stripe, index in brackets, flag not named": PagedApi(
        with_last_record,
        {"type": "cursor", "cursor_path": "data[-1].id", "cursor_param": "starting_after"},
        ITEMS,
    ),
    "the last record's id, and no flag": PagedApi(
        with_last_record_only,
        {"type": "cursor", "cursor_path": "data.-1.id", "cursor_param": "starting_after"},
        ITEMS,
    ),
    "mistyped field of the last record": PagedApi(
        with_last_record,
        {"type": "cursor", "cursor_path": "data.-1.idd", "cursor_param": "starting_after"},
        says="data.-1.idd",
    ),
    "mistyped path, has_more": PagedApi(
        with_cursor("cursor", has_more=True), CURSOR, says="more records follow"
    ),
    "mistyped path, has_more named": PagedApi(
        with_cursor("cursor", has_more=True), {**CURSOR, "more_path": "has_more"}, says="'next'"
    ),
    "mistyped path of has_more": PagedApi(
        with_cursor(has_more=True), {**CURSOR, "more_path": "hasmore"}, says="'hasmore'"
    ),
    "mistyped path, the response has another cursor": PagedApi(
        with_cursor("nextPageToken"), CURSOR, says="nextPageToken"
    ),
    "mistyped path, the response has a cursor whose name has dots": PagedApi(
        always(data=ITEMS[:10], **{"page.info": {"@next.page": 2}}), CURSOR, says="@next.page"
    ),
    "mistyped path, the response has a total": PagedApi(
        with_cursor("weiter", total=57), CURSOR, says="weiter"
    ),
    "mistyped path, only a smaller page shows it": PagedApi(
        with_cursor("weiter"), {**CURSOR, "size_param": "limit", "page_size": 10}, says="'next'"
    ),
    "the right header is missing, but the body has a link": PagedApi(
        with_cursor(), {"type": "next_link"}, says="`next`"
    ),
    "no pagination, but more is said": PagedApi(
        with_cursor(has_more=True), {"type": "none"}, says="no pagination is set"
    ),
    "a cursor left out on the last page": PagedApi(with_cursor(leave_out=True), CURSOR, ITEMS),
    **{
        f"the last cursor is {value!r}": PagedApi(with_cursor(last=value), CURSOR, ITEMS)
        for value in LAST_CURSORS
    },
    **{
        f"the last link is {value!r}": PagedApi(
            lambda request, value=value: Reply(  # type: ignore[misc]
                {
                    "data": by_cursor(request)[0],
                    "next": f"/items?after={cursor}"
                    if (cursor := by_cursor(request)[1])
                    else value,
                }
            ),
            LINK,
            ITEMS,
        )
        for value in (None, False, 0, "", "null")
    },
    "a cursor that is an object": PagedApi(with_cursor(last={"a": 1}), CURSOR, says="an object"),
    "a cursor that is true": PagedApi(always(data=ITEMS[:1], next=True), CURSOR, says="true"),
    "a link that is a number": PagedApi(always(data=ITEMS[:1], next=2), LINK, says="a number"),
    # Short pages
    "capped, by offset": PagedApi(capped, {"type": "offset", "page_size": 100}, ITEMS),
    "capped, by page": PagedApi(capped, {"type": "page", "size_param": "per_page"}, ITEMS),
    # Walks that would not end
    "the last cursor for ever": PagedApi(stuck_at_the_end, CURSOR, ITEMS, requests=8),
    "the same cursor with records": PagedApi(
        always(data=ITEMS[:1], next="a"), CURSOR, says="the same page again", requests=4
    ),
    "empty pages with new cursors for ever": PagedApi(
        endless_fresh_cursors, CURSOR, says="empty pages", requests=12
    ),
    "the cursor is ignored": PagedApi(
        ignores_fresh_cursors(), CURSOR, says="the same page again", requests=4
    ),
    "links A, B, A": PagedApi(loop_of(2), LINK, says="read before", requests=5),
    "a link to the same page": PagedApi(loop_of(1), LINK, says="read before", requests=4),
    "a link to the same page with other fragments": PagedApi(
        fragments(), LINK, says="read before", requests=4
    ),
    "a loop of 7 links after 5": PagedApi(
        loop_of(7, before=5), LINK, says="read before", requests=15
    ),
    "a loop of 40 links": PagedApi(loop_of(40), LINK, says="read before", requests=125),
    "the page number is ignored": PagedApi(
        always(data=ITEMS), PAGES, says="the same page again", requests=4
    ),
    "the page number is ignored, one record": PagedApi(
        always(data=ITEMS[:1]), PAGES, says="the same page again", requests=4
    ),
    "the offset is ignored, one record without a key": PagedApi(
        always(data=[{"state": "up"}]), OFFSETS, says="the same page again", requests=3
    ),
    "page 0 is page 1": PagedApi(
        repeats_a_page, {**PAGES, "first_page": 0}, says="the same page again", requests=3
    ),
    "the first page has another number, and the API a total": PagedApi(
        lambda request: numbered(
            ReceivedRequest("", "", {"page": str(int(request.params["page"]) + 1)}, {}, b"", 0),
            total=57,
        ),
        PAGES,
        says="57",
    ),
    "pages begin again after the last": PagedApi(
        wraps_around, {**PAGES, "first_page": 0}, says="again", requests=12
    ),
    "the last page for ever": PagedApi(clamps, PAGES, says="same page again", requests=9),
    "the last page for ever, with a flag": PagedApi(clamps, {**PAGES, "more_path": "more"}, ITEMS),
    "the last page for ever, with a total": PagedApi(
        clamps, {**PAGES, "total_path": "pages"}, ITEMS
    ),
    "a flag for ever, without records": PagedApi(
        always(data=[], more=True), {**PAGES, "more_path": "more"}, says="empty pages", requests=12
    ),
    # Walks that end, although pages look alike
    "equal records by offset": PagedApi(equal_pages(30), OFFSETS, [{"state": "up"}] * 30),
    "equal records by page": PagedApi(equal_pages(30), PAGES, [{"state": "up"}] * 30),
    "equal records by cursor": PagedApi(equal_pages(30), CURSOR, [{"state": "up"}] * 30),
    "equal records by link": PagedApi(
        equal_pages(30), {**LINK, "link_path": "link"}, [{"state": "up"}] * 30
    ),
    # Ways to say that nothing follows
    "an empty page": PagedApi(numbered, PAGES, ITEMS),
    "204 after the last page": PagedApi(then_no_content, PAGES, ITEMS),
    "204 at once": PagedApi(lambda _: Reply(b"", 204), CURSOR, []),
    "no list after the last page": PagedApi(then_no_list, PAGES, ITEMS),
    "no list at once": PagedApi(always(kind="list"), CURSOR, []),
    "null instead of the list": PagedApi(always(data=None), PAGES, []),
    "404 after the last page, as the settings say": PagedApi(
        refuses_after_the_end(404), PAGES, ITEMS, end_statuses=(404,)
    ),
    "400 after the last page, as the settings say": PagedApi(
        refuses_after_the_end(400), PAGES, ITEMS, end_statuses=(400, 404)
    ),
    "404 on the first page": PagedApi(
        lambda _: Reply(b"", 404), PAGES, says="404", end_statuses=(404,)
    ),
    "has_more on an empty page": PagedApi(
        lambda request: numbered(request, meta={"has_more": int(request.params["page"]) < 9}),
        PAGES,
        ITEMS,
    ),
    "has_more on an empty page for ever": PagedApi(
        lambda request: numbered(request, meta={"has_more": True}), PAGES, says="empty pages"
    ),
    "has_more at an offset without records": PagedApi(
        always(data=[], has_more=True), OFFSETS, says="more records follow"
    ),
    "no records, no pagination, has_more": PagedApi(
        always(data=[], has_more=True), {"type": "none"}, says="no pagination is set"
    ),
    "a total that is a lower bound": PagedApi(
        lambda request: numbered_by_offset(request, total={"value": 20, "relation": "gte"}),
        {**OFFSETS, "total_path": "total.value"},
        ITEMS,
    ),
    "the total of each page": PagedApi(
        lambda request: numbered(request, total=len(numbered(request).body["data"])), PAGES, ITEMS
    ),
    "a link with two relations": PagedApi(with_link_header, {"type": "next_link"}, ITEMS),
    "a loop of links in the header": PagedApi(
        lambda request: with_link_header(request, last_page=None),
        {"type": "next_link"},
        says="again",
    ),
    # Records that are added or removed while the pages are read
    "records added before the offset": PagedApi(
        shifting(+3), {**OFFSETS, "hints": False}, ITEMS, requests=10
    ),
    "records added before the page": PagedApi(shifting(+3), PAGES, ITEMS, requests=10),
    "hidden records that the offset counts": PagedApi(hides_records, OFFSETS, VISIBLE),
    "records removed before the offset": PagedApi(
        shifting(-3), OFFSETS, says="fell from 57 to 54", is_retryable=True
    ),
    # Responses that are no pages
    "null instead of the object": PagedApi(lambda _: Reply(b"null"), CURSOR, []),
    "an empty list instead of the object": PagedApi(lambda _: Reply([]), CURSOR, []),
    "null and an error": PagedApi(
        always(data=None, error={"code": 7, "message": "no"}),
        PAGES,
        says="error: no",
        is_retryable=True,
    ),
    "records and an error": PagedApi(
        always(data=ITEMS, errors=["incomplete"]), PAGES, says="incomplete", is_retryable=True
    ),
    "an envelope that reports success": PagedApi(
        always(data=ITEMS, error={"code": 0, "message": ""}, success=True, message="OK"),
        {"type": "none"},
        ITEMS,
    ),
    "an envelope of nothing": PagedApi(always(code=0, message="success"), CURSOR, []),
    "null at the path, and another cursor": PagedApi(
        always(data=ITEMS[:10], cursor=None, next_cursor="abc"),
        {**CURSOR, "cursor_path": "cursor"},
        says="next_cursor",
    ),
    "a mistyped place of the records": PagedApi(
        always(items=ITEMS), PAGES, says="no records at 'data'"
    ),
    "an error with status 200": PagedApi(always(error="no"), PAGES, says="no records at 'data'"),
    "an error with status 200 on a later page": PagedApi(
        lambda request: (
            numbered(request) if request.params["page"] < "3" else json_reply(error="no")
        ),
        PAGES,
        says="no records at 'data'",
    ),
    "fewer records than the API reports": PagedApi(limited_depth, PAGES, says="57"),
    "a total of something else": PagedApi(
        always(data=ITEMS, total=9000), {"type": "none", "hints": False}, ITEMS
    ),
}


@pytest.mark.sample(3)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", CASES)
def test_all_records_of_the_pages_arrive_or_the_run_fails(name: str, reader: str) -> None:
    case = CASES[name]
    outcome = READERS[reader](case)
    if case.rows is None:
        assert outcome.failure in ("source", "configuration"), outcome.rows
        assert case.says in f"{outcome.message}\n{outcome.evidence}"
        assert outcome.is_retryable == case.is_retryable
    else:
        assert not outcome.failure, f"{outcome.message}\n{outcome.evidence}"
        assert outcome.rows == case.rows
    assert len(outcome.requests) <= case.requests


@pytest.mark.sample(3)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "name", ["OData, path in quotes", "Stripe", "an empty page", "equal records by cursor"]
)
def test_a_read_can_resume_at_every_token(name: str, reader: str) -> None:
    whole = READERS[reader](replace(CASES[name], resumes=True))
    assert len(whole.resumed) == len(whole.tokens) > 2
    for rows in whole.resumed:
        assert rows == whole.rows[len(whole.rows) - len(rows) :]
    lengths = [len(rows) for rows in whole.resumed]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == len(whole.rows)


@pytest.mark.parametrize(("before", "length"), [(0, 1), (3, 2), (0, 16), (5, 17), (100, 90)])
def test_a_trail_finds_every_loop_in_constant_memory(before: int, length: int) -> None:
    trail, sizes = Trail(), set()
    for step in range(10_000):
        place = step if step < before else before + (step - before) % length
        trail = Trail.from_json(json.loads(json.dumps(trail.to_json())))
        sizes.add(len(json.dumps(trail.to_json())))
        if trail.add(digest(place)):
            break
    assert before + length <= step <= 3 * (before + length) + 1
    assert max(sizes) < 600


def test_a_trail_finds_no_loop_where_there_is_none() -> None:
    trail = Trail()
    assert not any(trail.add(digest(step)) for step in range(5_000))


DOCUMENT = {
    "data": [{"id": 1}, {"id": 2, "n": {"0": "zero"}}],
    "meta": {"next": "x", "a.b": 1, "none": None},
    "@odata.nextLink": "url",
    "empty": [],
}
PATHS: dict[str, Any] = {
    "": DOCUMENT,
    "$": DOCUMENT,
    "meta.next": "x",
    "$.meta.next": "x",
    "data.0.id": 1,
    "data.-1.id": 2,
    "data[-1].id": 2,
    "data[1]['n'][\"0\"]": "zero",
    "data.1.n.0": "zero",
    "meta.'a.b'": 1,
    'meta."a.b"': 1,
    "meta.a.b": 1,
    "'@odata.nextLink'": "url",
    "@odata.nextLink": "url",
    "meta.none": None,
    "meta.none.x": MISSING,
    "data.2.id": MISSING,
    "data.-3.id": MISSING,
    "empty.-1": MISSING,
    "meta.nope": MISSING,
    "data.id": MISSING,
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_leads_to_a_value_or_nowhere(path: str) -> None:
    assert find(DOCUMENT, path) == PATHS[path] or find(DOCUMENT, path) is PATHS[path]


@pytest.mark.parametrize("path", [*PATHS, "edges[].node", "users.*", "a[*].b"])
def test_the_form_accepts_every_path(path: str) -> None:
    assert re.search(paths.PATTERN, path)


@pytest.mark.parametrize("path", ["a..b", ".a", "a.", "a['b", "a[b]", "a'b'", "[]x"])
def test_an_invalid_path_is_refused_at_its_field(path: str) -> None:
    config = {
        "base_url": "https://api.test",
        "streams": [{"name": "items"}],
        "pagination": {"type": "cursor", "cursor_path": path},
    }
    with pytest.raises(ConfigurationError) as caught:
        make_source("rest", config, "items")
    assert any("cursor_path" in line for line in caught.value.evidence), caught.value.evidence
    kind = catalogue.source("rest")
    assert kind is not None
    [(field, message, code)] = schemas.errors(kind.config_schema, config)
    assert (field, code) == ("pagination.cursor_path", "pattern")
    assert message.startswith("Must be names joined by dots")
