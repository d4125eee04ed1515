"""Parse JSON without changing a number, and choose the type of a number that kept its text (`drover._numbers`)."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
import polars as pl

from apps.engine.frames.columns import DECIMAL_DIGITS
from apps.engine.library import numbers

JsonNumber = numbers.JsonNumber

# Numbers that orjson may change: those with many digits, zeros at the end, many zeros at the beginning, or an exponent.
# orjson also converts integers of more than 64 bits to floats, and drops the sign of -0.
_INEXACT = (
    r"(?:^|[\[:,\s])(?:-?(?:[0-9.]{17}|0\.0000|[0-9]+(?:\.[0-9]+)?[eE]|[0-9]+\.[0-9]+0(?:[\],}\s]|$))"
    r"|-0(?:[\],}\s]|$))"
)
_EXACT_FLOAT_TEXT = 15  # A number of at most 15 characters without an exponent equals its float.
_DIGITS = frozenset("-.0123456789")


def exact_value(number: JsonNumber) -> float | Decimal | str:
    """Return a float if its shortest decimal equals the number, else a decimal, else the text.

    A decimal has at most DECIMAL_DIGITS digits.
    """
    text, value = number.text, float(number)
    if len(text) <= _EXACT_FLOAT_TEXT and _DIGITS.issuperset(text):
        return value
    try:
        exact = Decimal(text)
    except InvalidOperation:  # The exponent has more than 18 digits.
        return text
    if math.isfinite(value) and Decimal(repr(value)) == exact:
        return value
    exponent = exact.as_tuple().exponent
    digits = max(exact.adjusted() + 1, 1) - min(int(exponent), 0)
    return exact if digits <= DECIMAL_DIGITS else text


EXACT_DECODER = json.JSONDecoder(parse_float=numbers.parse_number, parse_int=numbers.parse_integer)


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


class RepeatedName(ValueError):
    """An object has two members of one name, of which parsers keep one."""


def may_have_repeated_names(text: bytes, value: Any) -> bool:
    """Whether an object in the JSON text may have a name twice. `value` is the parsed text.

    A member that the parser has dropped is seen by a missing colon, which is cheaper than a parser in Python. If no
    text has a colon and no object is in another one, the members of the records are counted, which is cheaper still.
    """
    colons = text.count(b":")
    if type(value) is list and colons == sum(len(row) for row in value if type(row) is dict):
        return False
    try:
        written = orjson.dumps(value, default=str)
    except TypeError:  # Python's parser has read a value that orjson cannot write.
        return True
    return written.count(b":") != colons or b"\\u003" in text


def require_unique_names(text: bytes) -> None:
    """Raise RepeatedName if an object in the JSON text has a name twice."""
    json.loads(text.decode(json.detect_encoding(text)), object_pairs_hook=_unique_members)


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        names = Counter(name for name, _ in members)
        name, count = names.most_common(1)[0]
        raise RepeatedName(f"an object has the name {name[:60]!r} {count} times")
    return found


# Raises RepeatedName.
UNIQUE_DECODER = json.JSONDecoder(
    parse_float=numbers.parse_number,
    parse_int=numbers.parse_integer,
    object_pairs_hook=_unique_members,
)


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
    return numbers.loads(text.decode(json.detect_encoding(text)))
