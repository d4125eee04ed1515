"""Numbers of JSON that keep their text, so that no digit is lost on the way to the destination.

A number is parsed as a float if the text of the float is the text of the number. Another number becomes a `JsonNumber`,
so that the type of its column can be chosen later without rounding.
"""

from __future__ import annotations

import enum
import json
import math
import re
from typing import Any, Self

from drover import _imports

MAX_INTEGER_TEXT = 4_300  # digits; Python refuses to convert longer texts to integers
MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])")  # Python's parser would drop the sign.


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


def parse_number(text: str) -> float:
    """Return a number that is written with a point or an exponent."""
    value = float(text)
    # The text of a float has no zero in its exponent, as orjson writes it.
    return value if repr(value) == text and "e-0" not in text else JsonNumber(text)


def parse_integer(text: str) -> int | float:
    return int(text) if len(text) <= MAX_INTEGER_TEXT and text != "-0" else JsonNumber(text)


def loads(text: str | bytes) -> Any:
    return json.loads(text, parse_float=parse_number, parse_int=parse_integer)


def has_non_finite(value: Any) -> bool:
    """Whether the value is or contains NaN or an infinity, which orjson would write as null."""
    if isinstance(value, float):
        return not math.isfinite(value) and type(value) is not JsonNumber
    if isinstance(value, str | int) or value is None:
        return isinstance(value, enum.Enum) and has_non_finite(value.value)
    if isinstance(value, dict):
        return any(map(has_non_finite, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_non_finite, value))
    if isinstance(value, enum.Enum):
        return has_non_finite(value.value)
    return hasattr(value, "__dataclass_fields__") and has_non_finite(vars(value))


def read_response(response: Any) -> Any:
    """Return the document of a response of requests, which may contain NaN and infinities.

    The method `json` of requests uses another parser, which refuses them, if it is installed.
    """
    parse_int = parse_integer if MINUS_ZERO.search(response.content) else None
    try:
        return json.loads(response.content, parse_float=parse_number, parse_int=parse_int)
    except UnicodeDecodeError:  # It is in the encoding that its header names.
        return json.loads(response.text, parse_float=parse_number, parse_int=parse_int)


def keep_numbers_of_responses() -> None:
    """Let the method `json` of responses keep the numbers, in each HTTP client when it is imported."""
    _imports.call_after_import("requests.models", _patch_response)
    _imports.call_after_import("httpx", _patch_response)


def _patch_response(module: Any) -> None:
    parse = module.Response.json
    # requests uses simplejson if it is installed, which refuses NaN and infinities unless it is told otherwise.
    uses_simplejson = getattr(getattr(module, "complexjson", None), "__name__", "") == "simplejson"
    accepting = {"allow_nan": True} if uses_simplejson else {}

    def parse_exactly(self: Any, **options: Any) -> Any:
        if MINUS_ZERO.search(self.content):
            options = {"parse_int": parse_integer, **options}
        return parse(self, **{"parse_float": parse_number, **accepting, **options})

    module.Response.json = parse_exactly
