"""CSV files according to RFC 4180, in UTF-8, each with a header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import polars as pl
from polars import selectors as cs

from apps.engine.destinations.csv.config import CsvConfig
from apps.engine.destinations.file_sets.destination import FilesDestination
from apps.engine.destinations.file_sets.formats import FileFormat
from apps.engine.destinations.file_sets.reading import texts_of
from apps.engine.destinations.stored_rows import Row
from apps.engine.frames.columns import MAX_EXACT_INTEGER, Column, InexactCast, as_text, cast_exactly

FORMULA_START = r"^([=+\-@\t\r])"


class CsvFormat(FileFormat):
    """Null is an empty cell, and empty text is a quoted empty cell.

    In a file with one column, all cells are quoted. Times are ISO 8601, and bytes are base64.
    """

    name = "csv"
    extension = "csv"
    media_type = "text/csv"

    def __init__(self, delimiter: str, *, escape_formulas: bool) -> None:
        self._delimiter = delimiter
        self._escape_formulas = escape_formulas

    def write(
        self,
        frame: pl.DataFrame,
        sink: BinaryIO,
        columns: Mapping[str, Column],
        *,
        is_rewrite: bool,
    ) -> None:
        texts = frame.with_columns(
            [as_text(series) for series in frame.select(cs.temporal() | cs.binary())]
        )
        if self._escape_formulas and not is_rewrite:
            texts = _escape_formulas(texts)
        texts.write_csv(
            sink,
            separator=self._delimiter,
            line_terminator="\r\n",
            # An unquoted empty cell in a file of one column would be an empty line, which readers skip.
            quote_style="always" if frame.width == 1 else "necessary",
        )

    def widen(
        self, part: Path | bytes, old_columns: Mapping[str, Column], target: pl.Schema
    ) -> pl.DataFrame:
        frame = pl.read_csv(
            part,
            has_header=False,
            separator=self._delimiter,
            infer_schema=False,
            new_columns=list(old_columns),
        ).slice(1)
        empty_column = pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
        return pl.DataFrame(
            {
                name: _respelled(frame[name], dtype) if name in old_columns else empty_column
                for name, dtype in target.items()
            }
        )

    def read_rows(
        self,
        part: Path | bytes,
        columns: Mapping[str, Column],
        names: Sequence[str],
        offset: int,
        limit: int,
    ) -> list[Row]:
        frame = pl.read_csv(
            part,
            has_header=False,
            separator=self._delimiter,
            infer_schema=False,
            new_columns=list(columns),
            # The first line is the header.
            n_rows=1 + offset + limit,
            encoding="utf8-lossy",
            truncate_ragged_lines=True,
        )
        return texts_of(frame.slice(1 + offset), names)


class CsvDestination(FilesDestination):
    """Writes CSV files."""

    Config = CsvConfig
    config: CsvConfig

    def make_format(self) -> FileFormat:
        return CsvFormat(self.config.delimiter, escape_formulas=self.config.escape_formulas)


def _respelled(texts: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return numbers as they are written in newer files: an integer column may have become one of floats or decimals.

    Raises InexactCast if that would change a number.
    """
    if not (dtype.is_float() or dtype.is_decimal()):
        return texts
    if dtype.is_float():
        whole = texts.filter(texts.str.contains(r"^-?\d+$"))
        integers = whole.cast(pl.Int64, strict=False)
        if integers.null_count() or (integers.abs() > MAX_EXACT_INTEGER).any():
            raise InexactCast(texts.name)
    return cast_exactly(texts, dtype)


def _escape_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    escaped = frame.with_columns(cs.string().str.replace(FORMULA_START, "'${1}"))
    headings = pl.Series(frame.columns)
    is_formula = headings.str.contains(FORMULA_START)
    return escaped.rename({name: f"'{name}" for name in headings.filter(is_formula)})
