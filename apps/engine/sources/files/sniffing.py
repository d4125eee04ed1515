"""Detect the dialect of a CSV file from its beginning. Settings of the user are never overruled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from apps.engine.sources.files.config import CsvOptions
from apps.engine.sources.files.csv_scanner import (
    CsvScanner,
    Incomplete,
    ScannedRecord,
    Unreadable,
    count_lines,
    first_lines,
)
from apps.engine.sources.files.dialects import BACKSLASH, Dialect
from apps.engine.sources.files.names import header_evidence

SAMPLE_BYTES = 256 << 10
SAMPLE_RECORDS = 200
MAX_SKIPPED_LINES = 50
MAX_CELLS = 5_000  # of a record in the sample
DELIMITERS = (b",", b"\t", b";", b"|", b"\x01")
# Excel reads the delimiter from such a line.
EXCEL_HINT = re.compile(rb"sep=(.)\r?\n", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"-?[0-9]+,[0-9]+")
THOUSANDS = re.compile(r"-?[0-9]{1,3},[0-9]{3}")
DECIMAL_POINT = re.compile(r"-?[0-9]+\.[0-9]+")


@dataclass(frozen=True, slots=True)
class _SampledRecord:
    """A record of the sample, and the number of its first line, from 0."""

    values: tuple[str, ...]
    line: int
    quoted: int  # values in quotes


@dataclass(frozen=True, slots=True)
class _Sample:
    """The sample as one dialect reads it."""

    dialect: Dialect
    records: tuple[_SampledRecord, ...]
    strays: int  # quotes and records that do not follow the rules

    @property
    def width(self) -> int:
        """The most common number of values in a record; the larger one if two are as common."""
        counts = Counter(len(record.values) for record in self.records)
        return max(counts, key=lambda width: (counts[width], width), default=0)

    @property
    def fitness(self) -> tuple[float, int, bool, int]:
        """How well the dialect explains the sample."""
        if self.width < 2:
            return (0.0, -self.strays, False, 0)
        fitting = sum(len(record.values) == self.width for record in self.records)
        is_header_fitting = len(self.records[0].values) == self.width
        share = fitting / len(self.records)
        return (round(share, 1), -self.strays, is_header_fitting, self.width)


def sniff(sample: bytes, options: CsvOptions, *, is_tsv: bool = False) -> Dialect:
    """Return the dialect of a file that begins with these bytes of UTF-8."""
    sample, hint = _cut_sample(sample)
    delimiters = _delimiters(sample, options, hint, is_tsv=is_tsv)
    common = Dialect(
        comment=options.comment.encode() if options.comment else None, line_end=_line_end(sample)
    )
    samples = [
        _read_sample(
            sample, replace(common, delimiter=delimiter, quote=quote, backslash_escapes=escapes)
        )
        for delimiter, quote, escapes in product(
            delimiters, _quotes(sample, options), _escapes(sample, options)
        )
    ]
    best = max(samples, key=lambda candidate: candidate.fitness)
    return _with_header(best, options, has_hint=hint is not None)


def _cut_sample(sample: bytes) -> tuple[bytes, bytes | None]:
    """Return the sample up to its last line end, and the delimiter that its first line names for Excel."""
    hint = EXCEL_HINT.match(sample)
    if len(sample) >= SAMPLE_BYTES:
        last_line_end = max(sample.rfind(b"\n"), sample.rfind(b"\r", 0, -1))
        sample = sample[: last_line_end + 1] or sample
    return sample, hint[1] if hint else None


def _line_end(sample: bytes) -> bytes:
    if b"\r\n" in sample:
        return b"\r\n"
    return b"\r" if b"\r" in sample and b"\n" not in sample else b"\n"


def _delimiters(
    sample: bytes, options: CsvOptions, hint: bytes | None, *, is_tsv: bool
) -> Sequence[bytes]:
    if options.delimiter is not None:
        return [options.delimiter.encode()]
    if hint is not None:
        return [hint]
    if is_tsv:
        return [b"\t"]
    return [delimiter for delimiter in DELIMITERS if delimiter in sample] or [b","]


def _quotes(sample: bytes, options: CsvOptions) -> Sequence[bytes | None]:
    if options.quote == "none":
        return [None]
    if options.quote != "auto":
        return [options.quote.encode()]
    # Apostrophes are quotes only in a file without other quotes. The first candidate wins if both are equally good.
    has_only_apostrophes = sample.count(b"'") >= 4 and b'"' not in sample
    return [b'"', b"'"] if has_only_apostrophes else [b'"']


def _escapes(sample: bytes, options: CsvOptions) -> Sequence[bool]:
    if options.escape != "auto":
        return [options.escape == "backslash"]
    return [False, True] if BACKSLASH in sample else [False]


def _read_sample(sample: bytes, dialect: Dialect) -> _Sample:
    scanner = CsvScanner(dialect)
    records: list[_SampledRecord] = []
    strays = 0
    for record, line, is_complete in _records(sample, scanner):
        if record is None:
            strays += 2
            continue
        strays += record.stray_quotes
        if is_complete or not records:
            values = tuple(cell.text.decode("utf-8", "replace") for cell in record.cells)
            quoted = sum(cell.is_quoted for cell in record.cells)
            records.append(_SampledRecord(values, line, quoted))
    if dialect.quote == b"'" and not _has_quoted_column(records):
        strays += 1_000  # The apostrophes are part of the texts.
    return _Sample(dialect, tuple(records), strays)


def _records(
    sample: bytes, scanner: CsvScanner
) -> Iterator[tuple[ScannedRecord | None, int, bool]]:
    """Yield the first records with the numbers of their lines. A line that cannot be read is None."""
    is_whole = len(sample) < SAMPLE_BYTES
    position = line_number = count = 0
    for line in first_lines(sample):
        if count >= SAMPLE_RECORDS:
            return
        if line.start() < position:
            continue  # The line is part of the record before.
        line_number += count_lines(sample[position : line.start()])
        position = line.start()
        if scanner.is_ignored(line[1], 2):
            continue
        count += 1
        try:
            record = scanner.read_record(sample, position, at_end=is_whole, max_cells=MAX_CELLS)
        except Incomplete:
            return
        except Unreadable:
            yield None, line_number, False
            continue
        yield record, line_number, True
        line_number += count_lines(sample[position : record.end])
        position = record.end


def _has_quoted_column(records: Sequence[_SampledRecord]) -> bool:
    """Whether the apostrophes look like quotes: most records have at least one value in them."""
    return sum(record.quoted > 0 for record in records) * 2 > len(records)


def _with_header(sample: _Sample, options: CsvOptions, *, has_hint: bool) -> Dialect:
    """Return the dialect with the lines before the table, the header and the decimal mark."""
    records = list(sample.records)
    skipped = options.skip_lines
    if skipped is None:
        first = _first_record_of_table(sample, options)
        skipped = records[first].line if first else int(has_hint)
        records = records[first:]
    else:
        records = [record for record in records if record.line >= skipped]
    if has_hint and records and records[0].line == 0:
        records = records[1:]
        skipped = max(skipped, 1)
    evidence = _header_evidence(records, options)
    header = evidence >= 0 if options.header == "auto" else options.header == "yes"
    dialect = replace(
        sample.dialect,
        skip_lines=skipped,
        header=header,
        is_header_certain=evidence != 0 or options.header != "auto",
    )
    values = records[1:] if header else records
    is_comma = options.decimal == "comma" or (
        options.decimal == "auto" and dialect.delimiter != b"," and _has_decimal_commas(values)
    )
    return replace(dialect, decimal_comma=is_comma)


def _first_record_of_table(sample: _Sample, options: CsvOptions) -> int:
    """Return the index of the first record that is part of the table.

    Lines before it are skipped if they begin with #, or if they are single values above an obvious header.
    """
    width = sample.width
    if width < 2:
        return 0
    for index, record in enumerate(sample.records[:MAX_SKIPPED_LINES]):
        if len(record.values) == width:
            before = sample.records[:index]
            are_comments = all(other.values[0].startswith("#") for other in before)
            is_obvious = _header_evidence(sample.records[index:], options) > 0
            return index if are_comments or is_obvious else 0
        if len(record.values) > 1 and not record.values[0].startswith("#"):
            return 0
    return 0


def _header_evidence(records: Sequence[_SampledRecord], options: CsvOptions) -> int:
    return header_evidence([record.values for record in records], missing=options.null_values)


def _has_decimal_commas(records: Sequence[_SampledRecord]) -> bool:
    """Whether numbers have decimal commas. It is not detected if they may be separators of thousands."""
    values = [value for record in records for value in record.values]
    commas = [value for value in values if DECIMAL_COMMA.fullmatch(value)]
    has_points = any(map(DECIMAL_POINT.fullmatch, values))
    return bool(commas) and not has_points and not all(map(THOUSANDS.fullmatch, commas))
