"""The demo's weather API: pages, `since`, cursors, and its key."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.demo.api import BadRequest, DemoServer, make_cursor, parse_cursor
from local.demo.nycflights import read_rows

KEY = "the key"


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    server = DemoServer(0, KEY)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/weather"
    server.shutdown()
    server.server_close()
    thread.join()


def get_page(address: str, key: str = KEY, **query: str | int) -> tuple[int, dict[str, Any]]:
    response = httpx.get(address, params=query, headers={b"X-API-Key": key.encode()})
    return response.status_code, response.json()


def read_all_pages(address: str, **query: str | int) -> list[dict[str, Any]]:
    rows_read: list[dict[str, Any]] = []
    while True:
        response = httpx.get(address, params=query, headers={"X-API-Key": KEY})
        status, page = response.status_code, response.json()
        assert status == 200
        rows_read += page["data"]
        if page["next_cursor"] is None:
            return rows_read
        query["cursor"] = page["next_cursor"]


def test_all_pages_together_have_every_observation_once(api: str) -> None:
    observations = read_all_pages(api, limit=4000)
    assert sorted(map(repr, observations)) == sorted(map(repr, read_rows("weather")))


@pytest.mark.parametrize(
    "since",
    ["2013-06-01", "2013-06-01T05:00:00Z", "2013-06-01T05:00:00.000+00:00", "2014-02-01"],
)
def test_since_returns_observations_of_that_hour_and_later(api: str, since: str) -> None:
    observations = read_all_pages(api, limit=5000, since=since)
    first_hour = since[:19]
    expected = [row for row in read_rows("weather") if str(row["time_hour"]) >= first_hour]
    assert len(observations) == len(expected)


def test_a_cursor_has_priority_over_since(api: str) -> None:
    _, first = get_page(api, since="2013-06-01", limit=10)
    _, second = get_page(api, since="2013-06-01", limit=10, cursor=first["next_cursor"])
    assert first["data"][-1] != second["data"][0]
    assert second["data"][0]["time_hour"] >= first["data"][-1]["time_hour"]


@pytest.mark.parametrize("key", ["", "wrong", "ü"])
def test_a_request_without_the_key_gets_401(api: str, key: str) -> None:
    assert get_page(api, key=key)[0] == 401


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "5001"}, {"limit": "ten"}, {"since": "June"}, {"cursor": "!"}],
)
def test_an_invalid_parameter_gets_a_400_that_names_it(api: str, query: dict[str, str]) -> None:
    status, body = get_page(api, **query)
    assert status == 400
    assert next(iter(query)) in body["error"]


def test_an_unknown_path_gets_404(api: str) -> None:
    assert get_page(api.replace("weather", "planes"))[0] == 404


@given(st.integers(min_value=0, max_value=999_999_999))
def test_a_cursor_is_parsed_to_its_index(index: int) -> None:
    assert parse_cursor(make_cursor(index)) == index


@given(st.text(max_size=40))
def test_a_random_text_is_refused_or_is_a_valid_cursor(text: str) -> None:
    try:
        index = parse_cursor(text)
    except BadRequest:
        return
    assert parse_cursor(make_cursor(index)) == index
