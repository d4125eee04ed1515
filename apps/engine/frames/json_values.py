"""Count the values of a JSON text before it is parsed: `{}` is 2 bytes of text and 64 bytes of memory."""

from __future__ import annotations

import re

from apps.engine.failures import SourceError

MOST = 5_000_000  # values; as objects of one field each they use a gigabyte
# The quantifiers are possessive and a string's end is optional, so that no byte is matched twice.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)


class TooManyValues(SourceError):
    """The source sends more values at once than fit in memory; retrying without changes cannot help."""

    retryable = False

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The source sends more than {most:,} values at once: request smaller pages or files."
        )


def require_few(text: bytes, most: int = MOST) -> None:
    """Raise TooManyValues if the text has more than `most` values."""
    if count(text, most) > most:
        raise TooManyValues(most)


def count(text: bytes, enough: int = MOST) -> int:
    """Return an upper bound of the number of values. Beyond `enough` the count is exact, except for object keys."""
    found = _marks(text)
    return found if found <= enough else _marks(_STRINGS.sub(b"", text))


def _marks(text: bytes) -> int:
    """Count the characters after which a value can follow, plus one."""
    return 1 + text.count(b",") + text.count(b"[") + text.count(b"{")
