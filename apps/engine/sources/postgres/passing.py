"""Pass the rows of a table to another PostgreSQL as COPY has sent them, without decoding them.

This is possible if every column keeps its PostgreSQL type and nothing looks inside the rows. The binary format takes less
time in the destination. It is used between servers of one major version. The text format is the same in all versions.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.engine.frames.copied import BINARY_END, BINARY_HEADER, CopiedRows, CopyFormat
from apps.engine.postgres import Connection
from apps.engine.sources.postgres.columns import ESCAPES, PgColumn

# Types of which the text can be derived from the binary form.
INTEGER_TYPES = {"int2", "int4", "int8"}
BINARY_KEY_TYPES = {*INTEGER_TYPES, "uuid", "text", "varchar"}
ESCAPED = re.compile(rb"\\.")

Fields = list[bytes | None]


@dataclass(frozen=True, slots=True)
class Passing:
    """How rows can pass. `destination_version` is the major version of the destination's PostgreSQL."""

    destination_version: int
    primary_key: tuple[str, ...] = ()

    def accepts(self, columns: Sequence[PgColumn], connection: Connection) -> bool:
        """Whether the rows can pass: the destination need not look at any value."""
        encoding = connection.info.parameter_status("server_encoding")
        filled = {column.name for column in columns if not column.nullable}
        return (
            self.destination_version > 0
            and all(column.is_postgres_text for column in columns)
            and filled.issuperset(self.primary_key)
            and encoding != "SQL_ASCII"  # whose texts may be in any encoding
        )

    def format_for(
        self, columns: Sequence[PgColumn], key: Sequence[PgColumn], connection: Connection
    ) -> CopyFormat:
        """Return the format for pages that end at a key, or for the whole table without a key."""
        is_same_version = connection.info.server_version // 10_000 == self.destination_version
        has_readable_key = bool(key) and {column.base_type for column in key} <= BINARY_KEY_TYPES
        # The binary form of an array names the type of its items, which is not the destination's for enums.
        has_enums = any(column.typtype == "A" and column.item_type == "enum" for column in columns)
        return "binary" if is_same_version and has_readable_key and not has_enums else "text"


def without_frame(pieces: Sequence[bytes], *, is_complete: bool) -> tuple[bytes, ...]:
    """Return the rows of a COPY in the binary format, without the header and, if it `is_complete`, without the end."""
    rows = list(pieces)
    if rows:
        rows[0] = rows[0].removeprefix(BINARY_HEADER)
    if rows and is_complete:
        rows[-1] = rows[-1].removesuffix(BINARY_END)
    return tuple(piece for piece in rows if piece)


def count_rows(pieces: Sequence[bytes]) -> int:
    """Return the number of rows in the binary format."""
    return sum(1 for piece in pieces for _ in _row_starts(piece))


def last_key(rows: CopiedRows, key: Sequence[PgColumn]) -> list[str]:
    """Return the key of the last row, as PostgreSQL writes it. Of fields with the same name, the last one counts."""
    read_fields = _last_binary_fields if rows.format == "binary" else _last_text_fields
    fields = dict(zip(rows.columns, read_fields(rows.pieces[-1]), strict=True))
    texts = []
    for column in key:
        value = fields[column.name]
        assert value is not None, "a key has no nulls"  # noqa: S101
        texts.append(_text_of(value, column) if rows.format == "binary" else value.decode())
    return texts


def _text_of(value: bytes, column: PgColumn) -> str:
    if column.base_type in INTEGER_TYPES:
        return str(int.from_bytes(value, "big", signed=True))
    return str(UUID(bytes=bytes(value))) if column.base_type == "uuid" else value.decode()


def _last_text_fields(piece: bytes) -> Fields:
    start = piece.rfind(b"\n", 0, len(piece) - 1) + 1
    return [
        None if field == rb"\N" else ESCAPED.sub(_unescape, field)
        for field in piece[start:-1].split(b"\t")
    ]


def _unescape(match: re.Match[bytes]) -> bytes:
    return ESCAPES[match[0].decode()].encode()


def _last_binary_fields(piece: bytes) -> Fields:
    *_, start = _row_starts(piece)
    (count,) = struct.unpack_from(">h", piece, start)
    place, fields = start + 2, Fields()
    for _ in range(count):
        (length,) = struct.unpack_from(">i", piece, place)
        place += 4
        fields.append(None if length < 0 else piece[place : place + length])
        place += max(length, 0)
    return fields


def _row_starts(piece: bytes) -> Iterator[int]:
    """Yield where each row begins. The piece has whole rows. This is called for one piece of each page."""
    unpack_count, unpack_length = struct.Struct(">h").unpack_from, struct.Struct(">i").unpack_from
    place, end = 0, len(piece)
    while place < end:
        yield place
        (count,) = unpack_count(piece, place)
        place += 2
        for _ in range(count):
            (length,) = unpack_length(piece, place)
            place += 4 + length if length > 0 else 4
