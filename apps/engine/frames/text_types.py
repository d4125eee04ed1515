"""Decide the type of a column of texts over all its values, and convert texts to a type that was decided.

A column is a number, a boolean or a time only if writing the typed values gives every text back. Otherwise it is a
text column, and every value stays as it stood. So no value depends on its neighbours:

    integer    no leading zeros, no plus sign, 64 bits                             7  -12
    number     at most 16 significant digits, no exponent, no trailing zero; whole numbers are all written
               without a point (`39`, `39.02`) or all with `.0` (`39.0`, `39.02`)
    decimal    at most 38 digits, all values with the same number of decimal places   1.50  2.25
    boolean    true and false
    date       2024-02-29
    timestamp  ISO 8601 with seconds; one separator and one number of decimal places in the column, and a time zone
               in all values or in none                                            2024-02-29 10:00:00.5

NaN, infinities, exponents, leap seconds and times such as 24:00:00 make a text column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from apps.engine.frames.columns import DECIMAL_DIGITS, NULL, STRING, Column, ColumnType

MAX_FLOAT_DIGITS = 16  # significant digits; with 15 or less, the shortest text of the float is always the same text
ALWAYS_EXACT_DIGITS = 15
MAX_FLOAT_LENGTH = 24
SAFE_INTEGER_LENGTH = 18  # characters of an integer that always fits into 64 bits
INTEGER = r"(?:0|-?[1-9][0-9]*)"
NUMBER = rf"^(?:{INTEGER}|-?(?:0|[1-9][0-9]*)\.[0-9]+)$"
MINUS_ZERO = r"^-0\.0+$"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
ZONE = r"(?:Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])"
TIMESTAMP_PARTS = re.compile(rf"{DATE}([T ]){CLOCK}(?:\.([0-9]{{1,6}}))?({ZONE})?", re.ASCII)
# With a time zone, these days may be in year 0 or 10000 of UTC.
EDGE_DAYS = ("0001-01-01", "9999-12-31")


class TextColumn:
    """Collects facts about the texts of one column, and decides its type."""

    def __init__(self) -> None:
        self._facts: _Facts | None = None
        self._is_text = False

    def add(self, texts: pl.Series) -> None:
        """Add values of the column. Nulls are ignored."""
        if self._is_text:
            return
        values = texts.drop_nulls()
        if values.is_empty():
            return
        self._facts = self._facts or _facts_for(values[0])
        self._is_text = self._facts is None or not self._facts.add(values)

    @property
    def is_text(self) -> bool:
        """Whether the column is known to be text, whatever values follow."""
        return self._is_text

    @property
    def column(self) -> Column:
        """The narrowest type that every value was written in; `null` if there was no value."""
        if self._is_text:
            return STRING
        return NULL if self._facts is None else self._facts.column


@dataclass(frozen=True, slots=True)
class FittedTexts:
    """The typed values, and which of the texts do not fit the type. A text that does not fit is null in `values`."""

    values: pl.Series
    misfits: pl.Series


def fit_texts(texts: pl.Series, column: Column) -> FittedTexts:
    """Convert texts to a type that was decided earlier. A text fits if its spelling is canonical for the type."""
    if column.type in (ColumnType.STRING, ColumnType.JSON):
        return FittedTexts(texts, pl.repeat(False, len(texts), eager=True))
    if column.type is ColumnType.LIST:
        no_values = pl.Series(texts.name, [None] * len(texts), dtype=pl.Null)
        return FittedTexts(no_values, texts.is_not_null())
    fits = _fits(texts, column).fill_null(True)
    values = _parse(pl.select(pl.when(fits).then(texts)).to_series(), column).alias(texts.name)
    return FittedTexts(values, ~fits | (values.is_null() & texts.is_not_null()))


class _Facts(Protocol):
    """What is known about the values of one family of types."""

    def add(self, values: pl.Series) -> bool:
        """Add values without nulls, and return whether all values so far are of this family."""

    @property
    def column(self) -> Column: ...


def _facts_for(first: str) -> _Facts | None:
    """Return the facts of the only family that the first value of a column belongs to, or None if it is text."""
    if first in ("true", "false"):
        return _Booleans()
    if re.fullmatch(DATE, first, re.ASCII):
        return _Dates()
    if parts := TIMESTAMP_PARTS.fullmatch(first):
        return _Timestamps(parts)
    return _Numbers() if first.lstrip("-")[:1].isdecimal() else None


class _Booleans:
    column = Column(ColumnType.BOOLEAN)

    def add(self, values: pl.Series) -> bool:
        return bool(values.is_in(["true", "false"]).all())


class _Dates:
    column = Column(ColumnType.DATE)

    def add(self, values: pl.Series) -> bool:
        return bool(values.str.contains(f"^{DATE}$").all()) and _are_days(values)


class _Timestamps:
    """Timestamps that are written like the first one."""

    def __init__(self, first: re.Match[str]) -> None:
        separator, fraction, zone = first.groups()
        self._has_zone = zone is not None
        fraction_pattern = rf"\.[0-9]{{{len(fraction)}}}" if fraction else ""
        self._pattern = f"^{DATE}{separator}{CLOCK}{fraction_pattern}{ZONE if zone else ''}$"
        self.column = Column(ColumnType.INSTANT if zone else ColumnType.TIMESTAMP)

    def add(self, values: pl.Series) -> bool:
        if not values.str.contains(self._pattern).all():
            return False
        days = values.str.slice(0, 10)
        return _are_days(days) and not (self._has_zone and days.is_in(EDGE_DAYS).any())


class _Numbers:
    """Integers, floats and decimals: which one they are depends on all values."""

    def __init__(self) -> None:
        self._has_whole = self._has_point_zero = self._has_trailing_zero = False
        self._fits_integer = self._fits_float = True
        self._digits = 0  # before the point
        self._places: set[int] = set()  # numbers of digits after the point

    def add(self, values: pl.Series) -> bool:
        if not values.str.contains(NUMBER).all():
            return False
        has_point = values.str.contains(".", literal=True)
        if not has_point.any():
            self._add_whole(values)
            return True
        if not has_point.all():
            self._add_whole(values.filter(~has_point))
            values = values.filter(has_point)
        return self._add_fractions(values)

    @property
    def column(self) -> Column:
        places = max(self._places, default=0)
        digits = self._digits
        if not self._places and self._fits_integer:
            return Column(ColumnType.INTEGER, digits=digits)
        is_one_form = not (self._has_whole and self._has_point_zero)
        if self._places and self._fits_float and is_one_form and not self._has_trailing_zero:
            return Column(ColumnType.NUMBER)
        is_one_scale = len(self._places) == (0 if self._has_whole else 1)
        if is_one_scale and digits + places <= DECIMAL_DIGITS:
            return Column(ColumnType.DECIMAL, scale=places, digits=digits)
        return STRING

    def _add_whole(self, values: pl.Series) -> None:
        self._has_whole = True
        self._digits = max(self._digits, _longest(values.str.strip_prefix("-")))
        if _longest(values) > SAFE_INTEGER_LENGTH and self._fits_integer:
            self._fits_integer = values.cast(pl.Int64, strict=False).null_count() == 0
        self._fits_float = self._fits_float and _fit_floats(values)

    def _add_fractions(self, values: pl.Series) -> bool:
        if values.str.starts_with("-0.").any() and values.str.contains(MINUS_ZERO).any():
            return False
        points = values.str.find(".", literal=True).cast(pl.Int64)
        places = values.str.len_bytes().cast(pl.Int64) - points - 1
        whole_digits = points - values.str.starts_with("-").cast(pl.Int64)
        self._digits = max(self._digits, _largest(whole_digits))
        self._places |= {_largest(places), -_largest(-places)}
        self._fits_float = self._fits_float and _fit_floats(values)
        ends_with_zero = values.str.ends_with("0")
        if ends_with_zero.any():
            zeros = ends_with_zero & (places == 1)
            self._has_point_zero = self._has_point_zero or bool(zeros.any())
            self._has_trailing_zero = self._has_trailing_zero or bool(
                (ends_with_zero & ~zeros).any()
            )
        return True


def _fit_floats(values: pl.Series) -> bool:
    """Whether the shortest text of each number as a float has the digits of the number."""
    if _longest(values) <= ALWAYS_EXACT_DIGITS:
        return True
    return bool(_are_floats(values.filter(values.str.len_bytes() > ALWAYS_EXACT_DIGITS)).all())


def _are_floats(numbers: pl.Series) -> pl.Series:
    digits = numbers.str.replace_all(r"^-?0*\.?0*|\.", "").str.len_bytes()
    whole_digits = numbers.str.extract(r"^-?([0-9]+)").str.len_bytes()
    shortest = numbers.cast(pl.Float64, strict=False).cast(pl.String)
    round_trips = shortest.str.strip_suffix(".0") == numbers.str.strip_suffix(".0")
    is_short = (whole_digits <= ALWAYS_EXACT_DIGITS) & (digits <= ALWAYS_EXACT_DIGITS)
    return (numbers.str.len_bytes() <= MAX_FLOAT_LENGTH) & (
        is_short | ((digits <= MAX_FLOAT_DIGITS) & round_trips)
    )


def _are_days(days: pl.Series) -> bool:
    """Whether every text of ten digits and dashes is a day of the calendar, in the years 1 to 9999."""
    dates = days.str.to_date("%Y-%m-%d", strict=False)
    return dates.null_count() == 0 and not days.str.starts_with("0000").any()


def _longest(values: pl.Series) -> int:
    return _largest(values.str.len_bytes())


def _largest(numbers: pl.Series) -> int:
    largest = numbers.max()
    return largest if isinstance(largest, int) else 0


def _fits(texts: pl.Series, column: Column) -> pl.Series:
    """Return for each text whether its spelling is canonical for the type. Null for null."""
    if column.type is ColumnType.NULL:
        return texts.is_null()
    if column.type is ColumnType.BOOLEAN:
        return texts.is_in(["true", "false"])
    if column.type is ColumnType.INTEGER:
        return texts.str.contains(f"^{INTEGER}$")
    if column.type is ColumnType.NUMBER:
        canonical = texts.str.contains(NUMBER) & ~texts.str.contains(r"\.[0-9]+0$|^-0\.0$")
        return canonical & ((texts.str.len_bytes() <= ALWAYS_EXACT_DIGITS) | _are_floats(texts))
    if column.type is ColumnType.DECIMAL:
        places = rf"\.[0-9]{{{column.scale}}}" if column.scale else ""
        whole_digits = max(DECIMAL_DIGITS - column.scale, 1)
        pattern = rf"^-?(?:0|[1-9][0-9]{{0,{whole_digits - 1}}}){places}$"
        return texts.str.contains(pattern) & ~texts.str.contains(r"^-0(?:\.0+)?$")
    if column.type is ColumnType.DATE:
        return texts.str.contains(f"^{DATE}$") & ~texts.str.starts_with("0000")
    if column.type in (ColumnType.TIMESTAMP, ColumnType.INSTANT):
        zone = ZONE if column.type is ColumnType.INSTANT else ""
        return texts.str.contains(rf"^{DATE}[T ]{CLOCK}(?:\.[0-9]{{1,6}})?{zone}$") & ~(
            texts.str.starts_with("0000") | (texts.str.slice(0, 10).is_in(EDGE_DAYS) & (zone != ""))
        )
    return texts.is_null()  # Texts of other types are not decided here.


def _parse(texts: pl.Series, column: Column) -> pl.Series:
    """Convert texts of canonical spelling. A text that is not a value, such as 2024-02-30, becomes null."""
    if column.type is ColumnType.BOOLEAN:
        return texts == "true"
    if column.type is ColumnType.DATE:
        return texts.str.to_date("%Y-%m-%d", strict=False)
    if column.type in (ColumnType.TIMESTAMP, ColumnType.INSTANT):
        iso_texts = texts.str.replace(" ", "T", literal=True)
        if column.type is ColumnType.TIMESTAMP:
            return iso_texts.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
        texts_with_offset = iso_texts.str.replace(r"Z$", "+00:00")
        return texts_with_offset.str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False
        )
    return texts.cast(column.dtype, strict=False)
