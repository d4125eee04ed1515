"""Convert Python values to their exact text, and similar types to built-in types."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from apps.engine.frames.json_numbers import JsonNumber
from apps.engine.library import texts

NESTED_TYPES = {list, dict, tuple}
BUILTIN_TYPES = {
    bool,
    int,
    float,
    str,
    Decimal,
    date,
    datetime,
    time,
    timedelta,
    bytes,
    UUID,
    JsonNumber,
} | NESTED_TYPES
_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS


class Unrepresentable(ValueError):
    """No column type, not even text, can represent this value."""


def to_builtin(value: Any) -> Any:
    """Convert an instance of a subclass or of a similar type to the built-in type. Raises Unrepresentable."""
    if value is None or type(value) in BUILTIN_TYPES:
        return value
    if isinstance(value, Enum):
        return to_builtin(value.value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Set, list, tuple)):
        return list(value)
    if isinstance(value, datetime):  # Test this before date, because every datetime is also a date.
        return datetime.fromisoformat(value.isoformat())
    for base in (int, float, str, bytes, Decimal, date, time, timedelta, UUID):
        if isinstance(value, base):
            return _to_base_type(base, value)
    raise Unrepresentable(f"a value of type {type(value).__name__} has no column type")


def _to_base_type(base: type, value: Any) -> Any:
    if base in (date, time):
        return base.fromisoformat(value.isoformat())
    if base is timedelta:
        return timedelta(value.days, value.seconds, value.microseconds)
    if base is str:
        return str.__str__(value)
    return base(str(value)) if base is UUID else base(value)


def exact_text(value: Any) -> str:
    """Return the exact text of a value, for a column of mixed types. Raises Unrepresentable.

    It is the text that `as_text` returns for the value in a typed series.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, int):
        return _integer_text(value)
    if isinstance(value, (list, dict, tuple)):
        return json_text(value)
    if isinstance(value, (date, time, timedelta, bytes, Decimal, UUID)):
        return texts.exact_text(value)
    return exact_text(to_builtin(value))


def _float_text(value: float) -> str:
    """Return the text of the JSON number, or the shortest text of the float, as polars and orjson write it."""
    if type(value) is JsonNumber:
        return value.text
    if math.isnan(value):
        return "NaN"
    return orjson.dumps(float(value)).decode() if math.isfinite(value) else repr(float(value))


def _integer_text(value: int) -> str:
    try:
        return str(value)
    except ValueError as error:  # Python cannot convert integers of more than 4,300 digits.
        raise Unrepresentable("an integer has too many digits") from error


def json_text(value: Any) -> str:
    """Return the JSON text of a nested value. NaN and infinities become the strings NaN, inf and -inf.

    Numbers keep their text. Times are ISO 8601, with decimals only if they have some.
    """
    try:
        encoded = orjson.dumps(value, default=_json_fragment, option=_JSON_OPTIONS)
    except orjson.JSONEncodeError:  # integers beyond 64 bits, deep nesting, lone surrogates
        return _slow_json_text(value)
    if b"null" in encoded and _has_non_finite(value):
        return _slow_json_text(value)
    return encoded.decode()


def _json_fragment(value: Any) -> Any:
    """Return a JSON value for a value that orjson does not know."""
    if isinstance(value, JsonNumber):
        return orjson.Fragment(value.text)
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    return exact_text(value)


def _slow_json_text(value: Any) -> str:
    """Return the JSON text of a value that orjson cannot encode."""
    try:
        encoded = _json_text_of(value)
    except RecursionError as error:
        raise Unrepresentable("nested too deeply") from error
    encoded.encode()  # Raises UnicodeEncodeError for lone surrogates.
    return encoded


def _json_text_of(value: Any) -> str:
    if isinstance(value, Mapping):
        members = [f"{_json_key(key)}:{_json_text_of(inner)}" for key, inner in value.items()]
        return f"{{{','.join(members)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_json_text_of, value))}]"
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer_text(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and type(value) is not JsonNumber and not math.isfinite(value):
        return f'"{exact_text(value)}"'
    try:
        return orjson.dumps(value, default=_json_fragment).decode()
    except orjson.JSONEncodeError:  # a time with a time zone
        return json.dumps(exact_text(value), ensure_ascii=False)


def _json_key(key: Any) -> str:
    return json.dumps("null" if key is None else exact_text(key), ensure_ascii=False)


def _has_non_finite(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value) and type(value) is not JsonNumber
    if isinstance(value, dict):
        return any(map(_has_non_finite, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_non_finite, value))
