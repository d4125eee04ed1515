"""Convert the rows of a frame to JSON that people and browsers can read without losing digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import polars as pl

from apps.json import JsonObject

EXACT = 2**53  # Larger integers become strings, because JavaScript would round them.


def shown_rows(frame: pl.DataFrame) -> list[JsonObject]:
    """Times become RFC 3339, decimals and large integers strings, bytes base64, NaN and infinities null."""
    columns = {series.name: _shown(series) for series in frame.get_columns()}
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _shown(series: pl.Series) -> list[Any]:
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        return _times(series, zoned=dtype.time_zone is not None)
    if dtype.is_temporal():
        return series.dt.to_string("iso:strict").to_list()
    if dtype.is_decimal():
        return series.cast(pl.String).to_list()
    if dtype == pl.Binary():
        return series.bin.encode("base64").to_list()
    if dtype.is_float():
        return _each(series, lambda value: value if math.isfinite(value) else None)
    if dtype.is_integer():
        return _each(series, lambda value: value if -EXACT <= value <= EXACT else str(value))
    return series.to_list()


def _times(series: pl.Series, *, zoned: bool) -> list[Any]:
    if zoned:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    ending = "Z" if zoned else ""
    return _each(series, lambda moment: moment.isoformat() + ending)


def _each(series: pl.Series, show: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else show(value) for value in series.to_list()]
