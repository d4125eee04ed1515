"""Read one sheet of an Excel workbook (.xlsx). Formulas have the values that Excel has stored; no macro is run."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

import polars as pl

from apps.engine.failures import ConfigurationError, ContractError
from apps.engine.frames.columns import NULL, Column, ColumnType, cast
from apps.engine.frames.decoding import MAX_COLUMNS
from apps.engine.frames.texts import exact_text
from apps.engine.frames.values import series_of
from apps.engine.sources.files.config import ExcelOptions
from apps.engine.sources.files.contents import WORKBOOK
from apps.engine.sources.files.names import column_names
from apps.engine.sources.files.readers import Piece, Position
from apps.engine.sources.files.streams import MAX_RATIO
from apps.engine.sources.http.responses import PermanentSourceError

MAX_ROWS = 1_048_576  # of a sheet, the limit of Excel
MAX_UNPACKED_BYTES = 1 << 30
MAX_SHARED_BYTES = 256 << 20  # of the texts, which are kept in memory
MIDNIGHT = time()

Row = Sequence[Any]
Columns = Mapping[str, Column]


class ExcelReader:
    """Reads a sheet row by row. `columns` are the types of the columns, which `decide` finds out."""

    def __init__(self, file: BinaryIO, options: ExcelOptions, label: str) -> None:
        _require_bounded(file, label)
        self.columns: Columns | None = None
        self._file = file
        self._options = options
        self._label = label
        self._sheet = self._open_sheet()
        self._rows: Iterator[Row] = iter(())
        self._next_row = -1  # number of the row that `_rows` returns next
        first = next(self._rows_from(options.skip_rows), ())
        self._first_row = options.skip_rows
        self.names = [f"column_{position}" for position in range(1, len(first) + 1)]
        if options.header == "yes":
            self.names = column_names([_text_of(value) for value in first[:MAX_COLUMNS]])
            self._first_row += 1

    def read(self, position: Position, page_size: int) -> Piece:
        rows, end = self._read_rows(position, page_size)
        return self._piece(rows, end, self.columns or {})

    def read_sample(self, position: Position, page_size: int) -> Piece:
        """Read rows with types that are decided for these rows only, as for a preview."""
        rows, end = self._read_rows(position, page_size)
        columns: dict[str, Column] = {}
        self._add(rows, columns)
        return self._piece(rows, end, columns)

    def decide(self, columns: dict[str, Column], page_size: int = 10_000) -> Iterator[None]:
        """Add the types of all values of the sheet to the columns by name. Yields now and then."""
        self._require_stored_values()
        position: Position | None = {}
        while position is not None:
            rows, end = self._read_rows(position, page_size)
            self._add(rows, columns)
            position = None if end else {"row": self._next_row}
            yield

    def row_count(self) -> int | None:
        return None

    def describe(self) -> str:
        header = (
            f"header in row {self._first_row}" if self._options.header == "yes" else "no header"
        )
        return f"Excel, sheet {self._sheet.title}, {header}"

    def _add(self, rows: Sequence[Row], columns: dict[str, Column]) -> None:
        for name, values in zip(self.names, _columns(rows, len(self.names)), strict=True):
            columns[name] = columns.get(name, NULL).widen(series_of(name, values)[1])

    def _read_rows(self, position: Position, page_size: int) -> tuple[list[Row], bool]:
        """Return rows from the position, and whether the sheet ends after them."""
        start = int(position.get("row", self._first_row))
        if start != self._next_row:
            self._rows, self._next_row = self._rows_from(start), start
        return self._take(page_size)

    def _piece(self, rows: Sequence[Row], end: bool, columns: Columns) -> Piece:
        frame = pl.DataFrame(
            [
                _typed(name, values, columns.get(name))
                for name, values in zip(self.names, _columns(rows, len(self.names)), strict=True)
            ]
        )
        return Piece(frame, None if end else {"row": self._next_row})

    def _require_stored_values(self) -> None:
        """Raise PermanentSourceError if a formula has no stored value, which would arrive as null."""
        if not self._has_formulas():
            return
        formulas = self._rows_of(self._open_sheet(data_only=False), 0)
        for number, (values, contents) in enumerate(
            zip(self._rows_from(0), formulas, strict=False), start=1
        ):
            for value, content in zip(values, contents, strict=False):
                if value is None and str(content).startswith("="):
                    raise PermanentSourceError(
                        f"{self._label}, row {number:,}: a formula has no stored value; open the workbook in Excel and"
                        " save it",
                        evidence=(str(content)[:100],),
                    )

    def _has_formulas(self) -> bool:
        self._file.seek(0)
        with (
            zipfile.ZipFile(self._file) as archive,
            archive.open(self._sheet._worksheet_path) as xml,
        ):
            tail = b""
            while chunk := xml.read(1 << 20):
                if re.search(rb"<(?:\w+:)?f[ />]", tail + chunk):
                    return True
                tail = chunk[-20:]
        return False

    def _take(self, count: int) -> tuple[list[Row], bool]:
        """Return the next rows that are not blank, with a value for each column, and whether the sheet has ended."""
        rows: list[Row] = []
        while len(rows) < count:
            row = next(self._rows, None)
            if row is None:
                return rows, True
            self._next_row += 1
            values = [_plain(value) for value in row]
            while values and values[-1] is None:
                values.pop()
            if len(values) > MAX_COLUMNS:
                raise ContractError(f"The file has more than {MAX_COLUMNS:,} columns")
            while len(values) > len(self.names):
                self.names = column_names([*self.names, ""])  # The header has no name for it.
            if values:
                rows.append(values)
        return rows, False

    def _rows_from(self, start: int) -> Iterator[Row]:
        """Yield the values of the rows from the row with this number, from 0."""
        return self._rows_of(self._sheet, start)

    def _rows_of(self, sheet: Any, start: int) -> Iterator[Row]:
        """Yield the rows of a sheet. Raises PermanentSourceError for a sheet that Excel cannot have written."""
        rows = sheet.iter_rows(min_row=start + 1, values_only=True)
        try:
            for number, row in enumerate(rows, start=start):
                if number >= MAX_ROWS:  # openpyxl yields each row before a row of any number.
                    raise ValueError(f"a row has a number above {MAX_ROWS:,}")
                yield row
        except (ParseError, zipfile.BadZipFile, zlib.error, LookupError, ValueError) as error:
            raise self._damaged(error) from error

    def _open_sheet(self, *, data_only: bool = True) -> Any:
        import openpyxl  # It is slow to import, and most runs do not need it.

        try:
            book = openpyxl.load_workbook(
                self._file, read_only=True, data_only=data_only, keep_links=False
            )
        except Exception as error:  # openpyxl raises many kinds for damaged files.
            raise self._damaged(error) from error
        name = self._options.sheet
        titles = [sheet.title for sheet in book.worksheets]
        if not titles or (name is not None and name not in titles):
            raise ConfigurationError(
                f"{self._label} has no sheet {name or ''!r}; its sheets are {', '.join(titles)}"
            )
        sheet = book[name] if name is not None else book.worksheets[0]
        sheet.reset_dimensions()  # What a file says about its size may be wrong.
        return sheet

    def _damaged(self, error: Exception) -> PermanentSourceError:
        return PermanentSourceError(
            f"{self._label} is not a complete Excel workbook (.xlsx)",
            evidence=(f"{type(error).__name__}: {error}"[:300],),
        )


def _require_bounded(file: BinaryIO, label: str) -> None:
    """Raise PermanentSourceError if the workbook would unpack to too many bytes."""
    file.seek(0)
    try:
        infos = zipfile.ZipFile(file).infolist()
    except zipfile.BadZipFile as error:
        raise PermanentSourceError(
            f"{label} is not an Excel workbook (.xlsx)", evidence=(str(error)[:300],)
        ) from error
    if WORKBOOK not in {info.filename for info in infos}:
        raise PermanentSourceError(
            f"{label} is an archive in an archive, or not an Excel workbook (.xlsx), and is not read"
        )
    shared = sum(info.file_size for info in infos if info.filename.endswith("sharedStrings.xml"))
    packed = sum(info.compress_size for info in infos)
    unpacked = sum(info.file_size for info in infos)
    if unpacked > MAX_UNPACKED_BYTES or shared > MAX_SHARED_BYTES or len(infos) > 10_000:
        raise PermanentSourceError(
            f"{label} unpacks to more than {MAX_UNPACKED_BYTES >> 20:,} MB, or has more than"
            f" {MAX_SHARED_BYTES >> 20} MB of texts; save it as CSV"
        )
    if unpacked > MAX_RATIO * max(packed, 1):
        raise PermanentSourceError(f"{label} unpacks to more than {MAX_RATIO:,} times its size")


def _columns(rows: Sequence[Row], width: int) -> Iterator[list[Any]]:
    """Yield the values of each column. Rows may be shorter than the table."""
    for index in range(width):
        yield [row[index] if index < len(row) else None for row in rows]


def _plain(value: Any) -> Any:
    """Return a value as the rules say: an empty text is null, and a time at midnight is a date."""
    if value == "":
        return None
    if isinstance(value, datetime) and value.time() == MIDNIGHT:
        return value.date()
    return value


def _text_of(value: Any) -> str:
    return "" if value is None else exact_text(_plain(value))


def _typed(name: str, values: Sequence[Any], column: Column | None) -> pl.Series:
    """Return the values in the type of the column. In a text column, each value has its own exact text."""
    if column is None:
        return series_of(name, values)[0]
    if column.type is ColumnType.STRING:
        texts = [None if value is None else exact_text(value) for value in values]
        return pl.Series(name, texts, dtype=pl.String)
    if column.type is ColumnType.TIMESTAMP:
        values = [_at_midnight(value) for value in values]
    return cast(series_of(name, values)[0], column.dtype)


def _at_midnight(value: Any) -> Any:
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    return datetime.combine(value, MIDNIGHT) if is_day else value
