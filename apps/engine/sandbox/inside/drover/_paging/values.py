"""What a value in a response means for the pagination: whether it ends the pages, and yes or no."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

# Texts that stand for "no next page", in lower case.
END_TEXTS = frozenset({"", "0", "-1", "false", "null", "none"})
YES_TEXTS = frozenset({"true", "yes", "y", "t", "1"})
NO_TEXTS = frozenset({"", "false", "no", "n", "f", "0", "null", "none"})


def is_end(value: Any) -> bool:
    """Whether a cursor or link says that no page follows: null, false, 0, -1, and these values as text."""
    if value is None or value is False:
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


def is_number(value: Any) -> bool:
    """Whether the value is a finite number."""
    is_numeric = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return is_numeric and math.isfinite(value)
