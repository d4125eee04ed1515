"""Count the values of a JSON text before it is parsed, because `{}` has 2 bytes of text but needs 64 bytes of memory."""

from __future__ import annotations

import re

from apps.engine.failures import SourceError

MAX_VALUES = 5_000_000  # This number of objects with one field needs a gigabyte of memory.
# The quantifiers are possessive and the end of a string is optional, so that no byte is matched twice.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)


class TooManyValues(SourceError):
    """The source sends more values at once than fit in memory. A retry without changes cannot help."""

    retryable = False

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The source sends more than {limit:,} values at once: request smaller pages or files."
        )


def require_few_values(text: bytes, limit: int = MAX_VALUES) -> None:
    """Raise TooManyValues if the text has more than `limit` values."""
    if count_values(text, limit) > limit:
        raise TooManyValues(limit)


def count_values(text: bytes, exact_above: int = MAX_VALUES) -> int:
    """Return an upper bound for the number of values.

    If the bound is above `exact_above`, commas and brackets in strings are not counted. Then the result is exact,
    except that an empty object or list counts as two values.
    """
    upper_bound = _count_separators(text)
    return upper_bound if upper_bound <= exact_above else _count_separators(_STRINGS.sub(b"", text))


def _count_separators(text: bytes) -> int:
    """Return one plus the number of characters after which a value can follow."""
    return 1 + text.count(b",") + text.count(b"[") + text.count(b"{")
