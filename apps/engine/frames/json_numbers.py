"""Parse JSON without changing a number.

A number is parsed as a float if the text of the float is the text of the number. Another number becomes a `JsonNumber`,
which keeps the text, so that the type of its column can be chosen later without rounding.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Self

import orjson
import polars as pl

from apps.engine.frames.columns import DECIMAL_DIGITS

# Numbers that orjson may change: those with many digits, zeros at the end, many zeros at the beginning, or an exponent.
# orjson also converts integers of more than 64 bits to floats.
_INEXACT = (
    r"(?:^|[\[:,\s])-?(?:[0-9.]{17}|0\.0000|[0-9]+(?:\.[0-9]+)?[eE]|[0-9]+\.[0-9]+0(?:[\],}\s]|$))"
)
MAX_INTEGER_TEXT = 4_300  # digits; Python refuses to convert longer texts to integers
_EXACT_FLOAT_TEXT = 15  # A number of at most 15 characters without an exponent equals its float.
_DIGITS = frozenset("-.0123456789")


class JsonNumber(float):
    """A number whose text differs from the text of its float. It behaves as the float, and `text` is exact."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text

    def exact_value(self) -> float | Decimal | str:
        """Return a float if its shortest decimal equals the number, else a decimal, else the text.

        A decimal has at most DECIMAL_DIGITS digits.
        """
        if len(self.text) <= _EXACT_FLOAT_TEXT and _DIGITS.issuperset(self.text):
            return float(self)
        try:
            exact = Decimal(self.text)
        except InvalidOperation:  # The exponent has more than 18 digits.
            return self.text
        if math.isfinite(self) and Decimal(repr(float(self))) == exact:
            return float(self)
        exponent = exact.as_tuple().exponent
        digits = max(exact.adjusted() + 1, 1) - min(int(exponent), 0)
        return exact if digits <= DECIMAL_DIGITS else self.text


def parse_number(text: str) -> float:
    """Return a number that is written with a point or an exponent."""
    value = float(text)
    # The text of a float has no zero in its exponent, as orjson writes it.
    return value if repr(value) == text and "e-0" not in text else JsonNumber(text)


def parse_integer(text: str) -> int | float:
    return int(text) if len(text) <= MAX_INTEGER_TEXT else JsonNumber(text)


EXACT_DECODER = json.JSONDecoder(parse_float=parse_number, parse_int=parse_integer)


def have_inexact_numbers(texts: Sequence[bytes]) -> list[bool]:
    """Return for each JSON text whether it may have numbers that orjson would change, or is not UTF-8."""
    decoded = pl.Series([_decode(text) for text in texts], dtype=pl.String)
    return decoded.str.contains(_INEXACT).fill_null(True).to_list()


def _decode(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None


def has_json_numbers(value: Any) -> bool:
    """Whether a parsed JSON value has a number that keeps its text."""
    if isinstance(value, Mapping):
        return any(map(has_json_numbers, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_json_numbers, value))
    return type(value) is JsonNumber


def parse_json(text: bytes, *, exactly: bool | None = None) -> Any:
    """Parse a JSON text. Raises ValueError (often JSONDecodeError) or RecursionError.

    `exactly` is whether the text may have numbers that orjson would change, if that is known.
    """
    if exactly is None:
        (exactly,) = have_inexact_numbers([text])
    if not exactly:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # Python's parser also accepts NaN and lone surrogates.
    decoded = text.decode(json.detect_encoding(text))
    return json.loads(decoded, parse_float=parse_number, parse_int=parse_integer)
