"""Rows that pass from one PostgreSQL to another without being decoded, in the form of COPY."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

CopyFormat = Literal["text", "binary"]

# What surrounds the rows of the binary format: the signature with empty flags and an empty extension, and the end.
BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_END = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """Rows as COPY has sent them, in pieces of whole rows. In the binary format the header and the end are left out.

    `columns` are the names of the fields, in the order in which each row has them. No two rows have the same values of
    the columns `unique_by`, if there are such columns.
    """

    format: CopyFormat
    columns: tuple[str, ...]
    pieces: tuple[bytes, ...]
    row_count: int
    unique_by: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The number of bytes."""
        return sum(map(len, self.pieces))

    def can_precede(self, other: CopiedRows) -> bool:
        """Whether the rows of the other can follow in the same COPY."""
        return (self.format, self.columns) == (other.format, other.columns)


def join_rows(parts: Sequence[CopiedRows]) -> CopiedRows:
    """Return the rows of all parts, of which each `can_precede` the next."""
    pieces = tuple(piece for part in parts for piece in part.pieces)
    return replace(parts[0], pieces=pieces, row_count=sum(part.row_count for part in parts))
