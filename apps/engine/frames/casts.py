"""Convert the texts of a field to the type that a user has chosen for it.

A text that does not have this type is a misfit, and a blank text is null. Nothing is rounded, except by `number`, which
is a 64-bit float. Whether a text fits does not depend on the other texts.

    integer      whole numbers of 64 bits, also with zeros before or after: 007, 12.00
    number       numbers, also with an exponent
    decimal      numbers of at most 20 digits before the point and 18 after it, exact
    boolean      true, false, t, f, yes, no, y, n, 1, 0 in any letter case
    date         2024-02-29, also the beginning of a timestamp
    timestamp    ISO 8601 without a time zone; a date is its first moment
    timestamptz  ISO 8601 with a time zone
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from apps.engine.field_rules import CastType
from apps.engine.frames.columns import DECIMAL_DIGITS

WHOLE = r"^[+-]?[0-9]+(?:\.0*)?$"
PLAIN_NUMBER = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)$"
DECIMAL = r"^-?0*[0-9]{0,20}(?:\.[0-9]{0,18})?$"
NUMBER = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
ZONE = r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
TRUE = ("true", "t", "yes", "y", "1")
FALSE = ("false", "f", "no", "n", "0")

WORDS_OF_TYPES: dict[CastType, str] = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "decimal": "a decimal number",
    "boolean": "true or false",
    "date": "a date",
    "timestamp": "a timestamp without time zone",
    "timestamptz": "a timestamp with time zone",
}


def cast_texts(texts: pl.Series, to: CastType) -> pl.Series:
    """Return the values of the texts. A text that is a misfit becomes null."""
    return texts if to == "string" else _CASTS[to](texts.str.strip_chars()).alias(texts.name)


def find_misfits(texts: pl.Series, values: pl.Series) -> list[int]:
    """Return the indexes of the texts that have no value although they are not blank."""
    return (
        (values.is_null() & (texts.str.strip_chars() != "")).fill_null(False).arg_true().to_list()
    )


def _matching(texts: pl.Series, pattern: str) -> pl.Series:
    """Return the texts that match, and null for the others."""
    return texts.zip_with(texts.str.contains(pattern).fill_null(False), _nulls(texts))


def _nulls(texts: pl.Series) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, len(texts))


def _to_integers(texts: pl.Series) -> pl.Series:
    digits = _matching(texts, WHOLE).str.replace(r"\.0*$", "").str.strip_prefix("+")
    return digits.cast(pl.Int64, strict=False)


def _to_numbers(texts: pl.Series) -> pl.Series:
    numbers = _matching(texts, NUMBER).str.strip_prefix("+").cast(pl.Float64, strict=False)
    return numbers.zip_with(numbers.is_finite().fill_null(False), numbers.clear(len(numbers)))


def _to_decimals(texts: pl.Series) -> pl.Series:
    plain = _matching(texts, PLAIN_NUMBER).str.strip_prefix("+")
    numbers = _matching(plain.str.replace(r"(\.[0-9]*?)0*$", "${1}"), DECIMAL)
    longest = numbers.str.extract(r"\.([0-9]+)$").str.len_bytes().max()
    scale = longest if isinstance(longest, int) else 0
    return numbers.cast(pl.Decimal(DECIMAL_DIGITS, scale), strict=False)


def _to_booleans(texts: pl.Series) -> pl.Series:
    words = texts.str.to_lowercase()
    is_known = words.is_in([*TRUE, *FALSE]).fill_null(False)
    values = words.is_in(list(TRUE))
    return values.zip_with(is_known, values.clear(len(values)))


def _to_dates(texts: pl.Series) -> pl.Series:
    days = _matching(texts, rf"^{DAY}(?:[T ]{CLOCK} ?{ZONE}?)?$").str.slice(0, 10)
    return _in_calendar(days).str.to_date("%Y-%m-%d", strict=False)


def _to_timestamps(texts: pl.Series) -> pl.Series:
    return _moments(_matching(texts, rf"^{DAY}(?:[T ]{CLOCK})?$"))


def _to_instants(texts: pl.Series) -> pl.Series:
    zoned = _matching(texts, rf"^{DAY}[T ]{CLOCK} ?{ZONE}$")
    zones = zoned.str.extract(rf"({ZONE})$")
    moments = _moments(zoned.str.replace(rf" ?{ZONE}$", ""))
    sign = zones.str.starts_with("-").cast(pl.Int64) * -2 + 1
    hours = zones.str.extract(r"^[+-]([0-9]{2})").cast(pl.Int64, strict=False).fill_null(0)
    minutes = (
        zones.str.extract(r"^[+-][0-9]{2}:?([0-9]{2})$").cast(pl.Int64, strict=False).fill_null(0)
    )
    offset = (sign * (hours * 60 + minutes) * 60_000_000).cast(pl.Duration("us"))
    return (moments - offset).dt.replace_time_zone("UTC")


def _moments(texts: pl.Series) -> pl.Series:
    """Convert dates and times without a zone. Digits after the sixth decimal are cut off."""
    iso = _in_calendar(texts).str.replace(" ", "T", literal=True)
    with_clock = iso.str.replace(rf"^({DAY})$", "${1}T00:00")
    with_seconds = with_clock.str.replace(r"T([0-9]{2}:[0-9]{2})$", "T${1}:00")
    cut = with_seconds.str.replace(r"(\.[0-9]{6})[0-9]+$", "${1}")
    return cut.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)


def _in_calendar(texts: pl.Series) -> pl.Series:
    return texts.zip_with(~texts.str.starts_with("0000").fill_null(True), _nulls(texts))


_CASTS: dict[CastType, Callable[[pl.Series], pl.Series]] = {
    "integer": _to_integers,
    "number": _to_numbers,
    "decimal": _to_decimals,
    "boolean": _to_booleans,
    "date": _to_dates,
    "timestamp": _to_timestamps,
    "timestamptz": _to_instants,
}
