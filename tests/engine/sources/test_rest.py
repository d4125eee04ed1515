"""The REST source with real local servers: pagination, cursors, authentication, and all kinds of API failures."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.egress.exceptions import EgressError
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    FailureClass,
    RateLimitError,
    SourceError,
)
from apps.engine.sources.rest.cursors import CursorField, Watermark, rank
from tests.engine.sources.api import Api, Asked, Reply, Script, always, serving
from tests.engine.sources.reading import build, read

ITEMS = [{"id": n, "name": f"item {n}"} for n in range(1, 24)]
SECRET = "s3cret-canary"


def source(api: Api, stream: dict[str, Any] | None = None, **config: Any) -> Any:
    """One stream `items` at `/items`, with short timeouts."""
    spec = {key: config.pop(key) for key in ("sync_mode", "cursor_field") if key in config}
    described = {"name": "items", "path": "/items", "records_path": "data", **(stream or {})}
    base = {"base_url": api.url, "streams": [described], "retries": 0, "timeout": 5}
    return build("rest", {**base, **config}, "items", **spec)


def by_page(asked: Asked) -> Reply:
    number, size = int(asked.params["page"]), int(asked.params.get("per_page", 5))
    return Reply({"data": ITEMS[(number - 1) * size : number * size]})


def by_capped_page(asked: Asked) -> Reply:
    """A server that returns at most four records, whatever is requested."""
    number = int(asked.params["page"])
    return Reply({"data": ITEMS[(number - 1) * 4 : number * 4]})


def by_offset(asked: Asked) -> Reply:
    start = int(asked.params["offset"])
    return Reply({"data": ITEMS[start : start + min(int(asked.params["limit"]), 4)]})


def by_cursor(asked: Asked) -> Reply:
    start = int(asked.params.get("after", 0))
    following = str(start + 6) if start + 6 < len(ITEMS) else None
    return Reply({"data": ITEMS[start : start + 6], "meta": {"next": following}})


def by_body_link(asked: Asked) -> Reply:
    start = int(asked.params.get("start", 0))
    link = f"/items?start={start + 7}" if start + 7 < len(ITEMS) else None
    return Reply({"data": ITEMS[start : start + 7], "next": link})


def by_header_link(asked: Asked) -> Reply:
    start = int(asked.params.get("start", 0))
    host = asked.headers["host"]
    link = f'<http://{host}/items?start={start + 7}>; rel="next", <http://{host}/>; rel="first"'
    headers = {"Link": link} if start + 7 < len(ITEMS) else {}
    return Reply({"data": ITEMS[start : start + 7]}, headers=headers)


STYLES: dict[str, tuple[Script, dict[str, Any]]] = {
    "none": (always(Reply({"data": ITEMS})), {"type": "none"}),
    "page": (by_page, {"type": "page", "size_param": "per_page", "page_size": 5}),
    "capped page": (by_capped_page, {"type": "page", "size_param": "per_page", "page_size": 10}),
    "offset": (by_offset, {"type": "offset", "page_size": 10}),
    "cursor": (by_cursor, {"type": "cursor", "cursor_path": "meta.next", "cursor_param": "after"}),
    "link in body": (by_body_link, {"type": "next_link", "link_path": "next"}),
    "link in header": (by_header_link, {"type": "next_link"}),
}


@pytest.mark.parametrize("style", STYLES)
def test_every_pagination_reads_everything_once_and_again_from_any_token(style: str) -> None:
    script, pagination = STYLES[style]
    with serving(script) as api:
        whole = read(source(api, pagination=pagination))
        assert whole.rows == ITEMS
        assert style == "none" or len(whole.pages) > 2
        for position, token in enumerate(whole.tokens):
            rest = read(source(api, pagination=pagination), token=token)
            assert rest.rows == [row for page in whole.pages[position:] for row in page]


def test_a_flag_for_further_pages_saves_the_last_request() -> None:
    def script(asked: Asked) -> Reply:
        reply = by_page(asked)
        reply.body["more"] = int(asked.params["page"]) < 5
        return reply

    with serving(script) as api:
        pagination = {"type": "page", "size_param": "per_page", "page_size": 5, "more_path": "more"}
        assert read(source(api, pagination=pagination)).rows == ITEMS
        assert len(api.asked) == 5


def test_parameters_and_headers_go_with_each_request() -> None:
    with serving(by_page) as api:
        read(
            source(
                api,
                {"params": {"deep": True}},
                params={"unit": "metric"},
                headers={"X-Trace": "yes"},
                pagination={"type": "page"},
            )
        )
    assert {asked.params["unit"] for asked in api.asked} == {"metric"}
    assert {asked.params["deep"] for asked in api.asked} == {"true"}
    assert {asked.headers["x-trace"] for asked in api.asked} == {"yes"}


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        ({"type": "bearer", "token": SECRET}, ("authorization", f"Bearer {SECRET}")),
        ({"type": "api_key", "name": "X-Key", "key": SECRET}, ("x-key", SECRET)),
        (
            {"type": "basic", "username": "ü", "password": SECRET},
            ("authorization", "Basic " + base64.b64encode(f"ü:{SECRET}".encode()).decode()),
        ),
    ],
)
def test_a_login_in_a_header_goes_with_each_request(
    auth: dict[str, Any], sent: tuple[str, str]
) -> None:
    with serving(by_page) as api:
        read(source(api, auth=auth, pagination={"type": "page"}))
    assert {asked.headers[sent[0]] for asked in api.asked} == {sent[1]}


def test_a_key_in_the_query_goes_with_each_request_but_into_no_token() -> None:
    def script(asked: Asked) -> Reply:
        assert asked.params["key"] == SECRET
        start = int(asked.params.get("start", 0))
        link = f"/items?start={start + 7}&key={SECRET}" if start + 7 < len(ITEMS) else None
        return Reply({"data": ITEMS[start : start + 7], "next": link})

    auth = {"type": "api_key", "name": "key", "key": SECRET, "location": "query"}
    with serving(script) as api:
        found = read(source(api, auth=auth, pagination={"type": "next_link", "link_path": "next"}))
    assert found.rows == ITEMS
    assert SECRET not in json.dumps(found.tokens)


def test_a_next_link_to_another_host_is_not_followed() -> None:
    with serving(always(Reply({"data": ITEMS}))) as other:

        def script(asked: Asked) -> Reply:
            return Reply({"data": ITEMS, "next": f"{other.url}/steal"})

        with serving(script) as api:
            reader = source(api, pagination={"type": "next_link", "link_path": "next"})
            with pytest.raises(SourceError, match="another host"):
                reader.get()
        assert other.asked == []


@pytest.mark.parametrize("link", ["http://[", "http://x:99999999/", "//h:abc/"])
def test_an_invalid_next_link_is_a_source_failure_that_shows_it(link: str) -> None:
    with serving(always(Reply({"data": ITEMS, "next": link}))) as api:
        reader = source(api, pagination={"type": "next_link", "link_path": "next"})
        with pytest.raises(SourceError, match="not a URL") as raised:
            reader.get()
    assert raised.value.evidence == (link,)


def test_a_server_that_ignores_the_page_number_is_found_out() -> None:
    with serving(always(Reply({"data": ITEMS}))) as api:
        with pytest.raises(SourceError, match="same page again") as caught:
            read(source(api, pagination={"type": "page"}))
        assert len(api.asked) == 2
    assert not caught.value.retryable


def test_more_pages_than_allowed_fail_instead_of_being_left_out() -> None:
    with serving(by_page) as api, pytest.raises(SourceError, match="more than 2 pages"):
        read(source(api, pagination={"type": "page"}, max_pages=2))


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
    with serving(always(Reply(document))) as api:
        assert read(source(api, {"records_path": path})).rows == records


def test_a_response_without_records_is_shown_in_the_failure() -> None:
    with serving(always(Reply({"error": "no such report"}))) as api:
        error = failure(source(api), SourceError)
    assert "'data'" in error.message
    assert any("no such report" in line for line in error.evidence)
    assert not error.retryable


def test_integers_of_any_size_stay_exact() -> None:
    huge = 12345678901234567890123456789
    with serving(always(Reply({"data": [{"n": huge}]}))) as api:
        assert read(source(api)).rows == [{"n": huge}]


def failure(reader: Any, kind: type[EngineError]) -> EngineError:
    with pytest.raises(kind) as caught:
        reader.get()
    assert type(caught.value).failure_class is kind.failure_class
    return caught.value


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_an_authentication_failure(status: int) -> None:
    with serving(always(Reply(b'{"message": "bad token"}', status))) as api:
        error = failure(source(api, auth={"type": "bearer", "token": SECRET}), AuthenticationError)
        assert len(api.asked) == 1
    assert error.evidence[0] == f"GET {api.url}/items"
    assert error.evidence[1].startswith(str(status))
    assert "bad token" in error.evidence[2]
    assert SECRET not in str(error.evidence)
    assert not error.retryable


def test_a_429_is_a_rate_limit_with_its_wait() -> None:
    with serving(always(Reply(b"slow down", 429, {"Retry-After": "77"}))) as api:
        error = failure(source(api, retries=5), RateLimitError)
        assert len(api.asked) == 1, "a longer wait than allowed is left to the next attempt"
    assert error.retry_after == 77
    assert error.evidence[1].startswith("429")


def test_a_short_wait_is_waited_for_and_the_request_repeated() -> None:
    answers = [Reply(b"", 429, {"Retry-After": "0"}), Reply(b"", 503), Reply({"data": ITEMS})]

    def script(_: Asked) -> Reply:
        return answers.pop(0)

    with serving(script) as api:
        assert read(source(api, retries=2, longest_wait=0.01)).rows == ITEMS
        assert len(api.asked) == 3


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_error_of_the_server_is_a_source_failure(status: int) -> None:
    with serving(always(Reply(b"<h1>Oops</h1>", status))) as api:
        error = failure(source(api, retries=1, longest_wait=0.01), SourceError)
        assert len(api.asked) == 2
    assert error.failure_class is FailureClass.SOURCE
    assert error.retryable
    assert "Oops" in error.evidence[2]


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_a_request_that_is_not_accepted_is_a_configuration_failure(status: int) -> None:
    with serving(always(Reply(b"no", status))) as api:
        error = failure(source(api, retries=3), ConfigurationError)
        assert len(api.asked) == 1
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
def test_what_is_not_json_is_a_source_failure_that_shows_it(reply: Reply, message: str) -> None:
    with serving(always(reply)) as api:
        error = failure(source(api, retries=1, longest_wait=0.01), SourceError)
        assert len(api.asked) == 2, "it may be whole the next time"
    assert message in error.message
    assert error.evidence[:2] == (f"GET {api.url}/items", "200 OK")
    assert all(len(line) <= 300 for line in error.evidence)


def test_a_body_that_breaks_off_is_a_source_failure() -> None:
    with serving(always(Reply(b'{"data": [', declared=5000))) as api:
        error = failure(source(api), SourceError)
    assert "was incomplete" in error.message
    assert error.retryable


def test_an_unresponsive_server_is_a_source_failure() -> None:
    with serving(always(Reply(silent=True))) as api:
        error = failure(source(api, timeout=0.2), SourceError)
        assert api.asked
    assert "in time" in error.message


def test_a_server_that_is_not_there_is_a_source_failure() -> None:
    with serving(always(Reply())) as api:
        pass
    error = failure(source(api), SourceError)
    assert "could not be reached" in error.message
    assert "refused" in str(error.evidence).lower()


def test_an_answer_larger_than_allowed_is_cut_off() -> None:
    with serving(always(Reply(b"[" + b" " * (2 << 20) + b"]"))) as api:
        error = failure(source(api, {"records_path": ""}, max_response_mb=1), SourceError)
    assert "larger than 1,048,576 bytes" in error.message
    assert not error.retryable


def test_a_private_address_is_refused_without_asking() -> None:
    with serving(always(Reply({"data": []}))) as api:
        config = {"base_url": api.url, "streams": [{"name": "items"}]}
        with pytest.raises(EgressError, match="is refused"):
            build("rest", config, "items", private=False).get()
        assert api.asked == []


def test_a_redirect_to_a_metadata_address_is_refused() -> None:
    location = {"Location": "http://169.254.169.254/latest/meta-data"}
    with serving(always(Reply(b"", 302, location))) as api:
        with pytest.raises(EgressError, match="metadata"):
            source(api).get()
        assert api.asked


def changes_api(rows: list[dict[str, Any]], *, inclusive: bool = True) -> Script:
    """Pages of three; `since` includes its own value, or is ignored."""

    def script(asked: Asked) -> Reply:
        since = asked.params.get("since")
        known = [row for row in rows if not inclusive or since is None or row["at"] >= since]
        start = int(asked.params.get("after", 0))
        following = start + 3 if start + 3 < len(known) else None
        return Reply({"data": known[start : start + 3], "next": following})

    return script


CURSOR = {"type": "cursor", "cursor_path": "next", "cursor_param": "after"}
CHANGES = {"cursor_field": "at", "cursor_param": "since", "primary_key": ["id"]}


def changes(api: Api) -> Any:
    return source(api, CHANGES, pagination=CURSOR, sync_mode="incremental")


@pytest.mark.parametrize("inclusive", [True, False])
def test_incremental_runs_read_each_change_once(inclusive: bool) -> None:
    rows = [{"id": n, "at": f"2024-01-0{1 + n // 3}T00:00:00Z"} for n in range(8)]
    with serving(changes_api(rows, inclusive=inclusive)) as api:
        first = read(changes(api))
        assert first.column("id") == list(range(8))
        assert "since" not in api.asked[0].params
        rows.append({"id": 100, "at": rows[-1]["at"]})
        rows.append({"id": 101, "at": "2024-01-09T00:00:00Z"})
        asked_before = len(api.asked)
        second = read(changes(api), first.state)
        assert api.asked[asked_before].params["since"] == "2024-01-03T00:00:00Z"
        assert second.column("id") == [100, 101]
        third = read(changes(api), second.state)
    assert third.rows == []
    assert third.state == second.state


def test_incremental_pages_can_be_read_again_from_any_token() -> None:
    rows = [{"id": n, "at": f"2024-01-{10 + n * 7 % 13}"} for n in range(13)]
    with serving(changes_api(rows)) as api:
        whole = read(changes(api))
        for position, token in enumerate(whole.tokens):
            rest = read(changes(api), token=token)
            assert rest.rows == [row for page in whole.pages[position:] for row in page]
            assert rest.state == whole.state
    assert whole.state is not None
    assert whole.state["value"] == "2024-01-22"


def test_records_without_a_cursor_value_are_not_dropped() -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "at": "2024-01-01"}, {"id": 2, "at": None}]
    with serving(changes_api(rows, inclusive=False)) as api:
        state = read(changes(api)).state
        assert read(changes(api), state).column("id") == [2]


def test_another_cursor_field_asks_for_a_reset() -> None:
    with serving(changes_api([{"id": 1, "at": "2024-01-01"}])) as api:
        state = {"cursor_field": "other", "value": 1, "ties": []}
        with pytest.raises(ConfigurationError, match="reset the stream"):
            read(changes(api), state)


CURSOR_VALUES = st.one_of(
    st.integers(-(10**9), 10**9),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.text(max_size=5),
)


@given(st.lists(st.lists(CURSOR_VALUES, max_size=8), max_size=5))
@settings(deadline=None)
def test_the_watermark_lets_each_record_through_once(rounds: list[list[Any]]) -> None:
    """An API that returns everything each time: with cursor values that never decrease, each record arrives
    exactly once.
    """
    cursor = CursorField("at", ("id",))
    mark = Watermark()
    held: list[dict[str, Any]] = []
    arrived: list[int] = []
    for batch in rounds:
        floor = [rank(row["at"]) for row in held]
        for value in sorted(batch, key=rank):
            if not floor or rank(value) >= max(floor):
                held.append({"id": len(held), "at": value})
        new = cursor.new(held, mark)
        mark = Watermark.of(json.loads(json.dumps(cursor.advance(mark, new).to_json())))
        arrived += [record["id"] for record in new]
    assert sorted(arrived) == list(range(len(held)))


def test_discovery_reads_a_page_of_each_stream() -> None:
    with serving(always(Reply({"data": ITEMS}))) as api:
        broken = {"name": "broken", "path": "/x", "records_path": "nothing"}
        good = {"name": "items", "path": "/items", "records_path": "data", "cursor_field": "id"}
        config = {"base_url": api.url, "streams": [good, broken], "retries": 0}
        items, other = build("rest", config).discover()
    assert [(field.name, field.type) for field in items.fields] == [
        ("id", "integer"),
        ("name", "string"),
    ]
    assert items.sync_modes == ("full_refresh", "incremental")
    assert (other.name, other.fields) == ("broken", ())


@pytest.mark.parametrize(
    ("script", "ok"),
    [
        (always(Reply({"data": ITEMS})), [True, True, True, True]),
        (always(Reply(b"", 401)), [True, True, False]),
        (always(Reply(b"oops", 500)), [True, True, True, False]),
    ],
)
def test_the_check_stops_at_the_step_that_failed(script: Script, ok: list[bool]) -> None:
    with serving(script) as api:
        steps = list(source(api).check())
    names = ["resolve", "connect", "authenticate", "read"]
    assert [(step.step, step.ok) for step in steps] == list(zip(names, ok, strict=False))


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
def test_settings_that_cannot_work_are_refused_without_repeating_them(
    change: dict[str, Any],
) -> None:
    config = {"base_url": "https://api.test", "streams": [{"name": "items"}], **change}
    with pytest.raises(ConfigurationError) as caught:
        build("rest", config, "items")
    assert caught.value.evidence
    assert SECRET not in str(caught.value.evidence)
    assert "pw" not in str(caught.value.evidence)
