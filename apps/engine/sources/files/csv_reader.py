"""Read CSV by pieces that end where a record ends, with types that were decided for the whole stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from pathlib import PurePosixPath
from typing import BinaryIO

import polars as pl
import pyarrow as pa

from apps.engine.failures import ContractError
from apps.engine.frames.columns import Column
from apps.engine.frames.decoding import MAX_COLUMNS, describe_value
from apps.engine.frames.text_types import TextColumn
from apps.engine.sources.files.config import CsvOptions
from apps.engine.sources.files.csv_records import (
    CsvParser,
    PieceReader,
    RawPiece,
)
from apps.engine.sources.files.csv_scanner import (
    CsvScanner,
    Incomplete,
    ScannedRecord,
    TooManyCells,
    Unreadable,
    count_lines,
    first_lines,
)
from apps.engine.sources.files.dialects import Dialect
from apps.engine.sources.files.names import (
    column_names,
    header_of_stream,
    require_columns_of_stream,
)
from apps.engine.sources.files.patterns import without_compression
from apps.engine.sources.files.readers import (
    MAX_RECORD_BYTES,
    BadRecord,
    Piece,
    Position,
    piece_bytes,
    read_fully,
)
from apps.engine.sources.files.sniffing import SAMPLE_BYTES, sniff
from apps.engine.sources.files.streams import as_utf8, detect_encoding
from apps.engine.sources.http.responses import PermanentSourceError

Columns = Mapping[str, Column]


class CsvReader:
    """Reads one CSV file. `columns` are the types of the stream's columns; without them all values are texts.

    `has_header` is what the first file of the stream has, and None for that file.
    """

    def __init__(
        self,
        file: BinaryIO,
        options: CsvOptions,
        label: str,
        columns: Columns | None = None,
        *,
        has_header: bool | None = None,
    ) -> None:
        self.columns = columns
        self._label = label
        self._infer_types = options.infer_types
        self.encoding = _encoding_of(file, options)
        self._file, self._offset = as_utf8(file, self.encoding)
        self._line = 1
        self._file.seek(self._offset)
        sample = read_fully(self._file, SAMPLE_BYTES)
        self.dialect = self._with_header(sniff(sample, options, is_tsv=_is_tsv(label)), has_header)
        self.has_header = self.dialect.header
        self._scanner = CsvScanner(self.dialect)
        self._header_line: bytes | None = None
        self.names = self._read_names(sample)
        self._parser = CsvParser(self.names, self.dialect, options.null_values)
        self._pieces = PieceReader(
            self._file,
            self.dialect,
            len(self.names),
            fill_short=options.short_records == "fill",
            header=self._header_line,
        )

    def read(self, position: Position, page_size: int) -> Piece:
        piece = self._read_piece(position, page_size)
        if not self.names:
            return Piece(pl.DataFrame(), None)
        frame, piece, misfits = self._parse(piece)
        return Piece(frame, self._position_after(piece), self._bad_records(piece) + misfits)

    def read_sample(self, position: Position, page_size: int) -> Piece:
        """Read records with types that are decided for these records only, as for a preview."""
        piece = self._read_piece(position, page_size)
        if not self.names:
            return Piece(pl.DataFrame(), None)
        texts, piece = self._texts(piece)
        if self._infer_types:
            texts = self._parser.fit(texts, self._decide_for(texts))[0]
        return Piece(texts, self._position_after(piece), self._bad_records(piece))

    def decide(self, columns: dict[str, TextColumn], page_size: int) -> Iterator[None]:
        """Add all values of the file to the columns by name. Yields after each piece.

        The rest of a file whose columns are all texts is not read.
        """
        for name in self.names:
            columns.setdefault(name, TextColumn())
        position: Position | None = {}
        while position is not None and not all(columns[name].is_text for name in self.names):
            piece = self._read_piece(position, page_size)
            self._add(self._texts(piece)[0], columns)
            position = self._position_after(piece)
            yield

    def require_columns_of_stream(self, known: Set[str]) -> None:
        """Raise ContractError if the file does not belong to the stream of these columns, which may be none yet."""
        require_columns_of_stream(
            self._label,
            self.names,
            known,
            all_of_them=not self.dialect.header,
            read_as=self.describe(),
        )

    def row_count(self) -> int | None:
        return None

    def describe(self) -> str:
        return f"CSV in {self.encoding}: {self.dialect.describe()}"

    def _decide_for(self, texts: pl.DataFrame) -> dict[str, Column]:
        columns = {name: TextColumn() for name in self.names}
        self._add(texts, columns)
        return {name: column.column for name, column in columns.items()}

    def _add(self, texts: pl.DataFrame, columns: Mapping[str, TextColumn]) -> None:
        for series in texts.get_columns():
            if not columns[series.name].is_text:
                columns[series.name].add(self._parser.number_texts(series))

    def _read_piece(self, position: Position, page_size: int) -> RawPiece:
        offset = int(position.get("offset", self._offset))
        return self._pieces.read(
            offset, int(position.get("line", self._line)), piece_bytes(page_size)
        )

    def _position_after(self, piece: RawPiece) -> Position | None:
        if piece.is_last:
            return None
        return {"offset": piece.end, "line": piece.line + piece.line_count}

    def _parse(self, piece: RawPiece) -> tuple[pl.DataFrame, RawPiece, list[BadRecord]]:
        if self.columns is None:
            return *self._texts(piece), []
        try:
            return self._parser.to_columns(piece, self.columns), piece, []
        except pa.ArrowInvalid:
            texts, piece = self._texts(piece)
        typed, misfits = self._parser.fit(texts, self.columns)
        if not misfits:
            return typed, piece, []
        fits = pl.Series([index not in misfits for index in range(texts.height)])
        bad_records = [
            self._misfit(texts.row(index, named=True), name, self.columns[name])
            for index, name in sorted(misfits.items())
        ]
        return typed.filter(fits), piece, bad_records

    def _texts(self, piece: RawPiece) -> tuple[pl.DataFrame, RawPiece]:
        """Parse the piece, cleaned if it has records that cannot be read."""
        try:
            return self._parser.to_texts(piece), piece
        except pa.ArrowInvalid:
            piece = self._pieces.clean(piece)
        try:
            return self._parser.to_texts(piece), piece
        except pa.ArrowInvalid as error:
            raise PermanentSourceError(
                f"{self._label}: the records from line {piece.line:,} cannot be read",
                evidence=(str(error)[:300],),
            ) from error

    def _misfit(self, row: dict[str, str], name: str, column: Column) -> BadRecord:
        """Return the record of a row with a text that is not of the type that was decided for its column."""
        reason = (
            f"{describe_value(name, row[name])}, and its column was decided as {column.type_name} before the file"
            " changed: run again"
        )
        return BadRecord(self._label, reason, row)

    def _bad_records(self, piece: RawPiece) -> list[BadRecord]:
        return [
            BadRecord(
                f"{self._label}, line {line.line:,}, character {line.column:,}",
                line.reason,
                line.text,
            )
            for line in piece.bad_lines
        ]

    def _with_header(self, dialect: Dialect, has_header: bool | None) -> Dialect:
        """Return the dialect with or without a header, as in the first file of the stream (None for that file)."""
        header = header_of_stream(
            self._label,
            header=dialect.header,
            is_certain=dialect.is_header_certain,
            of_first_file=has_header,
            setting="csv.header",
        )
        return replace(dialect, header=header)

    def _read_names(self, sample: bytes) -> list[str]:
        """Go to the first record, after the header, and return the names of the columns."""
        if not self._skip_lines(sample):
            return []
        record, data = self._first_record()
        if not self.dialect.header:
            return [f"column_{position}" for position in range(1, len(record.cells) + 1)]
        self._header_line = data[: record.end].rstrip(b"\r\n")
        self._offset += record.end
        self._line += count_lines(data[: record.end])
        return column_names([cell.text.decode("utf-8", "replace") for cell in record.cells])

    def _skip_lines(self, sample: bytes) -> bool:
        """Go to the first record or the header, and return whether there is one."""
        for number, line in enumerate(first_lines(sample)):
            if number >= self.dialect.skip_lines and not self._scanner.is_ignored(line[1], 2):
                self._offset += line.start()
                self._line += count_lines(sample[: line.start()])
                return True
        if len(sample) == SAMPLE_BYTES:
            raise PermanentSourceError(
                f"{self._label} has no records in its first {SAMPLE_BYTES >> 10} kB"
            )
        self._offset += len(sample)
        return False

    def _first_record(self) -> tuple[ScannedRecord, bytes]:
        """Return the record at the current position, and the data that it was read from."""
        size = SAMPLE_BYTES
        while True:
            self._file.seek(self._offset)
            data = read_fully(self._file, size)
            at_end = len(data) < size or size >= MAX_RECORD_BYTES
            try:
                record = self._scanner.read_record(data, 0, at_end=at_end, max_cells=MAX_COLUMNS)
                return record, data
            except Incomplete:
                size *= 2
            except TooManyCells as error:
                message = f"The file has more than {MAX_COLUMNS:,} columns"
                raise ContractError(message) from error
            except Unreadable as error:
                raise self._header_error(data, error) from error

    def _header_error(self, data: bytes, error: Unreadable) -> PermanentSourceError:
        line = self._line + count_lines(data[: error.position])
        line_start = max(data.rfind(end, 0, error.position) for end in (b"\n", b"\r")) + 1
        shown = next(first_lines(data[line_start : line_start + 1200]), None)
        column = len(data[line_start : error.position].decode("utf-8", "replace")) + 1
        return PermanentSourceError(
            f"{self._label}, line {line:,}, character {column:,}: the first record cannot be read: {error.reason}",
            evidence=(shown[1].decode("utf-8", "backslashreplace")[:300],) if shown else (),
        )


def _encoding_of(file: BinaryIO, options: CsvOptions) -> str:
    if options.encoding != "auto":
        return options.encoding
    file.seek(0)
    return detect_encoding(read_fully(file, SAMPLE_BYTES))


def _is_tsv(label: str) -> bool:
    return PurePosixPath(without_compression(label)).suffix in (".tsv", ".tab")
