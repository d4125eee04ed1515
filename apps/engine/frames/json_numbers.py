"""Parse JSON without rounding a number.

A number becomes a float only if the float has the same decimal digits. Every other number becomes an `int`, a
`Decimal`, or its text if it has more digits than a decimal column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
from pyarrow import compute

from apps.engine.frames.columns import DECIMAL_DIGITS

EXACT_FLOAT_LENGTH = 16  # characters: 15 digits and a point
# Numbers that orjson may round: those with many digits, and those with exponents of three digits.
_INEXACT = r"[\[:,\s]-?[0-9][0-9.]*(?:[0-9.]{15}|[eE][+-]?[0-9]{3})"


def parse_number(text: str) -> float | Decimal | str:
    """Return a number that is written with a point or an exponent."""
    value = float(text)
    if repr(value) == text or (len(text) <= EXACT_FLOAT_LENGTH and math.isfinite(value)):
        return value
    exact = Decimal(text)
    if math.isfinite(value) and Decimal(repr(value)) == exact:
        return value
    exponent = exact.as_tuple().exponent
    is_small = (
        isinstance(exponent, int)
        and max(exact.adjusted() + 1, 1) - min(exponent, 0) <= DECIMAL_DIGITS
    )
    return exact if is_small else text


EXACT_DECODER = json.JSONDecoder(parse_float=parse_number)


def have_inexact_numbers(texts: Sequence[bytes]) -> list[bool]:
    """Return for each JSON text whether it may have numbers that orjson would round."""
    matches = compute.match_substring_regex(pa.array(texts, pa.large_binary()), _INEXACT)
    found: list[bool] = matches.to_pylist()
    return found


def parse_json(text: bytes, *, exactly: bool = True) -> Any:
    """Parse a JSON text. Raises ValueError (often JSONDecodeError) or RecursionError.

    `exactly` is whether the text may have numbers that orjson would round.
    """
    if not exactly:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # Python's parser also accepts NaN and lone surrogates.
    return EXACT_DECODER.decode(text.decode())
