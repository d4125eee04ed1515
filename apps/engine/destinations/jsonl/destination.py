"""JSON Lines files. Each line names its fields, so older parts never need new columns."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

import orjson
import polars as pl
from polars import selectors as cs

from apps.engine.destinations.file_sets.destination import FilesDestination
from apps.engine.destinations.file_sets.formats import FileFormat
from apps.engine.destinations.jsonl.config import JsonlConfig


class JsonlFormat(FileFormat):
    """UTF-8; decimals and times are strings, bytes are base64, and NaN, inf and -inf are strings too."""

    name = "jsonl"
    extension = "jsonl"
    media_type = "application/x-ndjson"
    one_schema = False

    def write(self, frame: pl.DataFrame, sink: BinaryIO, *, again: bool) -> None:
        texts = frame.with_columns(cs.binary().bin.encode("base64"), cs.decimal().cast(pl.String))
        if _is_finite(frame):
            texts.write_ndjson(sink)
            return
        for row in texts.iter_rows(named=True):
            sink.write(orjson.dumps({k: _finite(v) for k, v in row.items()}) + b"\n")

    def widened(self, part: Path | bytes, before: list[str], target: pl.Schema) -> pl.DataFrame:
        raise NotImplementedError("JSON Lines parts keep the fields they were written with")


class JsonlDestination(FilesDestination):
    """Writes JSON Lines files."""

    Config = JsonlConfig
    config: JsonlConfig
    Format = JsonlFormat


def _is_finite(frame: pl.DataFrame) -> bool:
    floats = frame.select(cs.float())
    return all(bool(series.is_finite().all()) for series in floats.iter_columns())


def _finite(value: object) -> object:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else str(value)
