"""Encode a frame as CSV for COPY."""

from __future__ import annotations

import io
from collections.abc import Iterator

import polars as pl
from polars import selectors as cs

SLICE_ROWS = 10_000  # a slice is encoded while the server processes the previous slice
REPLACEMENT_CHARACTER = "�"


def csv_slices(frame: pl.DataFrame) -> Iterator[memoryview]:
    """Yield the rows in slices. Null is an empty cell, and empty text is a quoted empty cell."""
    for rows in _encode_bytes(frame).iter_slices(SLICE_ROWS):
        buffer = io.BytesIO()
        rows.write_csv(buffer, include_header=False)
        yield buffer.getbuffer()


def replace_nul(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Replace U+0000, which PostgreSQL's text cannot store, with U+FFFD.

    Also return the number of changed values.
    """
    nul_counts = frame.select(cs.string().str.contains("\0", literal=True).sum())
    if not nul_counts.width or not (count := nul_counts.sum_horizontal().item()):
        return frame, 0
    return frame.with_columns(
        cs.string().str.replace_all("\0", REPLACEMENT_CHARACTER, literal=True)
    ), count


def _encode_bytes(frame: pl.DataFrame) -> pl.DataFrame:
    """Encode bytes in hexadecimal, as PostgreSQL expects them. Other values need no conversion."""
    binary = frame.select(cs.binary()).columns
    return frame.with_columns(
        pl.format("\\x{}", pl.col(name).bin.encode("hex")).alias(name) for name in binary
    )
