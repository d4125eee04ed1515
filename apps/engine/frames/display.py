"""Convert the rows of a frame to JSON that a browser can display without losing digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import polars as pl

from apps.engine.frames.columns import MAX_EXACT_INTEGER
from apps.json import JsonObject


def display_rows(frame: pl.DataFrame) -> list[JsonObject]:
    """Return the rows as JSON objects.

    Times become RFC 3339 text, decimals become strings, and so do integers that JavaScript would round, bytes become base64, and NaN and
    infinities become null.
    """
    columns = {series.name: _display_values(series) for series in frame.get_columns()}
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _display_values(series: pl.Series) -> list[Any]:
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        return _display_times(series, has_time_zone=dtype.time_zone is not None)
    if dtype.is_temporal():
        return series.dt.to_string("iso:strict").to_list()
    if dtype.is_decimal():
        return series.cast(pl.String).to_list()
    if dtype == pl.Binary():
        return series.bin.encode("base64").to_list()
    if dtype.is_float():
        return _convert_each(series, lambda value: value if math.isfinite(value) else None)
    if dtype.is_integer():
        return _convert_each(
            series,
            lambda value: value if -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER else str(value),
        )
    return series.to_list()


def _display_times(series: pl.Series, *, has_time_zone: bool) -> list[Any]:
    if has_time_zone:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    suffix = "Z" if has_time_zone else ""
    return _convert_each(series, lambda value: value.isoformat() + suffix)


def _convert_each(series: pl.Series, convert: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in series.to_list()]
