"""Cursor fields of APIs: no value hides later records, and no record is read twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.engine.failures import ConfigurationError
from apps.engine.library import failures, watermarks
from tests.engine.sources.api import Api, ReceivedRequest, Reply, serve_api
from tests.engine.sources.reading import json_round_trip, make_source, read_stream

CursorField, Watermark = watermarks.CursorField, watermarks.Watermark
State = dict[str, Any] | None
Rows = list[dict[str, Any]]


def soon(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def read_with_rest(api: Api, state: State) -> tuple[Rows, State]:
    stream = {
        "name": "items",
        "records_path": "data",
        "primary_key": ["id"],
        "cursor_field": "at",
        "cursor_param": "since",
    }
    config = {"base_url": api.url, "streams": [stream], "retries": 0}
    result = read_stream(make_source("rest", config, "items", sync_mode="incremental"), state)
    return result.rows, result.state


def read_with_drover(api: Api, state: State) -> tuple[Rows, State]:
    from drover import RestSource, Stream
    from drover._source import SettingValues, StreamSettings

    stream = Stream(
        "items", path="/items", records="data", primary_key="id", cursor_field="at", since="since"
    )
    source_class = type("Items", (RestSource,), {"base_url": api.url, "streams": [stream]})
    source = source_class(SettingValues(None, {}), StreamSettings("items", "incremental"))
    page = (
        source.get()
        if state is None
        else source.get_records_after({"state": state, "last_run": soon(0)})
    )
    return list(page.rows), json_round_trip(page.next_state) if page.next_state else None


READERS: dict[str, Callable[[Api, State], tuple[Rows, State]]] = {
    "rest": read_with_rest,
    "custom source": read_with_drover,
}


def read_with_rest_without_key(api: Api, page_size: int, state: State) -> tuple[Rows, State]:
    stream = {
        "name": "items",
        "records_path": "data",
        "cursor_field": "at",
        "cursor_param": "since",
        "pagination": {"type": "offset", "page_size": page_size},
    }
    config = {"base_url": api.url, "streams": [stream], "retries": 0}
    result = read_stream(make_source("rest", config, "items", sync_mode="incremental"), state)
    return result.rows, result.state


def read_with_drover_without_key(api: Api, page_size: int, state: State) -> tuple[Rows, State]:
    from drover import Offset, RestSource, Stream
    from drover._source import SettingValues, StreamSettings

    stream = Stream("items", path="/items", records="data", cursor_field="at", since="since")
    fields = {"base_url": api.url, "streams": [stream], "paging": Offset(page_size)}
    source_class = type("Items", (RestSource,), fields)
    source = source_class(SettingValues(None, {}), StreamSettings("items", "incremental"))
    since = {"state": state, "last_run": soon(0)}
    rows: Rows = []
    token: State = None
    while True:
        page = source.get(token) if state is None else source.get_records_after(since, token)
        rows += page.rows
        token = json_round_trip(page.next_pagination) if page.next_pagination else None
        if token is None:
            return rows, json_round_trip(page.next_state)


KEYLESS_READERS: dict[str, Callable[[Api, int, State], tuple[Rows, State]]] = {
    "rest": read_with_rest_without_key,
    "custom source": read_with_drover_without_key,
}


def reply_with(rows: Rows, *, filters: bool) -> Callable[[ReceivedRequest], Reply]:
    """Return all records in one page; with `filters` those whose text sorts from `since` on."""

    def respond(request: ReceivedRequest) -> Reply:
        since = request.params.get("since")
        wanted = [row for row in rows if not filters or since is None or str(row["at"]) >= since]
        return Reply({"data": wanted})

    return respond


ODD_VALUES = [
    *("", " ", "N/A", "null", "-", "0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00:00Z"),
    *("infinity", "-infinity", "NaN", "9999-12-31", "9999-12-31T23:59:59Z", "2999-01-01", "TBD"),
    *("01/02/2024", "12/31/2030 10:00 PM", "31.12.2030", "Tue, 31 Dec 2030 10:00:00 GMT", "soon"),
    *(True, False, ["2024-01-01"], {"at": 1}, float("inf"), float("nan"), -1, 0, 10**12),
]


@pytest.mark.sample(3)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("filters", [False, True])
@pytest.mark.parametrize("odd", ODD_VALUES, ids=repr)
def test_a_value_that_is_no_time_hides_no_later_record(
    odd: Any, filters: bool, reader: str
) -> None:
    read = READERS[reader]
    rows = [{"id": 1, "at": odd}, {"id": 2, "at": "2024-03-01T00:00:00Z"}, {"id": 3, "at": odd}]
    with serve_api(reply_with(rows, filters=filters)) as api:
        first, state = read(api, None)
        assert [row["id"] for row in first] == [1, 2, 3]
        assert state is not None
        rows += [{"id": 4, "at": "2024-03-02T00:00:00Z"}, {"id": 5, "at": odd}]
        second, state = read(api, state)
        ids = [row["id"] for row in second]
        assert 4 in ids
        assert set(ids) <= {4, 5}
        rows.append({"id": 6, "at": "2024-03-02T00:00:00Z"})
        third, _ = read(api, state)
        assert [row["id"] for row in third] == [6]


@pytest.mark.parametrize("reader", READERS)
def test_real_times_after_placeholders_arrive(reader: str) -> None:
    rows: Rows = [
        {"id": number, "at": value}
        for number, value in enumerate(["", "N/A", "0000-00-00 00:00:00"])
    ]
    with serve_api(reply_with(rows, filters=False)) as api:
        first, state = READERS[reader](api, None)
        assert len(first) == 3
        rows.append({"id": 3, "at": "2024-01-01 00:00:00"})
        second, state = READERS[reader](api, state)
        assert [row["id"] for row in second] == [3]
        rows.append({"id": 4, "at": "2024-01-02 00:00:00"})
        third, _ = READERS[reader](api, state)
        assert [row["id"] for row in third] == [4]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "text",
    [
        "01/02/2024",
        "1/2/24 03:04",
        "Jan 2, 2024",
        "02.01.2024",
        "Tue, 02 Jan 2024 03:04:05 GMT",
        "v1.10",
    ],
)
def test_text_that_does_not_sort_by_time_is_refused_with_a_proposal(text: str, reader: str) -> None:
    rows = [{"id": 1, "at": text, "changed": "2024-01-02T03:04:05Z", "name": "a"}]
    refused = pytest.raises((ConfigurationError, failures.ConfigurationError))
    with serve_api(reply_with(rows, filters=False)) as api, refused as caught:
        READERS[reader](api, None)
    assert "does not sort by time" in str(caught.value)
    assert "choose one of these fields: changed" in str(caught.value)


def test_the_check_refuses_such_a_cursor_and_discovery_does_not_offer_it() -> None:
    rows = [{"id": 1, "at": "01/02/2024", "changed": "2024-01-02"}]
    stream = {"name": "items", "records_path": "data", "cursor_field": "at"}
    with serve_api(reply_with(rows, filters=False)) as api:
        source = make_source("rest", {"base_url": api.url, "streams": [stream]}, "items")
        *_, last_step = source.check()
        assert (last_step.step, last_step.ok) == ("read", False)
        assert "changed" in last_step.message
        [info] = source.discover()
    assert info.sync_modes == ("full_refresh",)
    assert [field.name for field in info.fields] == ["id", "at", "changed"]


def test_a_saved_value_that_would_hide_records_asks_for_a_reset() -> None:
    with serve_api(reply_with([], filters=False)) as api:
        state = {"cursor_field": "at", "value": "9999-12-31", "ties": []}
        with pytest.raises(ConfigurationError, match="reset the stream"):
            read_with_rest(api, state)


def test_records_that_share_a_value_are_not_lost_if_they_are_too_many_to_remember() -> None:
    rows = [{"id": number, "at": "2024-01-01"} for number in range(watermarks.MAX_TIES + 1)]
    with serve_api(reply_with(rows, filters=False)) as api:
        _, state = read_with_rest(api, None)
        rows.append({"id": -1, "at": "2024-01-01"})
        second, _ = read_with_rest(api, state)
    assert -1 in [row["id"] for row in second]


SORTED_VALUES: dict[str, list[Any]] = {
    "numbers": [1, 2.5, "3", "10", 11, "1704153845.000200"],
    "times": [
        *("2024-01", "2024-01-02", "2024-01-02 03:04:05 UTC", "2024-01-02T03:04:06+00:00"),
        *("2024-01-02 04:04:07 +0100", "2024-01-02T03:04:08.5Z", "2024-01-03"),
    ],
    "ULIDs": ["01HKF0000000000000000000AB", "01HKF0000000000000000000AC"],
    "ids of MongoDB": ["65937b2f0000000000000001", "65937b300000000000000000"],
}


@pytest.mark.parametrize("values", SORTED_VALUES.values(), ids=SORTED_VALUES.keys())
def test_values_of_one_kind_sort_as_they_grow(values: list[Any]) -> None:
    readings = CursorField("at").read([{"at": value} for value in values])
    assert len({reading.kind for reading in readings}) == 1
    assert sorted(reversed(readings), key=lambda reading: reading.key) == readings  # noqa: C414


@pytest.mark.parametrize(
    ("number", "stored"),
    [
        (Decimal("5"), 5),
        (Decimal("1.5"), 1.5),
        (Decimal("1234567890123456.78"), "1234567890123456.78"),
        (Decimal("1E+2"), 100),
    ],
)
def test_an_exact_number_is_stored_exactly(number: Decimal, stored: Any) -> None:
    cursor = CursorField("at")
    readings = cursor.read([{"at": number}, {"at": 1}])
    watermark = cursor.advance(cursor.with_kind(Watermark(), readings), readings)
    assert watermark.value == stored
    again = Watermark.from_state(json_round_trip(watermark.to_json()))
    assert again.key == number
    assert cursor.select_new(readings[:1], again) == []


TIMES = st.datetimes(max_value=datetime.now(UTC).replace(tzinfo=None)).map(
    lambda time: f"{time.isoformat()}Z"
)
KINDS = [st.integers(-(10**9), 10**9), TIMES]
ODD = st.one_of(
    st.none(), st.text(max_size=5).filter(lambda text: watermarks.kind_of(text) is None)
)


@pytest.mark.parametrize("plausible", KINDS)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_watermark_accepts_each_record_once(plausible: Any, data: Any) -> None:
    """The API returns all records each time. Their cursor values never decrease."""
    rounds = data.draw(st.lists(st.lists(st.one_of(plausible, ODD), max_size=8), max_size=5))
    cursor = CursorField("at", ("id",))
    watermark = Watermark(kind="number" if plausible is KINDS[0] else "time")
    records: Rows = []
    accepted: list[int] = []
    for batch in rounds:
        readings = cursor.read([{"at": value} for value in batch])
        usable = [reading for reading in readings if reading.kind == watermark.kind]
        odd = [reading.value for reading in readings if reading.kind != watermark.kind]
        for reading in sorted(usable, key=lambda reading: reading.key):
            if watermark.key is None or reading.key >= watermark.key:
                records.append({"id": len(records), "at": reading.value})
        records += [{"id": len(records), "at": value} for value in odd][:1]
        new = cursor.select_new(cursor.read(records), watermark)
        stored = json.loads(json.dumps(cursor.advance(watermark, new).to_json()))
        watermark = Watermark.from_state(stored)
        accepted += [reading.record["id"] for reading in new]
    assert sorted(accepted) == list(range(len(records)))


# Numbers

SECONDS = [1_700_000_000, 1_700_000_100, 1_700_000_200]
DAYS = [20_240_101, 20_240_102, 20_240_103]
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59
PLACEHOLDER_NUMBERS = [
    *((SECONDS, far) for far in (LAST_SECOND, str(LAST_SECOND), float(LAST_SECOND), 4_102_444_800)),
    *(([s * 1000 for s in SECONDS], far * 1000 + 999) for far in (LAST_SECOND, 32_503_679_999)),
    ([s * 10**6 for s in SECONDS], LAST_SECOND * 10**6 + 999_999),
    ([s * 10**6 for s in SECONDS], LAST_SECOND * 10**6 + 999_000),
    *(([1, 2, 3], greatest) for greatest in (2**31 - 1, 2**32 - 1, 2**63 - 1, str(2**63 - 1))),
    (SECONDS, LAST_SECOND - 2 * 3600),  # two hours east of UTC
    ([s * 10**9 for s in SECONDS], 4_102_444_800 * 10**9),
    # Dates and times that are written as numbers, as SAP does.
    *((DAYS, far) for far in (99_991_231, "99991231", 99_999_999, 20_991_231, "21000101")),
    ([str(day) for day in DAYS], "99991231"),
    ([day * 10**6 + 120_000 for day in DAYS], 99_991_231_235_959),
    ([day * 10**6 + 120_000 for day in DAYS], 20_991_231_000_000),
    ([day * 10**4 + 1200 for day in DAYS], 999_912_312_359),
    ([202_401, 202_402, 202_403], 999_912),
    ([638_400_000_000_000_000 + n for n in range(3)], 3_155_378_975_999_999_999),  # ticks of .NET
    ([133_500_000_000_000_000 + n for n in range(3)], 2_650_467_743_999_999_999),  # of Windows
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("plausible", "placeholder"), PLACEHOLDER_NUMBERS)
def test_a_number_that_means_never_hides_no_later_record(
    plausible: list[Any], placeholder: Any, reader: str
) -> None:
    read = READERS[reader]
    rows: Rows = [
        {"id": 1, "at": plausible[0]},
        {"id": 2, "at": placeholder},
        {"id": 3, "at": plausible[1]},
    ]
    with serve_api(reply_with(rows, filters=False)) as api:
        first, state = read(api, None)
        assert [row["id"] for row in first] == [1, 2, 3]
        assert state is not None
        rows.append({"id": 4, "at": plausible[2]})
        second, state = read(api, state)
        assert [row["id"] for row in second] == [4]
        assert read(api, state)[0] == []


ORDINARY_NUMBERS = [
    [1, 2, 10**9, 2 * 10**9],
    [
        1_699_999_999,
        1_700_000_000,
        1_990_000_000,
        5_000_000_000,
    ],  # ids that pass the present in seconds
    [1_300_000_000_000, 1_500_000_000_000, 4_102_444_801_234, 8_000_000_000_000],
    [2**31 - 2, 2**31, 2**63 - 2],
    [253_402_300_798, 253_402_300_799, 253_402_300_800],
    [1_900_000_000_000_000_000, 2_000_000_000_000_000_000],  # snowflakes
    [0.5, 1.5],
    [20_240_101, 20_261_000, 20_991_230, 20_991_232, 99_991_230, 99_991_232],  # ids like dates
    [202_401, 202_413, 999_911, 999_913],
]


@pytest.mark.parametrize("numbers", ORDINARY_NUMBERS, ids=lambda numbers: str(numbers[0]))
def test_ordinary_numbers_move_the_cursor(numbers: list[Any]) -> None:
    field, watermark = CursorField("number"), Watermark()
    for number in numbers:
        readings = field.read([{"number": number}])
        watermark = field.with_kind(watermark, readings)
        assert field.select_new(readings, watermark) == readings
        watermark = Watermark.from_state(field.advance(watermark, readings).to_json())
        assert watermark.value == number
        assert not watermark.unusable


def test_a_saved_date_that_means_never_asks_for_a_reset() -> None:
    with pytest.raises(failures.ConfigurationError, match="reset the stream"):
        Watermark.from_state({"value": 99_991_231, "ties": [], "kind": "number"})


def test_a_field_of_written_dates_has_none_of_the_future() -> None:
    for name, is_cursor in [("changed_on", False), ("number", True)]:
        field = CursorField(name)
        readings = field.read([{name: number} for number in (*DAYS, 20_770_615)])
        watermark = field.with_kind(Watermark(), readings)
        assert field.advance(watermark, readings).value == (20_770_615 if is_cursor else DAYS[-1])


def test_a_field_that_is_called_like_a_time_has_no_number_of_the_future() -> None:
    for name, is_cursor in [
        ("updated_at", False),
        ("lastModified", False),
        ("ts", False),
        ("update_id", True),
    ]:
        field = CursorField(name)
        readings = field.read([{name: number} for number in (*SECONDS, 4_000_000_000)])
        watermark = field.with_kind(Watermark(), readings)
        assert field.advance(watermark, readings).value == (
            4_000_000_000 if is_cursor else SECONDS[-1]
        )


# Equal records


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("value", ["2024-01-01", "N/A"])
@pytest.mark.parametrize("page_size", [1, 10])
def test_one_more_of_equal_records_without_a_key_arrives(
    value: str, page_size: int, reader: str
) -> None:
    rows: Rows = [{"at": "2023-01-01"}, {"at": value}, {"at": value}]

    def respond(request: ReceivedRequest) -> Reply:
        offset = int(request.params.get("offset", "0"))
        return Reply({"data": rows[offset : offset + page_size]})

    with serve_api(respond) as api:
        read = partial(KEYLESS_READERS[reader], api, page_size)
        first, state = read(None)
        assert first == rows
        assert read(state)[0] == []
        rows += [{"at": value}, {"at": "2024-01-02"}]
        second, state = read(state)
        assert sorted(second, key=str) == sorted(rows[3:], key=str)
        assert read(state)[0] == []


def test_a_state_of_an_older_release_repeats_no_record() -> None:
    cursor = CursorField("at")
    readings = cursor.read([{"at": "2024-01-01"}] * 3)
    stored = cursor.advance(cursor.with_kind(Watermark(), readings), readings).to_json()
    assert stored["ties"][0].endswith("*3")
    older = Watermark.from_state({**stored, "ties": [stored["ties"][0].partition("*")[0]]})
    assert cursor.select_new(readings, older) == []
