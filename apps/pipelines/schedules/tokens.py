"""Split an English text into words, numbers, times and signs."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A text in quotes; a time zone in parentheses; a time; a number; a name with slashes; a word; any other sign.
_PATTERN = re.compile(
    r"\"[^\"\n]{0,300}\"|“[^”\n]{0,300}”"
    r"|\([A-Za-z][\w+/-]{0,60}\)"
    r"|\d{1,2}:\d{2}(?!\d)|\d+"
    r"|[^\W\d_][\w-]{0,60}/[\w+/-]{0,60}"
    r"|[^\W\d_]+(?:['\u2019][^\W\d_]+)?"
    r"|\S"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a text. `word` is its text in small letters, and empty for a text in quotes, which is a name."""

    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        return "" if self.text[:1] in ('"', "“") else self.text.lower()

    @property
    def is_number(self) -> bool:
        return self.text[:1].isdecimal() and self.text.isascii()


def split(text: str) -> list[Token]:
    """Return the tokens of the text."""
    return [Token(match[0], match.start(), match.end()) for match in _PATTERN.finditer(text)]
