"""The rows for the measurements: generated flights with the columns of nycflights13 (19 columns, about 150 bytes).

The fork server of a measurement imports this module, which registers the source kind `bench_flights`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import polars as pl

from apps.engine.sources import SOURCES
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    SourceSettings,
    frame_page,
)

KIND = "bench_flights"
TITLE = "Generated flights"
_CARRIERS = ("9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX")
_AIRPORTS = ("ATL", "BOS", "DEN", "FLL", "IAH", "LAX", "MCO", "MIA", "ORD", "SEA", "SFO", "TPA")
_ORIGINS = ("EWR", "JFK", "LGA")
_FIRST_HOUR = datetime(2013, 1, 1)  # noqa: DTZ001 - the time zone is added to the column


def flights(first: int, count: int) -> pl.DataFrame:
    """Return `count` rows, beginning with the row number `first`. The same arguments return the same rows."""
    n = pl.col("id")
    ids = pl.int_range(first, first + count, dtype=pl.Int64, eager=True).alias("id")
    hour = pl.lit(_FIRST_HOUR, pl.Datetime("us")) + pl.duration(minutes=n)
    delay = (n * 7919 % 180) - 20
    return pl.DataFrame([ids]).select(
        n,
        (n % 12 + 1).alias("month"),
        (n % 28 + 1).alias("day"),
        pl.when(n % 40 != 0).then(n * 13 % 2400).alias("dep_time"),
        (n * 13 % 2400).alias("sched_dep_time"),
        pl.when(n % 40 != 0).then(delay.cast(pl.Float64)).alias("dep_delay"),
        (n * 17 % 2400).alias("arr_time"),
        (n * 19 % 2400).alias("sched_arr_time"),
        pl.when(n % 40 != 0).then(delay * 1.5).alias("arr_delay"),
        _pick_values(_CARRIERS, ids).alias("carrier"),
        (n % 6000).alias("flight"),
        pl.format("N{}UA", n % 4000 + 10_000).alias("tailnum"),
        _pick_values(_ORIGINS, ids).alias("origin"),
        _pick_values(_AIRPORTS, ids).alias("dest"),
        (n % 400 + 20).cast(pl.Float64).alias("air_time"),
        (n % 2500 + 80).alias("distance"),
        (n % 24).alias("hour"),
        (n % 60).alias("minute"),
        hour.dt.replace_time_zone("UTC").alias("time_hour"),
    )


def _pick_values(names: tuple[str, ...], ids: pl.Series) -> pl.Series:
    return pl.Series(names).gather((ids % len(names)).cast(pl.UInt32))


class Config(SourceSettings):
    rows: int
    page_size: int


class FlightsSource(ConnectorSource[Config]):
    Config: ClassVar[type[Config]] = Config

    def get(self, pagination: Pagination = None) -> SourcePage:
        token: dict[str, Any] = pagination or {}
        previous_rows = int(token.get("after", 0))
        count = min(self.settings.page_size, self.settings.rows - previous_rows)
        last_row = previous_rows + count
        next_page = {"after": last_row} if last_row < self.settings.rows else {}
        return frame_page(flights(previous_rows + 1, count), next_page)


Source = FlightsSource
SOURCES[KIND] = __name__
