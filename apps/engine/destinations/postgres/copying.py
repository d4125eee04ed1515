"""Write a frame as the CSV that COPY reads."""

from __future__ import annotations

import io
from collections.abc import Iterator

import polars as pl
from polars import selectors as cs

SLICE = 10_000  # rows encoded while the server reads the ones before
REPLACEMENT = "�"


def csv_slices(frame: pl.DataFrame) -> Iterator[memoryview]:
    """The rows in pieces: null is an empty cell, empty text a quoted one."""
    for piece in _texts(frame).iter_slices(SLICE):
        buffer = io.BytesIO()
        piece.write_csv(buffer, include_header=False)
        yield buffer.getbuffer()


def without_nul(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """PostgreSQL's text cannot hold U+0000: put U+FFFD in its place, and count the values changed."""
    affected = frame.select(cs.string().str.contains("\0", literal=True).sum())
    if not affected.width or not (count := affected.sum_horizontal().item()):
        return frame, 0
    return frame.with_columns(cs.string().str.replace_all("\0", REPLACEMENT, literal=True)), count


def _texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Bytes as PostgreSQL spells them; times are ISO 8601 as they are."""
    binary = frame.select(cs.binary()).columns
    return frame.with_columns(
        pl.format("\\x{}", pl.col(name).bin.encode("hex")).alias(name) for name in binary
    )
