"""The REST source with real local servers: pagination, cursors, authentication and failures of APIs."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from apps.egress.exceptions import EgressError
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    FailureClass,
    RateLimitError,
    SourceError,
)
from apps.engine.sources.http.responses import PermanentSourceError
from apps.engine.sources.rest.urls import allowed_url
from tests.engine.sources.api import (
    Api,
    ReceivedRequest,
    Reply,
    RequestHandler,
    always_reply,
    serve_api,
)
from tests.engine.sources.reading import make_source, read_stream

ITEMS = [{"id": n, "name": f"item {n}"} for n in range(1, 24)]
SECRET = "s3cret-canary"


def make_rest_source(api: Api, stream: dict[str, Any] | None = None, **config: Any) -> Any:
    """Create a source with one stream `items` at `/items` and with short timeouts."""
    spec = {key: config.pop(key) for key in ("sync_mode", "cursor_field") if key in config}
    stream_config = {"name": "items", "path": "/items", "records_path": "data", **(stream or {})}
    base = {"base_url": api.url, "streams": [stream_config], "retries": 0, "timeout": 5}
    return make_source("rest", {**base, **config}, "items", **spec)


def reply_by_page(request: ReceivedRequest) -> Reply:
    number, size = int(request.params["page"]), int(request.params.get("per_page", 5))
    return Reply({"data": ITEMS[(number - 1) * size : number * size]})


def reply_by_capped_page(request: ReceivedRequest) -> Reply:
    """Return at most four records, for any requested page size."""
    number = int(request.params["page"])
    return Reply({"data": ITEMS[(number - 1) * 4 : number * 4]})


def reply_by_offset(request: ReceivedRequest) -> Reply:
    start = int(request.params["offset"])
    return Reply({"data": ITEMS[start : start + min(int(request.params["limit"]), 4)]})


def reply_by_cursor(request: ReceivedRequest) -> Reply:
    start = int(request.params.get("after", 0))
    next_cursor = str(start + 6) if start + 6 < len(ITEMS) else None
    return Reply({"data": ITEMS[start : start + 6], "meta": {"next": next_cursor}})


def reply_with_body_link(request: ReceivedRequest) -> Reply:
    start = int(request.params.get("start", 0))
    link = f"/items?start={start + 7}" if start + 7 < len(ITEMS) else None
    return Reply({"data": ITEMS[start : start + 7], "next": link})


def reply_with_header_link(request: ReceivedRequest) -> Reply:
    start = int(request.params.get("start", 0))
    host = request.headers["host"]
    link = f'<http://{host}/items?start={start + 7}>; rel="next", <http://{host}/>; rel="first"'
    headers = {"Link": link} if start + 7 < len(ITEMS) else {}
    return Reply({"data": ITEMS[start : start + 7]}, headers=headers)


PAGINATIONS: dict[str, tuple[RequestHandler, dict[str, Any]]] = {
    "none": (always_reply(Reply({"data": ITEMS})), {"type": "none"}),
    "page": (reply_by_page, {"type": "page", "size_param": "per_page", "page_size": 5}),
    "capped page": (
        reply_by_capped_page,
        {"type": "page", "size_param": "per_page", "page_size": 10},
    ),
    "offset": (reply_by_offset, {"type": "offset", "page_size": 10}),
    "cursor": (
        reply_by_cursor,
        {"type": "cursor", "cursor_path": "meta.next", "cursor_param": "after"},
    ),
    "link in body": (reply_with_body_link, {"type": "next_link", "link_path": "next"}),
    "link in header": (reply_with_header_link, {"type": "next_link"}),
}


@pytest.mark.parametrize("name", PAGINATIONS)
def test_every_pagination_reads_each_record_once_and_can_resume_at_any_token(name: str) -> None:
    respond, pagination = PAGINATIONS[name]
    with serve_api(respond) as api:
        full_read = read_stream(make_rest_source(api, pagination=pagination))
        assert full_read.rows == ITEMS
        assert name == "none" or len(full_read.pages) > 2
        for position, token in enumerate(full_read.tokens):
            resumed_read = read_stream(make_rest_source(api, pagination=pagination), token=token)
            assert resumed_read.rows == [row for page in full_read.pages[position:] for row in page]


def test_a_flag_for_more_pages_avoids_an_extra_last_request() -> None:
    def respond(request: ReceivedRequest) -> Reply:
        reply = reply_by_page(request)
        reply.body["more"] = int(request.params["page"]) < 5
        return reply

    with serve_api(respond) as api:
        pagination = {"type": "page", "size_param": "per_page", "page_size": 5, "more_path": "more"}
        assert read_stream(make_rest_source(api, pagination=pagination)).rows == ITEMS
        assert len(api.requests) == 5


def test_parameters_and_headers_are_sent_with_each_request() -> None:
    with serve_api(reply_by_page) as api:
        read_stream(
            make_rest_source(
                api,
                {"params": {"deep": True}},
                params={"unit": "metric"},
                headers={"X-Trace": "yes"},
                pagination={"type": "page"},
            )
        )
    assert {request.params["unit"] for request in api.requests} == {"metric"}
    assert {request.params["deep"] for request in api.requests} == {"true"}
    assert {request.headers["x-trace"] for request in api.requests} == {"yes"}


@pytest.mark.parametrize(
    ("auth", "expected_header"),
    [
        ({"type": "bearer", "token": SECRET}, ("authorization", f"Bearer {SECRET}")),
        ({"type": "api_key", "name": "X-Key", "key": SECRET}, ("x-key", SECRET)),
        (
            {"type": "basic", "username": "ü", "password": SECRET},
            ("authorization", "Basic " + base64.b64encode(f"ü:{SECRET}".encode()).decode()),
        ),
    ],
)
def test_credentials_in_a_header_are_sent_with_each_request(
    auth: dict[str, Any], expected_header: tuple[str, str]
) -> None:
    with serve_api(reply_by_page) as api:
        read_stream(make_rest_source(api, auth=auth, pagination={"type": "page"}))
    assert {request.headers[expected_header[0]] for request in api.requests} == {expected_header[1]}


def test_a_key_in_the_query_is_sent_with_each_request_and_not_stored_in_tokens() -> None:
    def respond(request: ReceivedRequest) -> Reply:
        assert request.params["key"] == SECRET
        start = int(request.params.get("start", 0))
        link = f"/items?start={start + 7}&key={SECRET}" if start + 7 < len(ITEMS) else None
        return Reply({"data": ITEMS[start : start + 7], "next": link})

    auth = {"type": "api_key", "name": "key", "key": SECRET, "location": "query"}
    with serve_api(respond) as api:
        result = read_stream(
            make_rest_source(api, auth=auth, pagination={"type": "next_link", "link_path": "next"})
        )
    assert result.rows == ITEMS
    assert SECRET not in json.dumps(result.tokens)


@pytest.mark.parametrize("has_link_secret", [True, False])
def test_a_secret_parameter_is_sent_with_each_request_and_not_stored_in_tokens(
    has_link_secret: bool,
) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        assert request.params["api_key"] == SECRET
        start = int(request.params.get("start", 0))
        link = f"/items?start={start + 7}{f'&api_key={SECRET}' * has_link_secret}"
        is_last = start + 7 >= len(ITEMS)
        return Reply({"data": ITEMS[start : start + 7], "next": None if is_last else link})

    pagination = {"type": "next_link", "link_path": "next"}
    with serve_api(respond) as api:
        result = read_stream(
            make_rest_source(api, params={"api_key": SECRET}, pagination=pagination)
        )
    assert result.rows == ITEMS
    assert SECRET not in json.dumps(result.tokens)


def test_a_link_keeps_its_own_value_of_a_secret_parameter() -> None:
    def respond(request: ReceivedRequest) -> Reply:
        start = int(request.params.get("start", 0))
        assert request.params["token"] == (f"of-{start}" if start else SECRET)
        link = f"/items?start={start + 7}&token=of-{start + 7}"
        is_last = start + 7 >= len(ITEMS)
        return Reply({"data": ITEMS[start : start + 7], "next": None if is_last else link})

    pagination = {"type": "next_link", "link_path": "next"}
    with serve_api(respond) as api:
        source = make_rest_source(api, params={"token": SECRET}, pagination=pagination)
        assert read_stream(source).rows == ITEMS


TOTALS: list[tuple[dict[str, Any], int | None]] = [
    ({"total": 23}, 23),
    ({"meta": {"total_count": "23"}}, 23),
    ({"count": 23}, 23),
    ({"count": 5}, None),  # the number of records in this page
    ({"total": 3}, None),  # fewer than this page has
    ({"total": True}, None),
    ({"pages": 5}, None),
]


@pytest.mark.parametrize(("fields", "total"), TOTALS)
def test_the_size_of_a_stream_is_the_total_that_the_first_page_reports(
    fields: dict[str, Any], total: int | None
) -> None:
    with serve_api(always_reply(Reply({"data": ITEMS[:5], **fields}))) as api:
        pagination = {"type": "page", "size_param": "per_page", "page_size": 5}
        size = make_rest_source(api, pagination=pagination).estimate_size()
        assert len(api.requests) <= 2  # page 0 is requested if there is no total
    assert (size.records, size.requests) == (total, 5 if total else None)


def test_a_stream_with_one_page_has_the_size_of_that_page() -> None:
    with serve_api(always_reply(Reply({"data": ITEMS}))) as api:
        size = make_rest_source(api, pagination={"type": "none"}).estimate_size()
    assert (size.records, size.requests) == (23, 1)


def test_a_next_link_to_another_host_is_not_followed() -> None:
    with serve_api(always_reply(Reply({"data": ITEMS}))) as other_api:

        def respond(request: ReceivedRequest) -> Reply:
            return Reply({"data": ITEMS, "next": f"{other_api.url}/steal"})

        with serve_api(respond) as api:
            source = make_rest_source(api, pagination={"type": "next_link", "link_path": "next"})
            with pytest.raises(SourceError, match="another host"):
                source.get()
        assert other_api.requests == []


@pytest.mark.parametrize("link", ["http://[", "http://x:99999999/", "//h:abc/"])
def test_an_invalid_next_link_is_a_source_failure_with_the_link_as_evidence(link: str) -> None:
    with serve_api(always_reply(Reply({"data": ITEMS, "next": link}))) as api:
        source = make_rest_source(api, pagination={"type": "next_link", "link_path": "next"})
        with pytest.raises(SourceError, match="not a URL") as raised:
            source.get()
    assert raised.value.evidence[0] == link


def test_a_server_that_ignores_the_page_number_is_a_source_failure() -> None:
    with serve_api(always_reply(Reply({"data": ITEMS}))) as api:
        with pytest.raises(SourceError, match="same page again") as caught:
            read_stream(make_rest_source(api, pagination={"type": "page"}))
        assert len(api.requests) == 3  # page 0 too
    assert not caught.value.retryable


def test_more_pages_than_allowed_are_a_source_failure() -> None:
    with serve_api(reply_by_page) as api, pytest.raises(SourceError, match="more than 2 pages"):
        read_stream(make_rest_source(api, pagination={"type": "page"}, max_pages=2))


@pytest.mark.parametrize(
    ("document", "path", "records"),
    [
        ([{"a": 1}], "", [{"a": 1}]),
        ({"a": 1}, "", [{"a": 1}]),
        ({"x": [{"y": [{"a": 1}]}]}, "x.0.y", [{"a": 1}]),
        ({"data": None}, "data", []),
        ({"data": {}}, "data", [{}]),
    ],
)
def test_records_are_found_at_the_path(document: Any, path: str, records: Any) -> None:
    with serve_api(always_reply(Reply(document))) as api:
        assert read_stream(make_rest_source(api, {"records_path": path})).rows == records


def test_a_response_without_records_is_shown_in_the_failure() -> None:
    with serve_api(always_reply(Reply({"error": "no such report"}))) as api:
        error = raised_error(make_rest_source(api), SourceError)
    assert "'data'" in error.message
    assert any("no such report" in line for line in error.evidence)
    assert not error.retryable


def test_integers_of_any_size_are_read_exactly() -> None:
    huge = 12345678901234567890123456789
    with serve_api(always_reply(Reply({"data": [{"n": huge}]}))) as api:
        assert read_stream(make_rest_source(api)).rows == [{"n": huge}]


def raised_error(source: Any, error_type: type[EngineError]) -> EngineError:
    with pytest.raises(error_type) as caught:
        source.get()
    assert type(caught.value).failure_class is error_type.failure_class
    return caught.value


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_an_authentication_failure(status: int) -> None:
    with serve_api(always_reply(Reply(b'{"message": "bad token"}', status))) as api:
        error = raised_error(
            make_rest_source(api, auth={"type": "bearer", "token": SECRET}), AuthenticationError
        )
        assert len(api.requests) == 1
    assert error.evidence[0] == f"GET {api.url}/items"
    assert error.evidence[1].startswith(str(status))
    assert "bad token" in error.evidence[2]
    assert SECRET not in str(error.evidence)
    assert not error.retryable


@pytest.mark.parametrize(
    ("headers", "is_limit"),
    [
        ({"X-RateLimit-Remaining": "0"}, True),
        ({"Retry-After": "60"}, True),
        ({"X-RateLimit-Remaining": "7"}, False),
        ({}, False),
    ],
)
def test_a_403_that_limits_the_rate_does_not_refuse_the_credentials(
    headers: dict[str, str], is_limit: bool
) -> None:
    failed = pytest.raises(EngineError)
    with serve_api(always_reply(Reply(b"no", 403, headers))) as api, failed as caught:
        read_stream(make_rest_source(api, longest_wait=0))
    expected = FailureClass.RATE_LIMIT if is_limit else FailureClass.AUTHENTICATION
    assert (caught.value.failure_class, caught.value.retryable) == (expected, is_limit)


def test_a_429_is_a_rate_limit_failure_with_its_retry_after() -> None:
    with serve_api(always_reply(Reply(b"slow down", 429, {"Retry-After": "77"}))) as api:
        error = raised_error(make_rest_source(api, retries=5), RateLimitError)
        assert len(api.requests) == 1, "the source waited longer than allowed"
    assert error.retry_after == 77
    assert error.evidence[1].startswith("429")


def test_a_request_is_retried_after_a_short_wait() -> None:
    replies = [Reply(b"", 429, {"Retry-After": "0"}), Reply(b"", 503), Reply({"data": ITEMS})]

    def respond(_: ReceivedRequest) -> Reply:
        return replies.pop(0)

    with serve_api(respond) as api:
        assert read_stream(make_rest_source(api, retries=2, longest_wait=0.01)).rows == ITEMS
        assert len(api.requests) == 3


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_error_of_the_server_is_a_source_failure(status: int) -> None:
    with serve_api(always_reply(Reply(b"<h1>Oops</h1>", status))) as api:
        error = raised_error(make_rest_source(api, retries=1, longest_wait=0.01), SourceError)
        assert len(api.requests) == 2
    assert error.failure_class is FailureClass.SOURCE
    assert error.retryable
    assert "Oops" in error.evidence[2]


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_a_rejected_request_is_a_configuration_failure(status: int) -> None:
    with serve_api(always_reply(Reply(b"no", status))) as api:
        error = raised_error(make_rest_source(api, retries=3), ConfigurationError)
        assert len(api.requests) == 1
    assert error.evidence[1].startswith(str(status))


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(b'{"data": [{"id": 1}, {"id"'), "complete JSON"),
        (Reply(b"<html>Maintenance</html>"), "complete JSON"),
        (Reply(b"\xff\xfe\x00"), "complete JSON"),
        (Reply(b""), "empty body"),
        (Reply(b"  \n "), "empty body"),
        (Reply(b"[" * 100_000), "complete JSON"),
    ],
)
def test_a_body_that_is_not_json_is_a_source_failure_with_the_body_as_evidence(
    reply: Reply, message: str
) -> None:
    with serve_api(always_reply(reply)) as api:
        error = raised_error(make_rest_source(api, retries=1, longest_wait=0.01), SourceError)
        assert len(api.requests) == 2, "the source did not retry"
    assert message in error.message
    assert error.evidence[:2] == (f"GET {api.url}/items", "200 OK")
    assert all(len(line) <= 300 for line in error.evidence)


def test_an_incomplete_body_is_a_source_failure() -> None:
    with serve_api(always_reply(Reply(b'{"data": [', declared_length=5000))) as api:
        error = raised_error(make_rest_source(api), SourceError)
    assert "was incomplete" in error.message
    assert error.retryable


def test_an_unresponsive_server_is_a_source_failure() -> None:
    with serve_api(always_reply(Reply(silent=True))) as api:
        error = raised_error(make_rest_source(api, timeout=0.2), SourceError)
        assert api.requests
    assert "in time" in error.message


def test_an_unreachable_server_is_a_source_failure() -> None:
    with serve_api(always_reply(Reply())) as api:
        pass
    error = raised_error(make_rest_source(api), SourceError)
    assert "could not be reached" in error.message
    assert "refused" in str(error.evidence).lower()


def test_a_response_larger_than_allowed_is_a_source_failure() -> None:
    with serve_api(always_reply(Reply(b"[" + b" " * (2 << 20) + b"]"))) as api:
        error = raised_error(
            make_rest_source(api, {"records_path": ""}, max_response_mb=1), SourceError
        )
    assert "larger than 1,048,576 bytes" in error.message
    assert not error.retryable


def test_a_private_address_is_refused_without_a_request() -> None:
    with serve_api(always_reply(Reply({"data": []}))) as api:
        config = {"base_url": api.url, "streams": [{"name": "items"}]}
        with pytest.raises(EgressError, match="is refused"):
            make_source("rest", config, "items", allow_private=False).get()
        assert api.requests == []


def test_a_redirect_to_a_metadata_address_is_refused() -> None:
    location = {"Location": "http://169.254.169.254/latest/meta-data"}
    with serve_api(always_reply(Reply(b"", 302, location))) as api:
        with pytest.raises(EgressError, match="metadata"):
            make_rest_source(api).get()
        assert api.requests


def reply_with_changes(rows: list[dict[str, Any]], *, filters: bool = True) -> RequestHandler:
    """Return pages of three changes. If `filters` is false, ignore the parameter `since`."""

    def respond(request: ReceivedRequest) -> Reply:
        since = request.params.get("since")
        matching_rows = [row for row in rows if not filters or since is None or row["at"] >= since]
        start = int(request.params.get("after", 0))
        next_cursor = start + 3 if start + 3 < len(matching_rows) else None
        return Reply({"data": matching_rows[start : start + 3], "next": next_cursor})

    return respond


CURSOR_PAGINATION = {"type": "cursor", "cursor_path": "next", "cursor_param": "after"}
CHANGES_STREAM = {"cursor_field": "at", "cursor_param": "since", "primary_key": ["id"]}


def make_changes_source(api: Api) -> Any:
    return make_rest_source(
        api, CHANGES_STREAM, pagination=CURSOR_PAGINATION, sync_mode="incremental"
    )


@pytest.mark.parametrize("filters", [True, False])
def test_incremental_runs_read_each_change_once(filters: bool) -> None:
    rows = [{"id": n, "at": f"2024-01-0{1 + n // 3}T00:00:00Z"} for n in range(8)]
    with serve_api(reply_with_changes(rows, filters=filters)) as api:
        first = read_stream(make_changes_source(api))
        assert first.column("id") == list(range(8))
        assert "since" not in api.requests[0].params
        rows.append({"id": 100, "at": rows[-1]["at"]})
        rows.append({"id": 101, "at": "2024-01-09T00:00:00Z"})
        requests_before = len(api.requests)
        second = read_stream(make_changes_source(api), first.state)
        assert api.requests[requests_before].params["since"] == "2024-01-03T00:00:00Z"
        assert second.column("id") == [100, 101]
        third = read_stream(make_changes_source(api), second.state)
    assert third.rows == []
    assert third.state == second.state


def test_an_incremental_read_can_resume_at_any_token() -> None:
    rows = [{"id": n, "at": f"2024-01-{10 + n * 7 % 13}"} for n in range(13)]
    with serve_api(reply_with_changes(rows)) as api:
        full_read = read_stream(make_changes_source(api))
        for position, token in enumerate(full_read.tokens):
            resumed_read = read_stream(make_changes_source(api), token=token)
            assert resumed_read.rows == [row for page in full_read.pages[position:] for row in page]
            assert resumed_read.state == full_read.state
    assert full_read.state is not None
    assert full_read.state["value"] == "2024-01-22"


def test_a_record_without_a_cursor_value_is_read_when_it_is_new_or_changed() -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "at": "2024-01-01"}, {"id": 2, "at": None, "n": 1}]
    with serve_api(reply_with_changes(rows, filters=False)) as api:
        first = read_stream(make_changes_source(api))
        assert first.column("id") == [1, 2]
        second = read_stream(make_changes_source(api), first.state)
        assert second.rows == []
        rows[1]["n"] = 2
        rows.append({"id": 3, "at": None})
        assert read_stream(make_changes_source(api), second.state).column("id") == [2, 3]


def test_a_changed_cursor_field_needs_a_reset() -> None:
    with serve_api(reply_with_changes([{"id": 1, "at": "2024-01-01"}])) as api:
        state = {"cursor_field": "other", "value": 1, "ties": []}
        with pytest.raises(ConfigurationError, match="reset the stream"):
            read_stream(make_changes_source(api), state)


def test_discovery_reads_a_page_of_each_stream() -> None:
    with serve_api(always_reply(Reply({"data": ITEMS}))) as api:
        broken = {"name": "broken", "path": "/x", "records_path": "nothing"}
        good = {"name": "items", "path": "/items", "records_path": "data", "cursor_field": "id"}
        config = {"base_url": api.url, "streams": [good, broken], "retries": 0}
        items, broken_stream = make_source("rest", config).discover()
    assert [(field.name, field.type) for field in items.fields] == [
        ("id", "integer"),
        ("name", "string"),
    ]
    assert items.sync_modes == ("full_refresh", "incremental")
    assert (broken_stream.name, broken_stream.fields) == ("broken", ())


@pytest.mark.parametrize(
    ("respond", "results"),
    [
        (always_reply(Reply({"data": ITEMS})), [True, True, True, True]),
        (always_reply(Reply(b"", 401)), [True, True, False]),
        (always_reply(Reply(b"oops", 500)), [True, True, True, False]),
    ],
)
def test_the_check_stops_at_the_step_that_failed(
    respond: RequestHandler, results: list[bool]
) -> None:
    with serve_api(respond) as api:
        steps = list(make_rest_source(api).check())
    names = ["resolve", "connect", "authenticate", "read"]
    assert [(step.step, step.ok) for step in steps] == list(zip(names, results, strict=False))


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "https://user:pw@api.test"},
        {"base_url": "https://api.test/?key=1"},
        {"base_url": "file:///etc/passwd"},
        {"headers": {"X": "a\r\nEvil: 1"}},
        {"headers": {"X Y": "1"}},
        {"auth": {"type": "bearer", "token": f"{SECRET}\n"}},
        {"streams": []},
        {"streams": [{"name": "a"}, {"name": "a"}]},
        {"unknown": 1},
    ],
)
def test_invalid_settings_are_refused_without_showing_secrets(
    change: dict[str, Any],
) -> None:
    config = {"base_url": "https://api.test", "streams": [{"name": "items"}], **change}
    with pytest.raises(ConfigurationError) as caught:
        make_source("rest", config, "items")
    assert caught.value.evidence
    assert SECRET not in str(caught.value.evidence)
    assert "pw" not in str(caught.value.evidence)


@pytest.mark.parametrize(
    "link", [r"https://evil.example\@files.example/2", "https://files.example@evil.example/2"]
)
def test_a_next_link_whose_host_is_read_in_two_ways_is_not_followed(link: str) -> None:
    with pytest.raises(PermanentSourceError, match="another host"):
        allowed_url(link, "https://api.example/1", ["files.example"])


@pytest.mark.parametrize(
    ("link", "is_allowed"),
    [
        ("https://files.example/2", True),
        ("https://files.example:443/2", True),
        ("https://files.example:8443/2", True),  # the port of the API
        ("https://files.example:9000/2", False),
        ("https://named.example:9000/2", True),
        ("https://named.example/2", False),
        ("http://files.example/2", False),
    ],
)
def test_a_host_is_allowed_at_the_usual_port_unless_a_port_is_named(
    link: str, is_allowed: bool
) -> None:
    hosts = ["files.example", "named.example:9000"]
    if is_allowed:
        assert allowed_url(link, "https://api.example:8443/1", hosts) == link
        return
    with pytest.raises(PermanentSourceError, match="another host"):
        allowed_url(link, "https://api.example:8443/1", hosts)


def test_a_redirect_that_would_lose_the_body_is_refused() -> None:
    def respond(request: ReceivedRequest) -> Reply:
        if request.path == "/items":
            return Reply(b"", 301, {"Location": "/items/"})
        return Reply({"data": ITEMS})

    with serve_api(respond) as api:
        stream = {"name": "items", "path": "/items", "records_path": "data"}
        assert read_stream(make_rest_source(api, streams=[stream])).rows == ITEMS
        by_post = {**stream, "method": "POST", "json": {"filter": 1}}
        with pytest.raises(ConfigurationError, match="would lose its body"):
            read_stream(make_rest_source(api, streams=[by_post]))
