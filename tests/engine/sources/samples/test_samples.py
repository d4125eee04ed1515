"""The sample data: the same records each time, and new ones as time passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apps.engine.failures import StreamMissing
from apps.engine.sources.samples import generated, source
from tests.engine.sources.reading import make_source, page_rows, read_stream


class Clock(datetime):
    moment = datetime(2026, 1, 11, tzinfo=UTC)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.moment


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(source, "datetime", Clock)
    monkeypatch.setattr(source, "PAGE_SIZE", 100)
    monkeypatch.setattr(Clock, "moment", datetime(2026, 1, 11, tzinfo=UTC))
    return Clock


@pytest.mark.parametrize(("stream", "count"), [("flights", 480), ("weather", 240)])
def test_each_stream_has_unique_keys_and_a_cursor_that_rises(stream: str, count: int) -> None:
    (info,) = [
        each for each in make_source("samples", {}, stream).discover() if each.name == stream
    ]
    result = read_stream(make_source("samples", {}, stream))
    assert len(result.rows) == count
    keys = {tuple(row[name] for name in info.primary_key) for row in result.rows}
    assert len(keys) == count
    cursor = [row[info.cursor_fields[0]] for row in result.rows]
    assert cursor == sorted(cursor)
    assert set(result.rows[0]) == {field.name for field in info.fields}


def test_the_records_are_the_same_from_any_page_also_after_an_hour(clock: type[Clock]) -> None:
    whole = read_stream(make_source("samples", {}, "flights"))
    clock.moment += timedelta(hours=1)
    for position, token in enumerate(whole.tokens):
        again = read_stream(make_source("samples", {}, "flights"), token=token)
        assert again.rows[: 480 - 100 * position] == [
            row for page in whole.pages[position:] for row in page
        ]


def test_an_incremental_read_finds_what_has_appeared_since(clock: type[Clock]) -> None:
    first = read_stream(make_source("samples", {}, "flights"))
    clock.moment += timedelta(hours=2)
    source_later = make_source("samples", {}, "flights", sync_mode="incremental")
    assert read_stream(source_later, first.state).column("id") == [481, 482, 483, 484]


def test_the_types_are_those_of_real_tables() -> None:
    flight = page_rows(make_source("samples", {}, "flights").get())[0]
    assert {name: type(value).__name__ for name, value in flight.items()} == {
        "id": "int",
        "flight": "str",
        "carrier": "str",
        "origin": "str",
        "destination": "str",
        "scheduled_at": "datetime",
        "delay_minutes": "int",
        "cancelled": "bool",
        "passengers": "int",
        "distance_km": "float",
        "ticket_price": "Decimal",
    }
    flights = generated.generate_flights(0, 5000)
    assert 0.01 < flights["delay_minutes"].null_count() / 5000 < 0.05
    assert flights["destination"].n_unique() == len(generated.DESTINATIONS)


def test_nothing_has_appeared_before_the_beginning(clock: type[Clock]) -> None:
    clock.moment = datetime(2020, 1, 1, tzinfo=UTC)
    assert read_stream(make_source("samples", {}, "weather")).rows == []


def test_an_unknown_stream_is_named() -> None:
    with pytest.raises(StreamMissing, match="no stream 'trains'"):
        make_source("samples", {}, "trains").get()
