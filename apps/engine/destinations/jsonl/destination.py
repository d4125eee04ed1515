"""JSON Lines files. Each line names its fields, so older parts never need new columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import orjson
import polars as pl
from polars import selectors as cs

from apps.engine.destinations.file_sets.destination import FilesDestination
from apps.engine.destinations.file_sets.formats import FileFormat
from apps.engine.destinations.jsonl.config import JsonlConfig
from apps.engine.frames.columns import Column, as_text


class JsonlFormat(FileFormat):
    """Rows are encoded in UTF-8. Decimals, times, NaN, inf and -inf are strings; bytes are base64 strings.

    A value is written in the same way in every batch, whatever its neighbours are.
    """

    name = "jsonl"
    extension = "jsonl"
    media_type = "application/x-ndjson"
    needs_same_columns = False

    def write(
        self,
        frame: pl.DataFrame,
        sink: BinaryIO,
        columns: Mapping[str, Column],
        *,
        is_rewrite: bool,
    ) -> None:
        without_json_type = frame.select(cs.temporal() | cs.binary() | cs.decimal())
        texts = frame.with_columns([as_text(series) for series in without_json_type])
        if _has_only_finite_floats(frame):
            texts.write_ndjson(sink)
            return
        for row in texts.iter_rows(named=True):
            sink.write(
                orjson.dumps({name: _finite_or_text(value) for name, value in row.items()}) + b"\n"
            )

    def widen(
        self, part: Path | bytes, old_columns: Mapping[str, Column], target: pl.Schema
    ) -> pl.DataFrame:
        raise NotImplementedError("JSON Lines parts are never rewritten")


class JsonlDestination(FilesDestination):
    """Writes JSON Lines files."""

    Config = JsonlConfig
    config: JsonlConfig
    Format = JsonlFormat


def _has_only_finite_floats(frame: pl.DataFrame) -> bool:
    floats = frame.select(cs.float())
    return all(bool(series.is_finite().all()) for series in floats.iter_columns())


def _finite_or_text(value: object) -> object:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else str(value)
