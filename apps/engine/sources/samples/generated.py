"""Made-up flights and weather. The record with the number `n` is always the same, and appears at its own time.

Half an hour passes between two flights. The weather is observed every three hours, at each airport in turn.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
FLIGHT_INTERVAL = timedelta(minutes=30)
WEATHER_INTERVAL = timedelta(hours=3)
AIRPORTS = ("EWR", "JFK", "LGA")
DESTINATIONS = ("ATL", "BOS", "DEN", "LAX", "MCO", "MIA", "ORD", "SEA", "SFO")
DISTANCES = (1200, 300, 2600, 3980, 1520, 1750, 1180, 3890, 4150)  # km from New York, rounded
CARRIERS = ("AA", "B6", "DL", "UA", "WN")
CONDITIONS = ("clear", "cloudy", "fog", "rain", "snow")


def count_flights(until: datetime) -> int:
    """Return the number of flights that have left."""
    return max(0, (until - EPOCH) // FLIGHT_INTERVAL)


def count_weather(until: datetime) -> int:
    """Return the number of observations."""
    return max(0, (until - EPOCH) // WEATHER_INTERVAL) * len(AIRPORTS)


def generate_flights(first: int, count: int) -> pl.DataFrame:
    """Return the flights from number `first` on, which counts from 0."""
    number = _numbers(first, count)
    destination = _random(number, 1, len(DESTINATIONS))
    is_cancelled = _random(number, 2, 40) == 0
    delay = (_random(number, 3, 90) - 15) * (_random(number, 4, 3) // 2)
    cents = 4_900 + _random(number, 5, 60_000)
    return pl.DataFrame(
        {
            "id": number + 1,
            "flight": _choose(CARRIERS, _random(number, 6, len(CARRIERS)))
            + (100 + _random(number, 7, 900)).cast(pl.String),
            "carrier": _choose(CARRIERS, _random(number, 6, len(CARRIERS))),
            "origin": _choose(AIRPORTS, _random(number, 8, len(AIRPORTS))),
            "destination": _choose(DESTINATIONS, destination),
            "scheduled_at": _times(number, FLIGHT_INTERVAL),
            "delay_minutes": delay.zip_with(~is_cancelled, _nulls(delay)),
            "cancelled": is_cancelled,
            "passengers": 60 + _random(number, 9, 130),
            "distance_km": pl.Series(DISTANCES, dtype=pl.Float64).gather(destination),
            "ticket_price": _as_money(cents),
        }
    )


def generate_weather(first: int, count: int) -> pl.DataFrame:
    """Return the observations from number `first` on, which counts from 0."""
    number = _numbers(first, count)
    hour = number // len(AIRPORTS)
    condition = _random(number, 11, len(CONDITIONS))
    rain = (_random(number, 12, 120) * (condition >= 3).cast(pl.Int64)).cast(pl.Float64) / 10
    times = _times(hour, WEATHER_INTERVAL)
    return pl.DataFrame(
        {
            "airport": _choose(AIRPORTS, number % len(AIRPORTS)),
            "observed_at": times,
            "day": times.dt.date(),
            "temperature_c": (_random(number, 13, 300).cast(pl.Float64) - 50) / 10,
            "humidity_percent": 35 + _random(number, 14, 65),
            "wind_kmh": _random(number, 15, 600).cast(pl.Float64) / 10,
            "rain_mm": rain,
            "condition": _choose(CONDITIONS, condition),
        }
    )


def _numbers(first: int, count: int) -> pl.Series:
    return pl.int_range(first, first + count, dtype=pl.Int64, eager=True)


def _random(number: pl.Series, salt: int, below: int) -> pl.Series:
    """Return a number from 0 to `below` - 1 for each record, which looks random and never changes."""
    mixed = (number + salt * 7_919) * 1_103_515_245 % 2_147_483_647
    return (mixed * 69_621 % 2_147_483_647) // 1_009 % below


def _choose(words: tuple[str, ...], index: pl.Series) -> pl.Series:
    return pl.Series(words).gather(index)


def _times(number: pl.Series, interval: timedelta) -> pl.Series:
    microseconds = number * (interval // timedelta(microseconds=1))
    start = pl.Series([EPOCH], dtype=pl.Datetime("us", "UTC")).to_physical()[0]
    times: pl.Series = (microseconds + start).cast(pl.Datetime("us", "UTC"))
    return times


def _as_money(cents: pl.Series) -> pl.Series:
    digits = (cents % 100).cast(pl.String).str.zfill(2)
    return ((cents // 100).cast(pl.String) + "." + digits).cast(pl.Decimal(10, 2))


def _nulls(series: pl.Series) -> pl.Series:
    return series.clear(len(series))
