"""How many values a JSON text holds, counted before it is parsed: `{}` is 2 bytes of text and 64 of memory."""

from __future__ import annotations

import re

from apps.engine.failures import SourceError

MOST = 5_000_000  # values; as objects of one field each they take a gigabyte
# The quantifiers are possessive and a string may lack its end, so that no byte is looked at twice.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)


class TooManyValues(SourceError):
    """The source sends more values at once than fit in memory; trying again unchanged cannot help."""

    retryable = False

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The source sends more than {most:,} values at once: ask for smaller pages or files."
        )


def require_few(text: bytes, most: int = MOST) -> None:
    """Raises TooManyValues."""
    if count(text, most) > most:
        raise TooManyValues(most)


def count(text: bytes, enough: int = MOST) -> int:
    """At least as many as the text holds. Exact, keys of objects apart, where it would be more than `enough`."""
    found = _marks(text)
    return found if found <= enough else _marks(_STRINGS.sub(b"", text))


def _marks(text: bytes) -> int:
    """A value comes first, or after one of these."""
    return 1 + text.count(b",") + text.count(b"[") + text.count(b"{")
