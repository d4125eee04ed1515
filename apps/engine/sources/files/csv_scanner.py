"""Read CSV records one by one, by the rules for quotes, ragged records, blank lines and comments.

The rules are in docs/reference/what-arrives.md. The scanner reads every dialect, but slowly. It is used where a piece
of a file has stray quotes, escapes, comments or invalid records; `csv_records` parses what it has cleaned, and all
other pieces, with Arrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from apps.engine.sources.files.dialects import BACKSLASH, Dialect
from apps.engine.sources.files.readers import MAX_RECORD_BYTES, NOT_UTF8, shown_text

LINE = re.compile(rb"([^\r\n]*+)(\r\n|\r|\n|\Z)")
LINE_END = re.compile(rb"\r\n|\r|\n")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
REPEATED_HEADER = "the record repeats the header, as where files were joined"


class Incomplete(Exception):
    """The data ends inside a record, and more data may follow."""


class Unreadable(Exception):
    """A record cannot be read. `position` is the byte where the reason is.

    `end` is set if the record surely has more than one line: reading goes on after the line with this byte.
    """

    def __init__(self, position: int, reason: str, end: int | None = None) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason
        self.end = end


class TooManyCells(Unreadable):
    """A record has more values than any table has columns."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a record, without its quotes."""

    text: bytes
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class ScannedRecord:
    """The values of a record, where it ends, and how many quotes are not where the rules expect them."""

    cells: list[Cell]
    end: int
    stray_quotes: int = 0


@dataclass(frozen=True, slots=True)
class BadLine:
    """A record that cannot be read: where, why, and its text."""

    line: int
    column: int  # the character in the line, from 1
    reason: str
    text: str


@dataclass(slots=True)
class CleanPiece:
    """A piece with only records that can be read, quoted by the strict rules, and the lines that cannot be read."""

    data: bytes
    end: int  # bytes of the piece that were scanned
    lines: int  # line ends in these bytes
    bad_lines: list[BadLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Patterns:
    opening: re.Pattern[bytes]
    body: re.Pattern[bytes]
    after_closing: re.Pattern[bytes]
    unquoted: re.Pattern[bytes]
    escapes: re.Pattern[bytes]  # two characters that mean the second one
    quoted_escapes: re.Pattern[bytes]
    any_opening: re.Pattern[bytes]
    with_quote: re.Pattern[bytes]  # a value that has a quote


class CsvScanner:
    """Reads records of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._patterns = _patterns(dialect.delimiter, dialect.quote, dialect.backslash_escapes)
        # Without quotes, a value with a quotation mark has to be quoted for the strict rules.
        self._special = [dialect.quote or b'"']
        if dialect.backslash_escapes:
            self._special.append(BACKSLASH)

    def is_plain(self, line: bytes) -> bool:
        """Whether the line has no quotes and escapes, so that every delimiter in it separates two values."""
        return not any(mark in line for mark in self._special)

    def has_quoted_values(self, line: bytes) -> bool:
        """Whether a value in the line may begin with a quote, or have an escape. If not, all quotes are text."""
        if self._dialect.backslash_escapes and BACKSLASH in line:
            return True
        return self._dialect.quote is not None and bool(self._patterns.any_opening.search(line))

    def quote_values(self, line: bytes) -> bytes:
        """Write a line whose quotes are text by the strict rules."""
        quote = self._dialect.quote or b'"'
        return self._patterns.with_quote.sub(
            lambda match: quote + match[0].replace(quote, quote * 2) + quote, line
        )

    def is_ignored(self, line: bytes, column_count: int) -> bool:
        """Whether the line is a comment, or blank. In a file of one column, an empty line is an empty value."""
        if self._dialect.comment and line.startswith(self._dialect.comment):
            return True
        return column_count != 1 and not line.strip(self._dialect.blanks)

    def read_record(
        self, data: bytes, start: int, *, at_end: bool, max_cells: int
    ) -> ScannedRecord:
        """Read the record at `start`. Raises Incomplete or Unreadable."""
        cells: list[Cell] = []
        position, stray_quotes = start, 0
        while True:
            cell, position, is_stray = self._read_cell(data, position, at_end=at_end)
            cells.append(cell)
            stray_quotes += is_stray
            if len(cells) > max_cells:
                raise TooManyCells(position, f"the record has more than {max_cells:,} values")
            if data[position : position + 1] != self._dialect.delimiter:
                break
            position += 1
        line_end = LINE_END.match(data, position)
        if line_end is None:
            return ScannedRecord(cells, len(data), stray_quotes)
        if not at_end and _may_go_on(line_end, data):
            raise Incomplete
        return ScannedRecord(cells, line_end.end(), stray_quotes)

    def clean(
        self,
        data: bytes,
        column_count: int,
        *,
        at_end: bool,
        first_line: int,
        fill_short: bool = False,
        header: bytes | None = None,
    ) -> CleanPiece:
        """Return the complete records of `data` that have the right number of values, and are not this header."""
        cleaner = _Cleaner(
            self,
            data,
            column_count,
            at_end=at_end,
            first_line=first_line,
            fill_short=fill_short,
            header=header,
        )
        return cleaner.run()

    def write_cells(self, cells: list[Cell]) -> bytes:
        """Write a record by the strict rules: quotes in values are doubled, nothing else is escaped."""
        quote = self._dialect.quote or b'"'
        return self._dialect.delimiter.join(self._write_cell(cell, quote) for cell in cells)

    def _write_cell(self, cell: Cell, quote: bytes) -> bytes:
        marks = (quote, self._dialect.delimiter, b"\n", b"\r")
        if cell.is_quoted or any(mark in cell.text for mark in marks):
            return quote + cell.text.replace(quote, quote * 2) + quote
        return cell.text

    def _read_cell(self, data: bytes, start: int, *, at_end: bool) -> tuple[Cell, int, bool]:
        """Return the value at `start`, its end, and whether a quote in it is not where the rules expect it."""
        opening = self._patterns.opening.match(data, start) if self._dialect.quote else None
        if opening is not None:
            return self._read_quoted(data, start, opening.end(), at_end=at_end)
        end = self._unquoted_end(data, start, at_end=at_end)
        text = data[start:end]
        is_stray = self._dialect.quote is not None and self._dialect.quote in text
        return Cell(self._unescape(text)), end, is_stray

    def _read_quoted(
        self, data: bytes, start: int, text_start: int, *, at_end: bool
    ) -> tuple[Cell, int, bool]:
        body = self._patterns.body.match(data, text_start)
        if body is None:
            if not at_end:
                raise Incomplete
            raise Unreadable(text_start - 1, "the quoted value is never closed")
        after = self._patterns.after_closing.match(data, body.end())
        if after is not None and (at_end or after.end() < len(data)):
            text = data[text_start : body.end() - 1]
            return Cell(self._unescape(text, is_quoted=True), True), after.end(), False
        if not at_end and not data[body.end() :].strip(b" "):
            raise Incomplete
        return self._read_stray(data, start, text_start, body.end(), at_end=at_end)

    def _read_stray(
        self, data: bytes, start: int, text_start: int, stray_end: int, *, at_end: bool
    ) -> tuple[Cell, int, bool]:
        """Read a value that has a quote in the middle. It ends at the next delimiter or at the end of the line."""
        if LINE_END.search(data, text_start, stray_end):
            raise self._multi_line_error(data, stray_end, at_end=at_end)
        end = self._unquoted_end(data, stray_end, at_end=at_end)
        whole = data[start:end].strip(b" ")
        if end > stray_end and whole.endswith(self._dialect.quote or b'"'):
            return Cell(self._unescape(whole[1:-1], is_quoted=True), True), end, True
        return Cell(self._unescape(data[start:end])), end, True

    def _multi_line_error(self, data: bytes, stray_end: int, *, at_end: bool) -> Unreadable:
        """Return the error for a quote inside a quoted value of several lines.

        If that quote begins a value, then the quote before it was never closed, and only its own line is bad.
        """
        before = data[stray_end - 2 : stray_end - 1]
        if before in (self._dialect.delimiter, b"\n", b"\r"):
            return Unreadable(stray_end - 1, "the quoted value before this quote is never closed")
        line_end = LINE_END.search(data, stray_end)
        if not at_end and (line_end is None or _may_go_on(line_end, data)):
            raise Incomplete
        end = line_end.end() if line_end else len(data)
        return Unreadable(stray_end - 1, "this quote inside a quoted value is not doubled", end)

    def _unquoted_end(self, data: bytes, start: int, *, at_end: bool) -> int:
        match = self._patterns.unquoted.match(data, start)
        end = match.end() if match else start
        if end == len(data) and not at_end:
            raise Incomplete
        return end

    def _unescape(self, text: bytes, *, is_quoted: bool = False) -> bytes:
        quote = self._dialect.quote or b'"'
        if self._dialect.backslash_escapes and BACKSLASH in text:
            pattern = self._patterns.quoted_escapes if is_quoted else self._patterns.escapes
            return pattern.sub(lambda match: match[0][1:], text)
        return text.replace(quote * 2, quote) if is_quoted else text


class _Cleaner:
    """Scans one piece."""

    def __init__(
        self,
        scanner: CsvScanner,
        data: bytes,
        column_count: int,
        *,
        at_end: bool,
        first_line: int,
        fill_short: bool,
        header: bytes | None,
    ) -> None:
        self._scanner = scanner
        self._delimiter = scanner._dialect.delimiter
        self._data = data
        self._column_count = column_count
        self._at_end = at_end
        self._line = self._first_line = first_line
        self._fill_short = fill_short
        self._header = header
        self._parts: list[bytes] = []
        self._unchanged_from = self._position = 0
        self._bad_lines: list[BadLine] = []

    def run(self) -> CleanPiece:
        while self._position < len(self._data):
            line = LINE.match(self._data, self._position)
            assert line is not None  # noqa: S101 - the pattern matches every position
            if not self._at_end and line.end() == len(self._data) and line[2] != b"\n":
                break
            try:
                self._scan(line)
            except Incomplete:
                if len(self._data) - self._position < MAX_RECORD_BYTES:
                    break
                reason = f"a quoted value is not closed within {MAX_RECORD_BYTES >> 20} MB"
                self._reject(line, self._position, reason)
        self._end_unchanged()
        lines = self._line - self._first_line
        return CleanPiece(b"".join(self._parts), self._position, lines, self._bad_lines)

    def _scan(self, line: re.Match[bytes]) -> None:
        text = line[1]
        if self._scanner.is_ignored(text, self._column_count):
            self._leave_out(line.end())
        elif text.removeprefix(BYTE_ORDER_MARK) == self._header:
            self._reject(line, self._position, REPEATED_HEADER)
        elif not self._scanner.is_plain(text) and self._scanner.has_quoted_values(text):
            self._scan_record(line)
        elif (problem := _invalid_position(text)) is not None:
            self._reject(line, self._position + problem, NOT_UTF8)
        elif text.count(self._delimiter) + 1 == self._column_count:
            self._add_line(line)
        else:
            self._add_record(
                line, [Cell(value) for value in text.split(self._delimiter)], line.end()
            )

    def _add_line(self, line: re.Match[bytes]) -> None:
        """Add a line that is a record without quoted values."""
        if self._scanner.is_plain(line[1]):
            self._move_to(line.end())
            return
        self._leave_out(line.end())
        self._parts += [self._scanner.quote_values(line[1]), b"\n"]

    def _scan_record(self, line: re.Match[bytes]) -> None:
        try:
            record = self._scanner.read_record(
                self._data, self._position, at_end=self._at_end, max_cells=1 << 20
            )
        except Unreadable as error:
            self._reject(line, error.position, error.reason, error.end)
            return
        text = self._data[self._position : record.end]
        if (problem := _invalid_position(text)) is not None:
            self._reject(line, self._position + problem, NOT_UTF8, record.end)
            return
        self._add_record(line, record.cells, record.end)

    def _add_record(self, line: re.Match[bytes], cells: list[Cell], end: int) -> None:
        """Add the record if it has the right number of values. Empty values at its end may be too many."""
        while len(cells) > self._column_count and cells[-1] == Cell(b""):
            cells.pop()
        if self._fill_short and len(cells) < self._column_count:
            cells += [Cell(b"")] * (self._column_count - len(cells))
        if len(cells) != self._column_count:
            values = "value" if len(cells) == 1 else "values"
            reason = (
                f"the record has {len(cells)} {values}, but there are {self._column_count} columns"
            )
            last = self._data[self._position : end].rstrip(b"\r\n")
            self._reject(line, self._position + len(last), reason, end)
            return
        self._leave_out(end)
        self._parts += [self._scanner.write_cells(cells), b"\n"]

    def _reject(
        self, line: re.Match[bytes], position: int, reason: str, end: int | None = None
    ) -> None:
        """Leave out a record and keep the reason. By default only its first line, so that reading goes on after it."""
        end = line.end() if end is None else end
        before = self._data[self._position : position]
        line_ends = list(LINE_END.finditer(before))
        line_start = line_ends[-1].end() if line_ends else 0
        self._bad_lines.append(
            BadLine(
                self._line + len(line_ends),
                len(before[line_start:].decode("utf-8", "replace")) + 1,
                reason,
                shown_text(self._data[self._position : end]),
            )
        )
        self._leave_out(end)

    def _leave_out(self, end: int) -> None:
        self._end_unchanged()
        self._move_to(end)
        self._unchanged_from = end

    def _end_unchanged(self) -> None:
        if self._position > self._unchanged_from:
            self._parts.append(self._data[self._unchanged_from : self._position])

    def _move_to(self, end: int) -> None:
        self._line += count_lines(self._data[self._position : end])
        self._position = end


def count_lines(data: bytes) -> int:
    """Return the number of line ends. A CRLF is one line end."""
    count = data.count(b"\n")
    if b"\r" in data:
        count += data.count(b"\r") - data.count(b"\r\n")
    return count


def first_lines(data: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the lines with their line ends."""
    position = 0
    while position < len(data):
        line = LINE.match(data, position)
        assert line is not None  # noqa: S101 - the pattern matches every position
        yield line
        position = line.end()


def _may_go_on(line_end: re.Match[bytes], data: bytes) -> bool:
    """Whether a line feed that is part of this line end may follow the data."""
    return line_end[0] == b"\r" and line_end.end() == len(data)


def _invalid_position(text: bytes) -> int | None:
    """Return the position of the first byte that is not UTF-8, or None."""
    if text.isascii():
        return None
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


@lru_cache(maxsize=64)
def _patterns(delimiter: bytes, quote: bytes | None, backslash: bool) -> _Patterns:
    d, q = re.escape(delimiter), re.escape(quote or b'"')
    escape, not_backslash = (rb"|\\(?:[\s\S]|\Z)", rb"\\") if backslash else (b"", b"")
    blanks = b"" if delimiter == b" " else b" *+"
    escapes = rb"\\[" + d + q + rb"\\\r\n]"
    return _Patterns(
        opening=re.compile(blanks + q),
        body=re.compile(rb"(?:[^" + q + not_backslash + rb"]++|" + q + q + escape + rb")*+" + q),
        after_closing=re.compile(blanks + rb"(?=" + d + rb"|\r|\n|\Z)"),
        unquoted=re.compile(rb"(?:[^" + d + not_backslash + rb"\r\n]++" + escape + rb")*+"),
        escapes=re.compile(escapes),
        quoted_escapes=re.compile(escapes + rb"|" + q + q),
        any_opening=re.compile(rb"(?:^|" + d + rb")" + blanks + q),
        with_quote=re.compile(rb"[^" + d + q + rb"]*" + q + rb"[^" + d + rb"]*"),
    )
