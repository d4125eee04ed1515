"""Deterministic records: the record with the id `n` is always the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

EPOCH = datetime(2024, 1, 1)  # noqa: DTZ001 - the time zone is added to the whole column
CATEGORIES = ("alpha", "beta", "gamma", "delta", "epsilon")


def generate_frame(first: int, count: int) -> pl.DataFrame:
    """Return the records with the ids from `first` to `first + count - 1` as a frame."""
    ids = pl.int_range(first, first + count, dtype=pl.Int64, eager=True).alias("id")
    number = pl.col("id")
    return pl.DataFrame([ids]).with_columns(
        pl.format("record-{}", number).alias("name"),
        pl.Series(CATEGORIES).gather((ids % len(CATEGORIES)).cast(pl.UInt32)).alias("category"),
        ((number * 7919 % 100_000) / 100).alias("amount"),
        (number % 3 == 0).alias("active"),
        (pl.lit(EPOCH, pl.Datetime("us")) + pl.duration(minutes=number))
        .dt.replace_time_zone("UTC")
        .alias("created_at"),
    )


def generate_rows(first: int, count: int) -> list[dict[str, Any]]:
    """Return the same records as plain JSON-able rows."""
    texts = generate_frame(first, count).with_columns(
        pl.col("created_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    return texts.to_dicts()
