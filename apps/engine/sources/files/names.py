"""Whether the first row of a file has the names of the columns, and which names they become.

Names in files may be blank, repeated, too long or missing, or have control characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence, Set

import polars as pl

from apps.engine.failures import ConfigurationError, ContractError
from apps.engine.frames.columns import Column, ColumnType
from apps.engine.frames.text_types import TextColumn
from apps.engine.library import watermarks

MAX_LENGTH = 250  # characters
MAX_SHOWN_NAMES = 20
YEAR = re.compile(r"(?:1[89]|20)[0-9]{2}")
UNTYPED = frozenset({ColumnType.STRING, ColumnType.NULL})
NUMBERS = frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DECIMAL})
TIMES = frozenset({ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.INSTANT})
# Texts for a missing value, in lower case. SAS writes a point, and MySQL `\N`.
MISSING = watermarks.MISSING_TEXTS | {".", "\\n"}


def column_names(cells: Sequence[str]) -> list[str]:
    """Return a name for each column that databases can store.

    Control characters and lone surrogates become spaces. A blank name becomes `column_N`. A repeated name gets its
    position as a suffix, or the next number that is free. No name that is made here differs from another one only by case.
    """
    cleaned = [_clean(cell) for cell in cells]
    taken = {name.lower() for name in cleaned if name}
    used: set[str] = set()
    names: list[str] = []
    for position, name in enumerate(cleaned, start=1):
        wanted = name or f"column_{position}"
        is_taken = wanted in used if name else wanted in taken
        names.append(_free_name(wanted, position, taken) if is_taken else wanted)
        taken.add(names[-1].lower())
        used.add(names[-1])
    return names


def _clean(cell: str) -> str:
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in cell)
    return text.strip()[:MAX_LENGTH]


def _free_name(name: str, position: int, taken: set[str]) -> str:
    while f"{name}_{position}".lower() in taken:
        position += 1
    return f"{name}_{position}"


def header_of_stream(
    label: str, *, header: bool, is_certain: bool, of_first_file: bool | None, setting: str
) -> bool:
    """Return whether a file has a header, as the first file of the stream (None for that file).

    Raises ConfigurationError if it certainly differs.
    """
    if of_first_file is None or header == of_first_file:
        return header
    if is_certain:
        this, first = ("a header", "none") if header else ("no header", "one")
        raise ConfigurationError(
            f"{label} has {this}, but the first file of the stream has {first}; set `{setting}`, or read the files as two"
            " streams"
        )
    return of_first_file


def require_columns_of_stream(
    label: str, names: Sequence[str], known: Set[str], *, all_of_them: bool, read_as: str
) -> None:
    """Raise ContractError if a file has none of the stream's `known` columns, which may be none yet, or with
    `all_of_them` not exactly these. It was read with another dialect then, or it is a file of another stream.
    """
    if not known or (set(names) == known if all_of_them else set(names) & known):
        return
    raise ContractError(
        f"The columns of {label} do not belong to this stream, which has {', '.join(sorted(known)[:MAX_SHOWN_NAMES])}. Set"
        " the delimiter and the header in the connector if the file was read wrongly, or reset the stream if its columns"
        " have changed",
        evidence=(f"columns: {', '.join(names[:MAX_SHOWN_NAMES])}", read_as),
    )


def header_evidence(rows: Sequence[Sequence[str]], *, missing: Iterable[str] = ()) -> int:
    """Return 1 if the first row is obviously a header, -1 if it is obviously data, and 0 if it can be either.

    A text above numbers, booleans or times is a header. A number, a boolean or a time in the first row is data, unless
    all of them are names (see `_are_names`); then a text for a missing value, such as `N/A`, is no sign of a header.
    """
    if not rows:
        return 0
    first = rows[0]
    first_types = [_column_type([value]).type for value in first]
    types = [column.type for column in _column_types(rows[1:], len(first))]
    typed = [index for index, column_type in enumerate(first_types) if column_type not in UNTYPED]
    no_names = MISSING.union(text.casefold() for text in missing) if typed else frozenset()
    if any(
        first_types[index] is ColumnType.STRING
        and types[index] not in UNTYPED
        and value.strip().casefold() not in no_names
        for index, value in enumerate(first)
    ):
        return 1
    if not typed or _are_names(first, typed, first_types, types):
        return 0
    return -1


def _are_names(
    first: Sequence[str],
    typed: Sequence[int],
    first_types: Sequence[ColumnType],
    types: Sequence[ColumnType],
) -> bool:
    """Whether the typed values of the first row may be names: different years, times above numbers, or the numbers
    that pandas gives to columns without names, beside the empty name of their index.
    """
    values = [first[index] for index in typed]
    if len(set(values)) < len(values):
        return False
    if all(map(YEAR.fullmatch, values)) and len(values) > 1:
        return True
    below = {types[index] for index in typed}
    if all(first_types[index] in TIMES for index in typed):
        return bool(below & NUMBERS) and below <= NUMBERS | {ColumnType.NULL}
    numbers = [str(number) for number in range(len(first) - 1)]
    is_index = first[0] == "" and types[0] is not ColumnType.NULL
    return is_index and len(numbers) > 1 and list(first[1:]) == numbers


def _column_types(rows: Sequence[Sequence[str]], width: int) -> list[Column]:
    return [
        _column_type([row[index] for row in rows if len(row) == width]) for index in range(width)
    ]


def _column_type(values: Sequence[str]) -> Column:
    """Return the type of values whose spelling need not be canonical: 1,5 and 007 are numbers here."""
    plain = [
        re.sub(r"^(-?)0+(?=[0-9])", r"\1", value.strip().replace(",", ".", 1)) for value in values
    ]
    plain = [re.sub(r"(\.[0-9]*[1-9])0+$|\.0+$", r"\1", value) for value in plain]
    column = TextColumn()
    column.add(pl.Series([value or None for value in plain], dtype=pl.String))
    return column.column
