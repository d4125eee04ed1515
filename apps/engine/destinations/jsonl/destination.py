"""JSON Lines files. Each line names its fields, so older parts never need new columns."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import orjson
import polars as pl
from polars import selectors as cs

from apps.engine.destinations.file_sets.destination import FilesDestination
from apps.engine.destinations.file_sets.formats import FileFormat
from apps.engine.destinations.jsonl.config import JsonlConfig
from apps.engine.destinations.stored_rows import Row
from apps.engine.frames.columns import Column, as_text

MAX_LINE = 64 << 20  # bytes of a line that is read


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

    def read_rows(
        self,
        part: Path | bytes,
        columns: Mapping[str, Column],
        names: Sequence[str],
        offset: int,
        limit: int,
    ) -> list[Row]:
        with io.BytesIO(part) if isinstance(part, bytes) else part.open("rb") as file:
            lines = islice(_lines(file), offset, offset + limit)
            return [_texts(line, names) for line in lines]


class JsonlDestination(FilesDestination):
    """Writes JSON Lines files."""

    Config = JsonlConfig
    config: JsonlConfig
    Format = JsonlFormat


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that are not blank. Raises ValueError for a line that is too long."""
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise ValueError(f"a line is longer than {MAX_LINE:,} bytes")
        if line.strip():
            yield line


def _texts(line: bytes, names: Sequence[str]) -> Row:
    """Return the values of a record as texts. Numbers keep their digits."""
    record = json.loads(line, parse_int=str, parse_float=str)
    if not isinstance(record, dict):
        raise ValueError("a line is not a JSON object")
    return [_text(record.get(name)) for name in names]


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _has_only_finite_floats(frame: pl.DataFrame) -> bool:
    floats = frame.select(cs.float())
    return all(bool(series.is_finite().all()) for series in floats.iter_columns())


def _finite_or_text(value: object) -> object:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else str(value)
