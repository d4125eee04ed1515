"""Read CSV in pieces: find where records end, and detect the types of columns.

Every column is read as text, and its type is detected for each piece. If a column of numbers has a text in one piece,
it is a text column in that piece, and the stream's schema widens. No value is lost, and the run does not fail.
"""

from __future__ import annotations

import re
from io import BytesIO

import polars as pl

from apps.engine.sources.files.config import CsvOptions
from apps.engine.sources.http.responses import PermanentSourceError

BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
BLANK_LINE = re.compile(rb"^[ \t]*\r?\n", re.MULTILINE)
MAX_FLOAT_DIGITS = 17  # enough for any 64-bit float; a number with more digits remains text, so that no digit is lost
NUMBER_PATTERN = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
DATE_PATTERN = r"^\d{4}-\d{2}-\d{2}$"
TIMESTAMP_PATTERN = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?"
ZONE_PATTERN = r"(Z|[+-]\d{2}:?\d{2})$"


def record_end(data: bytes, quote: str | None) -> int:
    """Return the number of bytes up to the last line break that ends a record, or 0 if no record is complete."""
    position = data.rfind(b"\n")
    if not quote or position < 0:
        return position + 1
    quote_byte = quote.encode()
    quotes = data.count(quote_byte, 0, position)
    while position >= 0 and quotes % 2:
        # All line breaks after the opening quote are part of a value.
        opening_quote = data.rfind(quote_byte, 0, position)
        previous_line_break = data.rfind(b"\n", 0, opening_quote)
        quotes -= data.count(quote_byte, max(previous_line_break, 0), position)
        position = previous_line_break
    return position + 1


def parse_header(line: bytes, options: CsvOptions) -> list[str]:
    """Return the column names of a header line. The position is appended to empty and repeated names."""
    if not line.strip():
        return []
    row = _read_csv(line.removeprefix(b"\xef\xbb\xbf"), options, None).row(0)
    names: list[str] = []
    for position, cell in enumerate(row, start=1):
        name = str(cell).strip() if cell else f"column_{position}"
        names.append(name if name not in names else f"{name}_{position}")
    return names


def parse_records(data: bytes, names: list[str] | None, options: CsvOptions) -> pl.DataFrame:
    """Parse the records into a frame of typed columns. Raises PermanentSourceError if a record is invalid."""
    if names is not None and len(names) > 1:
        data = remove_blank_lines(data, options.quote)
    frame = _read_csv(data, options, names)
    if not options.infer_types:
        return frame
    return frame.select([detect_type(column) for column in frame.get_columns()])


def remove_blank_lines(data: bytes, quote: str | None) -> bytes:
    """Remove empty lines. Empty lines inside quotes are part of a value, and are not removed."""
    if not BLANK_LINE.search(data):
        return data
    if not quote:
        return BLANK_LINE.sub(b"", data)
    parts = data.split(quote.encode())
    parts[0] = BLANK_LINE.sub(b"", parts[0])
    for position in range(2, len(parts), 2):
        line_end, line_break, lines = parts[position].partition(b"\n")
        parts[position] = line_end + line_break + BLANK_LINE.sub(b"", lines)
    return quote.encode().join(parts)


def detect_type(texts: pl.Series) -> pl.Series:
    """Convert texts to the narrowest type that preserves their meaning: 007 remains text, and 1e3 is a number."""
    first = texts.first(ignore_nulls=True)
    if first is None:
        return texts.cast(pl.Null)
    for convert in (_to_integers, _to_numbers, _to_booleans, _to_dates, _to_timestamps):
        series = convert(texts, str(first))
        if series is not None and series.null_count() == texts.null_count():
            return series
    return texts


def _to_integers(texts: pl.Series, first: str) -> pl.Series | None:
    if not first.lstrip("-").isdecimal():
        return None
    integers = texts.cast(pl.Int64, strict=False)
    if integers.null_count() > texts.null_count():
        return None
    # A text is an integer only if formatting the integer gives the same text: 007 and +7 are not.
    return integers if (integers.cast(pl.String) == texts).all() else None


def _to_numbers(texts: pl.Series, first: str) -> pl.Series | None:
    if not first.lstrip("-")[:1].isdecimal() or not texts.str.contains(NUMBER_PATTERN).all():
        return None
    digits = texts.str.replace(r"[eE].*$", "").str.replace_all(r"^-?0*\.?0*|\.", "")
    longest = digits.str.len_bytes().max()
    if isinstance(longest, int) and longest > MAX_FLOAT_DIGITS:
        return None
    return texts.cast(pl.Float64, strict=False)


def _to_booleans(texts: pl.Series, first: str) -> pl.Series | None:
    if first not in BOOLEANS:
        return None
    return texts.replace_strict(BOOLEANS, default=None, return_dtype=pl.Boolean)


def _to_dates(texts: pl.Series, first: str) -> pl.Series | None:
    if len(first) != 10 or not texts.str.contains(DATE_PATTERN).all():
        return None
    return texts.str.to_date("%Y-%m-%d", strict=False)


def _to_timestamps(texts: pl.Series, first: str) -> pl.Series | None:
    if len(first) < 19 or first[4:5] != "-":
        return None
    has_zone = first[-1] == "Z" or first[-3:-2] == ":" or first[-5] in "+-"
    pattern = TIMESTAMP_PATTERN + (
        ZONE_PATTERN if has_zone and not first[-6:].startswith(":") else "$"
    )
    if not texts.str.contains(pattern).all():
        return None
    iso_texts = texts.str.replace(" ", "T", literal=True)
    if pattern.endswith(ZONE_PATTERN):
        texts_with_offset = iso_texts.str.replace(r"Z$", "+00:00")
        return texts_with_offset.str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False
        )
    return iso_texts.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)


def _read_csv(data: bytes, options: CsvOptions, names: list[str] | None) -> pl.DataFrame:
    schema = None if names is None else dict.fromkeys(names, pl.String)
    if not data.strip():
        return pl.DataFrame(schema=schema)
    if options.encoding != "utf-8":
        data = data.decode(options.encoding, "replace").encode()
    try:
        return pl.read_csv(
            BytesIO(data),
            has_header=False,
            schema=schema,
            infer_schema=False,
            separator=options.delimiter,
            quote_char=options.quote,
            null_values=options.null_values,
        )
    except pl.exceptions.PolarsError as error:
        line = str(error).splitlines()[0][:300]
        raise PermanentSourceError("the CSV cannot be read", evidence=(line,)) from error
