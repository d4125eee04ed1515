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
from apps.engine.sources.files.delimited import frame_of, names_of, record_end
from apps.engine.sources.http.answers import UnhelpfulSourceError

BYTES_PER_ROW = 100  # Converts a page's rows to bytes.
SMALLEST_PIECE, LARGEST_PIECE = 64 << 10, 8 << 20
LONGEST_RECORD = 64 << 20
# orjson parses integers beyond 64 bits as floats.
LONG_NUMBER = re.compile(rb"[0-9]{19}")

Place = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows from a position in a file, typed or plain, and the position after them (None at the end)."""

    content: pl.DataFrame | list[Any]
    following: dict[str, Any] | None


class Reader(Protocol):
    """Reads one file."""

    def read(self, place: Place, rows: int) -> Piece:
        """Read about `rows` rows from the position on ({} is the beginning)."""

    def total(self) -> int | None:
        """Return the number of rows, if the file states it."""


class CsvReader:
    """Reads CSV by byte ranges that end where a record ends."""

    def __init__(self, file: BinaryIO, options: CsvOptions) -> None:
        self._file = file
        self._options = options
        self._names: list[str] | None = None
        self._start = 0

    def read(self, place: Place, rows: int) -> Piece:
        names = self._header()
        offset = max(int(place.get("offset", 0)), self._start)
        data, end = piece(self._file, offset, rows, self._options.quote)
        return Piece(frame_of(data, names, self._options), end)

    def total(self) -> int | None:
        return None

    def _header(self) -> list[str]:
        if self._names is None:
            data = piece(self._file, 0, 1, self._options.quote)[0]
            first = first_record(data, self._options.quote)
            _require_few_columns(first, self._options)
            self._names = names_of(first, self._options)
            if self._options.header:
                self._start = len(first)
            else:
                self._names = [f"column_{n}" for n in range(1, len(self._names) + 1)]
        return self._names


class JsonLinesReader:
    """Reads JSON Lines by byte ranges that end where a line ends."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, place: Place, rows: int) -> Piece:
        offset = int(place.get("offset", 0))
        data, end = piece(self._file, offset, rows, None)
        json_values.require_few_values(data)
        exact = LONG_NUMBER.search(data) is not None
        return Piece(list(_objects(data, offset, exact=exact)), end)

    def total(self) -> int | None:
        return None


class ParquetReader:
    """Reads Parquet by row groups, each in batches."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._parquet = parquet.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise UnhelpfulSourceError(
                "the file is not Parquet", evidence=(str(error)[:300],)
            ) from error
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._at: tuple[int, int, int] | None = None

    def read(self, place: Place, rows: int) -> Piece:
        group, row = int(place.get("group", 0)), int(place.get("row", 0))
        groups = self._parquet.num_row_groups
        if group >= groups:
            return Piece(_frame([], self._parquet.schema_arrow), None)
        batch = self._batch(group, row, rows)
        end = row + batch.num_rows
        held = self._parquet.metadata.row_group(group).num_rows
        self._at = (group, end, rows)
        if end < held:
            following: dict[str, Any] | None = {"group": group, "row": end}
        else:
            following = {"group": group + 1, "row": 0} if group + 1 < groups else None
        return Piece(_frame([batch], batch.schema), following)

    def total(self) -> int | None:
        return int(self._parquet.metadata.num_rows)

    def _batch(self, group: int, row: int, rows: int) -> pa.RecordBatch:
        """Return the batch at a row of a group; the batch after the last one read is found without skipping."""
        if self._at != (group, row, rows):
            self._batches = self._parquet.iter_batches(batch_size=rows, row_groups=[group])
            for batch in self._batches:
                if row < batch.num_rows:
                    return batch.slice(row)
                row -= batch.num_rows
        return next(self._batches, _empty(self._parquet.schema_arrow))


def piece(
    file: BinaryIO, offset: int, rows: int, quote: str | None
) -> tuple[bytes, dict[str, Any] | None]:
    """Read whole records from the offset on.

    Returns them with the position after them (None at the end of the file).
    """
    size = min(max(rows * BYTES_PER_ROW, SMALLEST_PIECE), LARGEST_PIECE)
    file.seek(offset)
    data = b""
    while len(data) < LONGEST_RECORD:
        wanted = max(size, len(data))  # Doubling the size means that the data is scanned again.
        more = _read_fully(file, wanted)
        data += more
        if len(more) < wanted:
            return data, None
        end = record_end(data, quote)
        if end:
            return data[:end], {"offset": offset + end}
    raise UnhelpfulSourceError(
        f"a record is longer than {LONGEST_RECORD >> 20} MB", evidence=(f"at byte {offset:,}",)
    )


def first_record(data: bytes, quote: str | None) -> bytes:
    """Return the first record with its line break, or all data if there is none."""
    at, end = 0, data.find(b"\n")
    mark = quote.encode() if quote else b"\n"
    while end >= 0:  # Scans each byte once for quotes and once for line breaks.
        opened = data.find(mark, at, end)
        if opened < 0:
            return data[: end + 1]
        at = data.find(mark, opened + 1) + 1
        if at == 0:
            return data
        if at > end:
            end = data.find(b"\n", at)
    return data


def _require_few_columns(record: bytes, options: CsvOptions) -> None:
    """Check before polars creates the columns: a million of them take a gigabyte. Raises ContractError."""
    delimiter = options.delimiter.encode()
    if record.count(delimiter) < MAX_COLUMNS:
        return
    outside = record.split(options.quote.encode())[::2] if options.quote else [record]
    if sum(part.count(delimiter) for part in outside) >= MAX_COLUMNS:
        raise ContractError(f"The file has more than {MAX_COLUMNS:,} columns")


def _read_fully(file: BinaryIO, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _objects(data: bytes, offset: int, *, exact: bool) -> Iterator[Any]:
    load = json.loads if exact else orjson.loads
    for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line.strip():
            yield _object(load, line, offset)
        offset += len(line) + 1


def _object(load: Any, line: bytes, offset: int) -> Any:
    try:
        return load(line)
    except orjson.JSONDecodeError:
        return _object(json.loads, line, offset)  # Accepts NaN too.
    except (ValueError, RecursionError) as error:
        shown = line[:100].decode("utf-8", "replace")
        raise UnhelpfulSourceError(
            "a line is not JSON", evidence=(f"at byte {offset:,}: {error}"[:200], shown)
        ) from error


def _frame(batches: list[pa.RecordBatch], schema: pa.Schema) -> pl.DataFrame:
    made = pl.from_arrow(pa.Table.from_batches(batches, schema))
    return made if isinstance(made, pl.DataFrame) else made.to_frame()


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)
