"""Read pages of an open file, from any position that an earlier page returned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import orjson
import polars as pl
import pyarrow as pa
from pyarrow import parquet

from apps.engine.failures import ContractError
from apps.engine.frames import json_values
from apps.engine.frames.decoding import MAX_COLUMNS
from apps.engine.sources.files.config import CsvOptions
from apps.engine.sources.files.csv_records import parse_header, parse_records, record_end
from apps.engine.sources.http.responses import PermanentSourceError

BYTES_PER_ROW = 100  # the estimated size of a row
MIN_PIECE_BYTES, MAX_PIECE_BYTES = 64 << 10, 8 << 20
MAX_RECORD_BYTES = 64 << 20
# orjson parses integers beyond 64 bits as floats.
LONG_NUMBER = re.compile(rb"[0-9]{19}")

Position = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows from a position in a file, as a frame or a list, and the position after the rows (None at the end)."""

    content: pl.DataFrame | list[Any]
    next_position: dict[str, Any] | None


class Reader(Protocol):
    """Reads one file."""

    def read(self, position: Position, page_size: int) -> Piece:
        """Read about `page_size` rows from the position ({} for the beginning)."""

    def row_count(self) -> int | None:
        """Return the number of rows, or None if the file does not contain it."""


class CsvReader:
    """Reads CSV by byte ranges that end where a record ends."""

    def __init__(self, file: BinaryIO, options: CsvOptions) -> None:
        self._file = file
        self._options = options
        self._names: list[str] | None = None
        self._first_offset = 0  # the position of the first record, after the header

    def read(self, position: Position, page_size: int) -> Piece:
        names = self._read_header()
        offset = max(int(position.get("offset", 0)), self._first_offset)
        data, next_position = read_piece(self._file, offset, page_size, self._options.quote)
        return Piece(parse_records(data, names, self._options), next_position)

    def row_count(self) -> int | None:
        return None

    def _read_header(self) -> list[str]:
        if self._names is None:
            data = read_piece(self._file, 0, 1, self._options.quote)[0]
            header = first_record(data, self._options.quote)
            _check_column_count(header, self._options)
            self._names = parse_header(header, self._options)
            if self._options.header:
                self._first_offset = len(header)
            else:
                self._names = [f"column_{n}" for n in range(1, len(self._names) + 1)]
        return self._names


class JsonLinesReader:
    """Reads JSON Lines by byte ranges that end where a line ends."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, position: Position, page_size: int) -> Piece:
        offset = int(position.get("offset", 0))
        data, next_position = read_piece(self._file, offset, page_size, None)
        json_values.require_few_values(data)
        has_long_numbers = LONG_NUMBER.search(data) is not None
        records = list(_parse_lines(data, offset, exact_integers=has_long_numbers))
        return Piece(records, next_position)

    def row_count(self) -> int | None:
        return None


class ParquetReader:
    """Reads Parquet by row groups, each in batches."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._parquet = parquet.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise PermanentSourceError(
                "the file is not Parquet", evidence=(str(error)[:300],)
            ) from error
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._next_batch: tuple[int, int, int] | None = None  # group, row, page size

    def read(self, position: Position, page_size: int) -> Piece:
        group, row = int(position.get("group", 0)), int(position.get("row", 0))
        groups = self._parquet.num_row_groups
        if group >= groups:
            return Piece(_to_frame([], self._parquet.schema_arrow), None)
        batch = self._batch_at(group, row, page_size)
        end = row + batch.num_rows
        group_rows = self._parquet.metadata.row_group(group).num_rows
        self._next_batch = (group, end, page_size)
        if end < group_rows:
            next_position: dict[str, Any] | None = {"group": group, "row": end}
        else:
            next_position = {"group": group + 1, "row": 0} if group + 1 < groups else None
        return Piece(_to_frame([batch], batch.schema), next_position)

    def row_count(self) -> int | None:
        return int(self._parquet.metadata.num_rows)

    def _batch_at(self, group: int, row: int, page_size: int) -> pa.RecordBatch:
        """Return the batch at a row of a group. Rows before it are skipped, except when batches are read in order."""
        if self._next_batch != (group, row, page_size):
            self._batches = self._parquet.iter_batches(batch_size=page_size, row_groups=[group])
            for batch in self._batches:
                if row < batch.num_rows:
                    return batch.slice(row)
                row -= batch.num_rows
        return next(self._batches, _empty_batch(self._parquet.schema_arrow))


def read_piece(
    file: BinaryIO, offset: int, page_size: int, quote: str | None
) -> tuple[bytes, dict[str, Any] | None]:
    """Return whole records from the offset, and the position after them (None at the end of the file)."""
    size = min(max(page_size * BYTES_PER_ROW, MIN_PIECE_BYTES), MAX_PIECE_BYTES)
    file.seek(offset)
    data = b""
    while len(data) < MAX_RECORD_BYTES:
        # The data is scanned again each time, so its size is doubled to keep the number of scans small.
        requested_bytes = max(size, len(data))
        new_data = _read_fully(file, requested_bytes)
        data += new_data
        if len(new_data) < requested_bytes:
            return data, None
        end = record_end(data, quote)
        if end:
            return data[:end], {"offset": offset + end}
    raise PermanentSourceError(
        f"a record is longer than {MAX_RECORD_BYTES >> 20} MB", evidence=(f"at byte {offset:,}",)
    )


def first_record(data: bytes, quote: str | None) -> bytes:
    """Return the first record with its line break, or all data if no record ends."""
    position, line_end = 0, data.find(b"\n")
    quote_byte = quote.encode() if quote else b"\n"
    while line_end >= 0:  # Each byte is scanned once for quotes, and once for line breaks.
        opening_quote = data.find(quote_byte, position, line_end)
        if opening_quote < 0:
            return data[: line_end + 1]
        position = data.find(quote_byte, opening_quote + 1) + 1
        if position == 0:
            return data
        if position > line_end:
            line_end = data.find(b"\n", position)
    return data


def _check_column_count(record: bytes, options: CsvOptions) -> None:
    """Raise ContractError for too many columns, before polars creates them: a million columns take a gigabyte."""
    delimiter = options.delimiter.encode()
    if record.count(delimiter) < MAX_COLUMNS:
        return
    unquoted_parts = record.split(options.quote.encode())[::2] if options.quote else [record]
    if sum(part.count(delimiter) for part in unquoted_parts) >= MAX_COLUMNS:
        raise ContractError(f"The file has more than {MAX_COLUMNS:,} columns")


def _read_fully(file: BinaryIO, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _parse_lines(data: bytes, offset: int, *, exact_integers: bool) -> Iterator[Any]:
    parse = json.loads if exact_integers else orjson.loads
    for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line.strip():
            yield _parse_line(parse, line, offset)
        offset += len(line) + 1


def _parse_line(parse: Any, line: bytes, offset: int) -> Any:
    try:
        return parse(line)
    except orjson.JSONDecodeError:
        return _parse_line(json.loads, line, offset)  # Python's parser also accepts NaN.
    except (ValueError, RecursionError) as error:
        excerpt = line[:100].decode("utf-8", "replace")
        raise PermanentSourceError(
            "a line is not JSON", evidence=(f"at byte {offset:,}: {error}"[:200], excerpt)
        ) from error


def _to_frame(batches: list[pa.RecordBatch], schema: pa.Schema) -> pl.DataFrame:
    converted = pl.from_arrow(pa.Table.from_batches(batches, schema))
    return converted if isinstance(converted, pl.DataFrame) else converted.to_frame()


def _empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)
