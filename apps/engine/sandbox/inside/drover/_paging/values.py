"""What a value in a response means for the pagination: whether it ends the pages, and yes or no."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

MAX_DIGITS = 30  # of a whole number that is stored as such
# Texts that stand for "no next page", in lower case.
END_TEXTS = frozenset({"", "0", "-1", "false", "null", "nil", "none", "undefined"})
YES_TEXTS = frozenset({"true", "yes", "y", "t", "1"})
NO_TEXTS = frozenset({"", "false", "no", "n", "f", "0", "null", "none"})


def is_end(value: Any) -> bool:
    """Whether a cursor or link says that no page follows: null, false, 0, -1, these values as text, or nothing."""
    if value is None or value is False or value in ([], {}):
        return True
    if isinstance(value, str):
        return value.strip().lower() in END_TEXTS
    return is_number(value) and value in (0, -1)


def as_yes_or_no(value: Any) -> bool | None:
    """Return the meaning of a flag, or None if the value is neither yes nor no."""
    if isinstance(value, bool):
        return value
    if value is None:
        return False
    if is_number(value):
        return bool(value)
    if isinstance(value, str):
        text = value.strip().lower()
        return True if text in YES_TEXTS else False if text in NO_TEXTS else None
    return None


def as_count(value: Any) -> int | None:
    """Return a whole number, also one written as text, or None."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    if is_number(value) and value == int(value) and abs(value) < 10**15:
        return int(value)
    return None


def only_letters(name: object) -> str:
    """Return the name in lower case, without other characters than letters."""
    return re.sub(r"[^a-z]", "", str(name).lower())


def is_number(value: Any) -> bool:
    """Whether the value is a finite number."""
    is_numeric = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return is_numeric and math.isfinite(value)


def as_stored(value: Any) -> Any:
    """Return a JSON value with its decimals as numbers that the standard library stores exactly, or else as text."""
    if isinstance(value, Mapping):
        return {name: as_stored(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_stored(inner) for inner in value]
    if not isinstance(value, Decimal):
        return value
    if value == value.to_integral_value() and value.adjusted() < MAX_DIGITS:
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)
