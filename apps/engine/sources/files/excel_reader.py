"""Read one sheet of an Excel workbook (.xlsx). Formulas have the values that Excel has stored; no macro is run."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, datetime, time
from itertools import islice, repeat
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
from apps.engine.sources.files.names import (
    column_names,
    header_evidence,
    header_of_stream,
    require_columns_of_stream,
)
from apps.engine.sources.files.readers import Piece, Position
from apps.engine.sources.files.streams import MAX_RATIO
from apps.engine.sources.http.responses import PermanentSourceError

SAMPLE_ROWS = 200
MAX_TITLE_ROWS = 50
MAX_ROWS = 1_048_576  # of a sheet, the limit of Excel
MAX_UNPACKED_BYTES = 1 << 30
MAX_SHARED_BYTES = 256 << 20  # of the texts, which are kept in memory
MIDNIGHT = time()
# A character that XML cannot have, or `_` before such a text. Half a character is text as it stands.
ESCAPED = re.compile("_x(?![dD][89a-fA-F])([0-9A-Fa-f]{4})_")

Row = Sequence[Any]
SampledRow = tuple[int, list[str]]  # the number of a row, from 0, and its texts
Columns = Mapping[str, Column]


class ExcelReader:
    """Reads a sheet row by row. `columns` are the types of the columns, which `decide` finds out.

    `has_header` is what the first file of the stream has, and None for that file.
    """

    def __init__(
        self,
        file: BinaryIO,
        options: ExcelOptions,
        label: str,
        *,
        has_header: bool | None = None,
    ) -> None:
        _require_bounded(file, label)
        self.columns: Columns | None = None
        self._file = file
        self._options = options
        self._label = label
        self._sheet = self._open_sheet()
        self._rows: Iterator[Row] = iter(())
        self._next_row = -1  # number of the row that `_rows` returns next
        rows = self._sample()
        rows = rows[self._title_rows(rows) :]
        self.has_header = self._find_header(rows, has_header)
        self._first_row, first = rows[0] if rows else (options.skip_rows or 0, [])
        self.names = [f"column_{position}" for position in range(1, len(first) + 1)]
        if self.has_header:
            self.names = column_names(first)
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
        position: Position | None = {}
        while position is not None:
            rows, end = self._read_rows(position, page_size)
            self._add(rows, columns)
            position = None if end else {"row": self._next_row}
            yield

    def require_columns_of_stream(self, known: Set[str]) -> None:
        """Raise ContractError if the sheet has none of these columns of the stream, which may be none yet."""
        require_columns_of_stream(
            self._label, self.names, known, all_of_them=False, read_as=self.describe()
        )

    def row_count(self) -> int | None:
        return None

    def describe(self) -> str:
        header = f"header in row {self._first_row}" if self.has_header else "no header"
        return f"Excel, sheet {self._sheet.title}, {header}"

    def _sample(self) -> list[SampledRow]:
        """Return the first rows that are not blank, after those that the settings skip."""
        start = self._options.skip_rows or 0
        texts = (
            (number, _trimmed([_text_of(value) for value in row[:MAX_COLUMNS]]))
            for number, row in enumerate(self._rows_from(start), start)
        )
        return list(islice(((number, row) for number, row in texts if row), SAMPLE_ROWS))

    def _title_rows(self, rows: Sequence[SampledRow]) -> int:
        """Return how many rows above the table have a title or notes: one value each, above a blank row or an obvious
        header of several columns.

        Raises ConfigurationError if the first row may be a title or the header.
        """
        if self._options.skip_rows is not None or self._options.header == "no":
            return 0
        widths = [sum(map(bool, texts)) for _, texts in rows]
        index = next((index for index, width in enumerate(widths) if width > 1), 0)
        is_table = sum(width > 1 for width in widths[index:]) * 2 > len(widths) - index
        if not is_table or not 0 < index < MAX_TITLE_ROWS:
            return 0
        is_apart = rows[index][0] > rows[index - 1][0] + 1
        if is_apart or header_evidence(_padded(rows[index:])) > 0:
            return index
        row = rows[index][0]
        raise ConfigurationError(
            f"{self._label}: the rows above row {row + 1} have one value each; set `excel.skip_rows` to {row} if they are"
            " not part of the table, or to 0"
        )

    def _find_header(self, rows: Sequence[SampledRow], has_header: bool | None) -> bool:
        setting = self._options.header
        evidence = header_evidence(_padded(rows))
        return header_of_stream(
            self._label,
            header=evidence >= 0 if setting == "auto" else setting == "yes",
            is_certain=evidence != 0 or setting != "auto",
            of_first_file=has_header,
            setting="excel.header",
        )

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
        """Yield the values of the rows from the row with this number, from 0.

        Raises PermanentSourceError for a sheet that Excel cannot have written, and for formulas without a value.
        """
        following = 0  # number of the row that may follow
        try:
            for index, values in self._stored_rows():
                if index < following:
                    raise ValueError("its rows are not in order")
                if index >= MAX_ROWS:
                    raise ValueError(f"a row has a number above {MAX_ROWS:,}")
                yield from repeat((), index - max(following, start))
                following = index + 1
                if index >= start:
                    yield values
        except (ParseError, zipfile.BadZipFile, zlib.error, LookupError, ValueError) as error:
            raise self._damaged(error) from error

    def _stored_rows(self) -> Iterator[tuple[int, Row]]:
        """Yield the rows of the sheet that the file has, with their numbers from 0."""
        from openpyxl.worksheet import _reader as sheets
        from openpyxl.xml.functions import iterparse

        book = self._sheet.parent
        with self._sheet._get_source() as xml:
            parser = sheets.WorkSheetParser(
                xml,
                self._sheet._shared_strings,
                data_only=True,
                epoch=book.epoch,
                date_formats=book._date_formats,
                timedelta_formats=book._timedelta_formats,
            )
            for _, element in iterparse(xml):
                if element.tag == sheets.ROW_TAG:
                    number, cells = parser.parse_row(element)
                    yield number - 1, [*self._values(number, element, cells)]
                    element.clear()
                elif element.tag == sheets.DATA_TAG:
                    return  # What follows describes the sheet.

    def _values(self, row: int, element: Any, cells: Sequence[dict[str, Any]]) -> Iterator[Any]:
        """Yield the values of the cells of a row, also of those that are left out. Raises PermanentSourceError."""
        following = 1  # number of the column that may follow
        for stored, cell in zip(element, cells, strict=True):
            if cell["column"] < following:
                raise ValueError(f"the cells of row {row:,} are not in order")
            yield from repeat(None, cell["column"] - following)
            following = cell["column"] + 1
            if cell["value"] is None:
                self._require_no_formula(row, stored)
            yield _number_of_date(stored, cell)

    def _require_no_formula(self, row: int, stored: Any) -> None:
        """Raise PermanentSourceError if a formula has no stored value. An empty text is stored as one without value."""
        formula = next((part for part in stored if part.tag.rpartition("}")[2] == "f"), None)
        if formula is not None and stored.get("t") != "str":
            raise PermanentSourceError(
                f"{self._label}, row {row:,}: a formula has no stored value; open the workbook in Excel and save it",
                evidence=(f"={formula.text or ''}"[:100],),
            )

    def _open_sheet(self) -> Any:
        try:
            book = _open_book(self._file)
        except Exception as error:  # openpyxl raises many kinds for damaged files.
            raise self._damaged(error) from error
        name = self._options.sheet
        titles = [sheet.title for sheet in book.worksheets]
        if not titles:
            raise PermanentSourceError(
                f"{self._label} has no sheet that can be read; save a workbook of the type Strict Open XML as a plain .xlsx"
            )
        if name is not None and name not in titles:
            raise ConfigurationError(
                f"{self._label} has no sheet {name!r}; its sheets are {', '.join(titles)}"
            )
        return book[name] if name is not None else book.worksheets[0]

    def _damaged(self, error: Exception) -> PermanentSourceError:
        return PermanentSourceError(
            f"{self._label} is not a complete Excel workbook (.xlsx)",
            evidence=(f"{type(error).__name__}: {error}"[:300],),
        )


def _open_book(file: BinaryIO) -> Any:
    """Return the workbook of openpyxl, without the parts that have no values, such as charts and properties."""
    from openpyxl.reader import excel  # It is slow to import, and most runs do not need it.

    reader = excel.ExcelReader(file, read_only=True, data_only=True, keep_links=False)
    reader.read_manifest()
    reader.shared_strings = _shared_texts(reader)
    reader.read_workbook()
    excel.apply_stylesheet(reader.archive, reader.wb)
    reader.read_chartsheet = lambda *_: None
    reader.read_worksheets()
    return reader.wb


def _shared_texts(reader: Any) -> list[str]:
    """Return the texts of the workbook as they are stored; openpyxl would change those that contain `x005F_`."""
    from openpyxl.cell.text import Text
    from openpyxl.reader import excel
    from openpyxl.xml.constants import SHEET_MAIN_NS
    from openpyxl.xml.functions import iterparse

    part = reader.package.find(excel.SHARED_STRINGS)
    if part is None:
        return []
    texts: list[str] = []
    with reader.archive.open(part.PartName[1:]) as xml:
        for _, element in iterparse(xml):
            if element.tag == f"{{{SHEET_MAIN_NS}}}si":
                texts.append(Text.from_tree(element).content)
                element.clear()
    return texts


def _require_bounded(file: BinaryIO, label: str) -> None:
    """Raise PermanentSourceError if the workbook would unpack to too many bytes."""
    file.seek(0)
    try:
        infos = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError) as error:  # ValueError is of a file that is too short.
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
    if isinstance(value, str):
        return ESCAPED.sub(_unescaped, value) or None
    if isinstance(value, datetime) and value.time() == MIDNIGHT:
        return value.date()
    return value


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _number_of_date(stored: Any, cell: Mapping[str, Any]) -> Any:
    """Return the value of a cell; for a date that Excel cannot show, after the year 9999, the number that is stored."""
    if cell["data_type"] != "e" or stored.get("t", "n") != "n":
        return cell["value"]
    number = float(next(part.text for part in stored if part.tag.rpartition("}")[2] == "v"))
    return int(number) if number.is_integer() else number


def _trimmed(texts: list[str]) -> list[str]:
    """Return the texts without empty ones at the end."""
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _padded(rows: Sequence[SampledRow]) -> list[list[str]]:
    """Return the texts of rows, with the same number of texts in each."""
    width = max((len(texts) for _, texts in rows), default=0)
    return [texts + [""] * (width - len(texts)) for _, texts in rows]


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
