"""Parse pieces of a CSV file to texts or to typed columns.

Arrow parses. It is exact and fast where all quotes are where the rules expect them. Every other piece is cleaned by
the `CsvScanner` first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

import polars as pl
import pyarrow as pa
from pyarrow import compute, csv

from apps.engine.frames.columns import NULL, STRING, Column, ColumnType
from apps.engine.frames.text_types import fit_texts
from apps.engine.sources.files.csv_scanner import (
    BYTE_ORDER_MARK,
    BadLine,
    CleanPiece,
    CsvScanner,
    count_lines,
)
from apps.engine.sources.files.dialects import BACKSLASH, Dialect
from apps.engine.sources.files.readers import MAX_RECORD_BYTES, read_fully
from apps.engine.sources.http.responses import PermanentSourceError


@dataclass(frozen=True, slots=True)
class RawPiece:
    """Bytes of whole records. `end` is the position of the byte after them; `line` is the number of their first line."""

    data: bytes
    end: int
    line: int
    line_count: int
    is_last: bool
    bad_lines: list[BadLine] = field(default_factory=list)
    is_clean: bool = False  # whether the scanner has written the data
    has_quoted_values: bool = True  # If not, every quote is text.


class PieceReader:
    """Cuts a file into pieces that end where a record ends. `header` is the line of the header, without its line end."""

    def __init__(
        self,
        file: BinaryIO,
        dialect: Dialect,
        column_count: int,
        *,
        fill_short: bool,
        header: bytes | None = None,
    ) -> None:
        self._file = file
        self._dialect = dialect
        self._column_count = column_count
        self._fill_short = fill_short
        self._header = header if column_count > 1 else None
        self._scanner = CsvScanner(dialect)

    def read(self, offset: int, line: int, size: int) -> RawPiece:
        """Read about `size` bytes of records from the offset, which is in this line."""
        self._file.seek(offset)
        data = b""
        while True:
            new_data = read_fully(self._file, max(size, len(data)))
            at_end = len(new_data) < max(size, len(data))
            data += new_data
            piece = self._cut(data, offset, line, at_end=at_end)
            if piece is not None:
                return piece
            if len(data) > MAX_RECORD_BYTES:
                raise PermanentSourceError(
                    f"line {line:,} is longer than {MAX_RECORD_BYTES >> 20} MB"
                )

    def clean(self, piece: RawPiece) -> RawPiece:
        """Return the piece with only the records that can be read."""
        if piece.is_clean:
            return piece
        cleaned = self._clean(piece.data, piece.line, at_end=True)
        return RawPiece(
            cleaned.data,
            piece.end,
            piece.line,
            piece.line_count,
            piece.is_last,
            cleaned.bad_lines,
            is_clean=True,
        )

    def _clean(self, data: bytes, line: int, *, at_end: bool) -> CleanPiece:
        return self._scanner.clean(
            data,
            self._column_count,
            at_end=at_end,
            first_line=line,
            fill_short=self._fill_short,
            header=self._header,
        )

    def _cut(self, data: bytes, offset: int, line: int, *, at_end: bool) -> RawPiece | None:
        """Return a piece from the beginning of the data, or None if more data is needed."""
        end = len(data) if at_end else self._last_record_end(data)
        has_header = self._has_header(data)
        if (end or at_end) and not has_header and is_regular(data[:end], self._dialect):
            whole = data[:end]
            return RawPiece(whole, offset + end, line, count_lines(whole), at_end)
        if not end and not at_end and self._is_one_line(data):
            return None
        if not has_header and (piece := self._cut_unquoted(data, offset, line, at_end=at_end)):
            return piece
        cleaned = self._clean(data, line, at_end=at_end)
        if not cleaned.end and not at_end:
            return None
        return RawPiece(
            cleaned.data,
            offset + cleaned.end,
            line,
            cleaned.lines,
            at_end,
            cleaned.bad_lines,
            is_clean=True,
        )

    def _cut_unquoted(
        self, data: bytes, offset: int, line: int, *, at_end: bool
    ) -> RawPiece | None:
        """Return a piece in which no value begins with a quote, so that all quotes in it are text."""
        cut_after = self._dialect.cut_after
        end = len(data) if at_end else data.rfind(cut_after, 0, -1) + 1
        whole = data[:end]
        if not end or not are_quotes_text(whole, self._dialect):
            return None
        lines = count_lines(whole)
        return RawPiece(whole, offset + end, line, lines, at_end, has_quoted_values=False)

    def _has_header(self, data: bytes) -> bool:
        """Whether a line of the data begins like the header."""
        header = self._header
        if header is None:
            return False
        starts = (b"\n", b"\r", BYTE_ORDER_MARK)
        return data.startswith(header) or any(start + header in data for start in starts)

    def _is_one_line(self, data: bytes) -> bool:
        return b"\n" not in data and b"\r" not in data[:-1]

    def _last_record_end(self, data: bytes) -> int:
        """Return the number of bytes up to the last line end outside quotes, if all quotes are regular."""
        cut_after, quote = self._dialect.cut_after, self._dialect.quote
        position = data.rfind(cut_after, 0, len(data) - (cut_after == b"\r"))
        if not quote or position < 0:
            return position + 1
        quotes = data.count(quote, 0, position)
        while position >= 0 and quotes % 2:
            # All line ends after the opening quote are part of a value.
            opening_quote = data.rfind(quote, 0, position)
            previous_line_end = data.rfind(cut_after, 0, opening_quote)
            quotes -= data.count(quote, max(previous_line_end, 0), position)
            position = previous_line_end
        return position + 1


def is_regular(data: bytes, dialect: Dialect) -> bool:
    """Whether Arrow reads the data by our rules: no comments and escapes, and all quotes begin or end a value."""
    if dialect.comment is not None or (dialect.backslash_escapes and BACKSLASH in data):
        return False
    if dialect.quote is None or dialect.quote not in data:
        return True
    pattern = _regular_pattern(dialect.delimiter, dialect.quote)
    matches = compute.match_substring_regex(pa.array([data], pa.large_binary()), pattern)
    return bool(matches[0].as_py())


def are_quotes_text(data: bytes, dialect: Dialect) -> bool:
    """Whether no value begins with a quote, and there are no comments and escapes."""
    if dialect.comment is not None or (dialect.backslash_escapes and BACKSLASH in data):
        return False
    quote = _class_of(dialect.quote or b'"')
    pattern = rf"(?:\A|[{_class_of(dialect.delimiter)}\r\n]) *{quote}"
    matches = compute.match_substring_regex(pa.array([data], pa.large_binary()), pattern)
    return not matches[0].as_py()


@lru_cache(maxsize=64)
def _regular_pattern(delimiter: bytes, quote: bytes) -> str:
    d, q = _class_of(delimiter), _class_of(quote)
    quoted = f"{q}[^{q}]*(?:{q}{q}[^{q}]*)*{q}"
    value = rf"(?:[^{q}{d}\r\n][^{q}{d}\r\n]*|{quoted}|)"
    return rf"\A{value}(?:[{d}\r\n]{value})*\z"


def _class_of(byte: bytes) -> str:
    return rf"\x{byte[0]:02x}"


@dataclass(frozen=True, slots=True)
class CsvParser:
    """Parses pieces. `names` are the columns of the file, and `null_texts` mean null where they are not quoted."""

    names: Sequence[str]
    dialect: Dialect
    null_texts: Sequence[str] = ()

    def to_texts(self, piece: RawPiece) -> pl.DataFrame:
        """Return all columns as texts. Raises arrow's ArrowInvalid for invalid records and invalid UTF-8."""
        return self._to_frame(self._parse(piece, [pa.string()] * len(self.names)))

    def to_columns(self, piece: RawPiece, columns: Mapping[str, Column]) -> pl.DataFrame:
        """Return the columns with their types. Raises ArrowInvalid if a text is not of its type."""
        types = [_arrow_type(columns.get(name, STRING)) for name in self.names]
        frame = self._to_frame(self._parse(piece, types))
        nulls = [name for name in self.names if columns.get(name) == NULL]
        if any(frame[name].null_count() < frame.height for name in nulls):
            raise pa.ArrowInvalid("a column has values now, and had none before")
        return frame.with_columns(pl.lit(None, dtype=pl.Null).alias(name) for name in nulls)

    def number_texts(self, texts: pl.Series) -> pl.Series:
        """Return the texts with decimal points, if the file has decimal commas."""
        if not self.dialect.decimal_comma:
            return texts
        with_points = texts.str.replace(r"^(-?[0-9]+)([.,])([0-9]+)$", "${1}${2}${2}${3}")
        return with_points.str.replace(",,", ".", literal=True).str.replace("..", ",", literal=True)

    def fit(
        self, texts: pl.DataFrame, columns: Mapping[str, Column]
    ) -> tuple[pl.DataFrame, dict[int, str]]:
        """Convert texts to the types of the columns.

        Also return the rows that have a text that does not fit: the name of its column, by the index of the row.
        """
        misfits: dict[int, str] = {}
        converted = []
        for series in texts.get_columns():
            column = columns.get(series.name, STRING)
            source = series if column.type is ColumnType.STRING else self.number_texts(series)
            fitted = fit_texts(source, column)
            for index in fitted.misfits.arg_true():
                misfits.setdefault(index, series.name)
            converted.append(fitted.values)
        return pl.DataFrame(converted), misfits

    def _parse(self, piece: RawPiece, types: Sequence[pa.DataType]) -> pa.Table:
        keys = [str(position) for position in range(len(self.names))]
        data = piece.data
        if not data:
            schema = pa.schema(list(zip(keys, types, strict=True)))
            return schema.empty_table()
        if not data.endswith((b"\n", b"\r")):
            data += b"\n"  # Without it, Arrow takes an empty last value for a quoted one.
        quote = self.dialect.quote if piece.has_quoted_values else None
        if quote is None and piece.is_clean:
            quote = b'"'
        return csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(column_names=keys, block_size=len(data) + 1),
            parse_options=csv.ParseOptions(
                delimiter=self.dialect.delimiter.decode(),
                quote_char=quote.decode() if quote else False,
                newlines_in_values=True,
                ignore_empty_lines=len(keys) > 1,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict(zip(keys, types, strict=True)),
                null_values=["", *self.null_texts],
                strings_can_be_null=True,
                quoted_strings_can_be_null="" in self.null_texts,
                true_values=["true"],
                false_values=["false"],
                decimal_point="," if self.dialect.decimal_comma else ".",
            ),
        )

    def _to_frame(self, table: pa.Table) -> pl.DataFrame:
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table becomes a frame
        frame.columns = list(self.names)
        return frame


_ARROW_TYPES = {
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIMESTAMP: pa.timestamp("us"),
    ColumnType.INSTANT: pa.timestamp("us", "UTC"),
}


def _arrow_type(column: Column) -> pa.DataType:
    if column.type is ColumnType.DECIMAL:
        return pa.decimal128(38, column.scale)
    return _ARROW_TYPES.get(column.type, pa.string())
