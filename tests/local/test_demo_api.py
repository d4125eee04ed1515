"""The demo's weather API: every observation once, from a given time, for clients with the key."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.demo.api import BadRequest, DemoServer, cursor_for, place_of
from local.demo.nycflights import rows

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


def get(address: str, key: str = KEY, **query: str | int) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(address, params=query, headers={b"X-API-Key": key.encode()})
    return answer.status_code, answer.json()


def collect(address: str, **query: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = httpx.get(address, params=query, headers={"X-API-Key": KEY})
        status, page = answer.status_code, answer.json()
        assert status == 200
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def test_following_the_cursor_meets_every_observation_once(api: str) -> None:
    served = collect(api, limit=4000)
    assert sorted(map(repr, served)) == sorted(map(repr, rows("weather")))


@pytest.mark.parametrize(
    "since",
    ["2013-06-01", "2013-06-01T05:00:00Z", "2013-06-01T05:00:00.000+00:00", "2014-02-01"],
)
def test_since_gives_that_hour_and_all_later_ones(api: str, since: str) -> None:
    served = collect(api, limit=5000, since=since)
    first = since[:19].ljust(19, " ").replace(" ", "")
    expected = [row for row in rows("weather") if str(row["time_hour"]) >= first]
    assert len(served) == len(expected)


def test_a_cursor_continues_whatever_the_value_of_since(api: str) -> None:
    _, first = get(api, since="2013-06-01", limit=10)
    _, second = get(api, since="2013-06-01", limit=10, cursor=first["next_cursor"])
    assert first["data"][-1] != second["data"][0]
    assert second["data"][0]["time_hour"] >= first["data"][-1]["time_hour"]


@pytest.mark.parametrize("key", ["", "wrong", "ü"])
def test_nobody_is_served_without_the_key(api: str, key: str) -> None:
    assert get(api, key=key)[0] == 401


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "5001"}, {"limit": "ten"}, {"since": "June"}, {"cursor": "!"}],
)
def test_what_cannot_be_understood_is_a_400_that_names_it(api: str, query: dict[str, str]) -> None:
    status, body = get(api, **query)
    assert status == 400
    assert next(iter(query)) in body["error"]


def test_another_path_is_a_404(api: str) -> None:
    assert get(api.replace("weather", "planes"))[0] == 404


@given(st.integers(min_value=0, max_value=999_999_999))
def test_a_cursor_stands_for_its_place(place: int) -> None:
    assert place_of(cursor_for(place)) == place


@given(st.text(max_size=40))
def test_any_other_word_is_refused_or_one_of_ours(word: str) -> None:
    try:
        place = place_of(word)
    except BadRequest:
        return
    assert place_of(cursor_for(place)) == place
