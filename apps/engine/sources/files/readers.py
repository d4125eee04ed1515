"""What the readers of all formats have in common: they read pages from any position that an earlier page returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import polars as pl

BYTES_PER_ROW = 100  # the estimated size of a row
MIN_PIECE_BYTES, MAX_PIECE_BYTES = 64 << 10, 8 << 20
MAX_RECORD_BYTES = 64 << 20
MAX_SHOWN = 10_000  # characters of a record that cannot be read
NOT_UTF8 = "this is not valid text in the encoding of the file"

Position = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be read: where it is and why."""

    position: str  # such as `a.csv, line 3, character 5`
    reason: str
    record: str | dict[str, str]  # its text, or its texts by column


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows from a position in a file, as a frame or a list, and the position after the rows (None at the end).

    `bad_records` are the records between them that cannot be read.
    """

    content: pl.DataFrame | list[Any]
    next_position: Position | None
    bad_records: Sequence[BadRecord] = ()


class Reader(Protocol):
    """Reads one file."""

    def read(self, position: Position, page_size: int) -> Piece:
        """Read about `page_size` rows from the position ({} for the beginning). Raises EngineError."""

    def row_count(self) -> int | None:
        """Return the number of rows, or None if the file does not contain it."""

    def describe(self) -> str:
        """Return in words how the file is read."""


def piece_bytes(page_size: int) -> int:
    """Return the size of a piece of about `page_size` rows of a text file."""
    return min(max(page_size * BYTES_PER_ROW, MIN_PIECE_BYTES), MAX_PIECE_BYTES)


def read_fully(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, or all that the file has."""
    parts: list[bytes] = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def shown_text(data: bytes) -> str:
    """Return the beginning of a record that cannot be read, without its line end. Invalid bytes become escapes."""
    shown = data[: 4 * MAX_SHOWN].decode("utf-8", "backslashreplace")[:MAX_SHOWN]
    return shown.rstrip("\r\n")
