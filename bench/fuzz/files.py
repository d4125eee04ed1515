"""Compare the readers of files with Python's own: `python -m bench.fuzz.files --seconds 60 --seed 1`.

Each seed writes one random file and reads it in pieces of random sizes. The first difference ends the program with
its seed. It is no part of `make test`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from apps.engine.failures import EngineError
from apps.engine.frames.text_types import TextColumn, fit_texts
from apps.engine.sources.files import readers
from apps.engine.sources.files.config import CsvOptions
from apps.engine.sources.files.csv_reader import CsvReader
from apps.engine.sources.files.json_readers import JsonLinesReader, JsonReader
from apps.engine.sources.files.readers import Position, Reader

PIECE_BYTES = (1, 3, 7, 50, 1 << 20)
LABEL = "a.csv"
# (alphabet, encoding) of texts that are no valid CSV
ALPHABETS = (
    ('a",\n', "utf-8"),
    ('a",\n\r ', "utf-8"),
    ('ab"\\,\n', "utf-8"),
    ('aé",\n\xff', "latin-1"),
)


class Different(Exception):
    """Two readers do not agree."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_000)
    arguments = parser.parse_args()
    readers.BYTES_PER_ROW = 1
    seed, deadline = arguments.seed, time.monotonic() + arguments.seconds
    print(f"first seed {seed}")  # noqa: T201
    while time.monotonic() < deadline:
        chance = random.Random(seed)  # noqa: S311
        try:
            chance.choice(COMPARISONS)(chance)
        except Different as difference:
            print(f"seed {seed} differs: {difference}")  # noqa: T201
            return 1
        seed += 1
    print(f"no difference before seed {seed}")  # noqa: T201
    return 0


def compare_csv_with_the_csv_module(chance: random.Random) -> None:
    """Write a random table in a random dialect, and read it with the settings of the dialect."""
    delimiter, quote = chance.choice(",;\t|"), chance.choice("\"'")
    line_end, escapes = chance.choice(("\n", "\r\n", "\r")), chance.random() < 0.3
    quoting: Any = chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC))
    alphabet = "ab1 é€" + delimiter + quote + chance.choice(("", "\\"))
    # The csv module quotes line ends in a value only if they are those of the file.
    alphabet += "\n\r" if quoting == csv.QUOTE_ALL else "" if line_end == "\r" else "\n"
    width = chance.randrange(1, 5)
    rows = [[_text(chance, alphabet) for _ in range(width)] for _ in range(chance.randrange(12))]
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=delimiter,
        quotechar=quote,
        lineterminator=line_end,
        quoting=quoting,
        doublequote=not escapes,
        escapechar="\\" if escapes else None,
    )
    writer.writerow([f"c{index}" for index in range(width)])
    writer.writerows(rows)
    data = text.getvalue().encode(chance.choice(("utf-8", "utf-8-sig", "utf-16", "utf-32")))
    options = CsvOptions(
        delimiter=delimiter,
        quote=quote,
        escape="backslash" if escapes else "double",
        header="yes",
        skip_lines=0,
        infer_types=False,
    )
    read = _read_csv(data, options, chance.choice(PIECE_BYTES))
    texts = [["" if value is None else value for value in row] for row in read[0]]
    _require_equal((texts, []), (rows, read[1]), data)


def compare_pieces_of_any_text(chance: random.Random) -> None:
    """Read a text that may be no valid CSV in pieces of different sizes, which must not matter."""
    alphabet, encoding = chance.choice(ALPHABETS)
    data = b"x,y\n" + _text(chance, alphabet, 60).encode(encoding)
    options = CsvOptions(
        delimiter=",",
        quote=chance.choice(('"', "none")),
        escape=chance.choice(("double", "backslash")),
        header="yes",
        skip_lines=0,
        encoding="utf-8",
        infer_types=False,
    )
    results = [_read_csv(data, options, size) for size in PIECE_BYTES]
    for result in results[1:]:
        _require_equal(result, results[0], data)


def compare_types_with_their_texts(chance: random.Random) -> None:
    """Decide the type of a column of texts in one piece and in several, and write the values back."""
    texts = [_value_text(chance) for _ in range(chance.randrange(1, 6))]
    whole, pieces = TextColumn(), TextColumn()
    whole.add(pl.Series(texts, dtype=pl.String))
    for text in texts:
        pieces.add(pl.Series([text], dtype=pl.String))
    _require_equal(pieces.column, whole.column, texts)
    fitted = fit_texts(pl.Series(texts, dtype=pl.String), whole.column)
    _require_equal(fitted.misfits.any(), False, texts)
    if fitted.values.dtype.is_numeric():
        expected = [Decimal(text) for text in texts]
        _require_equal([Decimal(str(value)) for value in fitted.values], expected, texts)


def compare_json_with_the_json_module(chance: random.Random) -> None:
    """Write random records as lines and as a document, and read them in pages of one record and more."""
    records = [_json_record(chance) for _ in range(chance.randrange(8))]
    indent = chance.choice((None, 1))
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    document = json.dumps(
        {"skip": [{"a": "]}"}], "data": records, "end": 1}, indent=indent
    ).encode()
    readers.MIN_PIECE_BYTES = chance.choice(PIECE_BYTES)
    page_size = chance.choice((1, 2, 100))
    for reader, data in (
        (JsonLinesReader(io.BytesIO(lines), LABEL), lines),
        (JsonReader(io.BytesIO(document), LABEL, "data"), document),
        (JsonReader(io.BytesIO(lines), LABEL, None), lines),
    ):
        _require_equal(_read_all(reader, page_size)[0], records, data)


COMPARISONS: Sequence[Callable[[random.Random], None]] = (
    compare_csv_with_the_csv_module,
    compare_pieces_of_any_text,
    compare_types_with_their_texts,
    compare_json_with_the_json_module,
)


def _read_csv(data: bytes, options: CsvOptions, piece_bytes: int) -> tuple[list[Any], list[Any]]:
    """Return the rows and the records that cannot be read."""
    readers.MIN_PIECE_BYTES = piece_bytes
    try:
        return _read_all(CsvReader(io.BytesIO(data), options, LABEL), 1)
    except EngineError as error:
        return [], [error.message]


def _read_all(reader: Reader, page_size: int) -> tuple[list[Any], list[Any]]:
    rows: list[Any] = []
    bad_records: list[Any] = []
    position: Position | None = {}
    while position is not None:
        piece = reader.read(position, page_size)
        content = piece.content
        rows += (
            [list(row) for row in content.iter_rows()]
            if isinstance(content, pl.DataFrame)
            else content
        )
        bad_records += [(bad.position, bad.reason, bad.record) for bad in piece.bad_records]
        position = piece.next_position
    return rows, bad_records


def _text(chance: random.Random, alphabet: str, longest: int = 6) -> str:
    return "".join(chance.choice(alphabet) for _ in range(chance.randrange(longest)))


def _value_text(chance: random.Random) -> str:
    number = chance.choice(
        (
            chance.random(),
            chance.gauss(0, 1e3),
            chance.randrange(-999, 999),
            10 ** chance.randrange(40),
        )
    )
    places = chance.randrange(4)
    return chance.choice(
        (
            str(number),
            f"{number:.{places}f}",
            _text(chance, "0123456789.-+eTZ: "),
            f"2024-0{chance.randrange(10)}-1{chance.randrange(10)}",
            f"2024-01-01 10:00:{chance.randrange(61):02}" + "0" * places,
            chance.choice(("true", "false", "TRUE", "nan", "")),
        )
    )


def _json_record(chance: random.Random) -> dict[str, Any]:
    return {f"k{index}": _json_value(chance, 3) for index in range(chance.randrange(4))}


def _json_value(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(8 if depth else 6)
    if kind == 6:
        return [_json_value(chance, depth - 1) for _ in range(chance.randrange(3))]
    if kind == 7:
        return {_text(chance, 'a"\\{é'): _json_value(chance, depth - 1)}
    return (
        None,
        chance.random() < 0.5,
        chance.randrange(-(10**30), 10**30),
        chance.gauss(0, 1) * 10.0 ** chance.randrange(-300, 300),
        _text(chance, 'ab"\\\n\t{}[],:é€\u2028'),
        chance.randrange(10),
    )[kind]


def _require_equal(found: object, expected: object, written: object) -> None:
    if found != expected:
        raise Different(f"{written!r}\n  read {found!r}\n  expected {expected!r}")


if __name__ == "__main__":
    sys.exit(main())
